-- Run by test_nvim.py: nvim --headless --clean -l nvim_fix.lua RUNTIMEPATH PYTHON FILE
local plugin, python, file = unpack(_G.arg)
local function finish(outcome)
  io.stdout:write(vim.json.encode(outcome) .. '\n')
  for _, client in ipairs(vim.lsp.get_clients()) do
    client:stop(true)
  end
  os.exit(0)
end
vim.opt.runtimepath:append(plugin)
vim.lsp.config('redraft', { cmd = { python, '-m', 'lsp_server' } })
vim.lsp.enable('redraft')
vim.cmd.edit(file)
vim.bo.filetype = 'python'
local buffer = vim.api.nvim_get_current_buf()
local function text()
  return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), '\n')
end
local original = text()
if not vim.wait(20000, function() return #vim.diagnostic.get(buffer) > 0 end, 50) then
  finish({ error = 'no diagnostic came' })
end
local found = vim.diagnostic.get(buffer)[1]
vim.api.nvim_win_set_cursor(0, { found.lnum + 1, 0 })
local offered = {}
vim.lsp.buf.code_action({
  apply = true,
  filter = function(action)
    table.insert(offered, action.title)
    return vim.startswith(action.title, 'Fix with Redraft')
  end,
})
vim.wait(60000, function() return text() ~= original end, 20)
local fixed = text()
vim.wait(1000, function() return #vim.diagnostic.get(buffer) == 0 end, 50)
local left = #vim.diagnostic.get(buffer)
vim.cmd.undo()
finish({
  encoding = vim.lsp.get_clients()[1].offset_encoding,
  message = found.message,
  offered = offered,
  fixed = fixed,
  left = left,
  undone = text() == original,
})
