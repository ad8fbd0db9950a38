--- Inline completion: Neovim's own where it has it (0.12), else ghost text drawn here.
--- The server decides how long to wait (`inline.debounceMs`) and drops what a keystroke has overtaken.
local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('redraft.inline')
local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2 -- InlineCompletionTriggerKind

---@class redraft.Ghost
---@field items string[] Texts to insert at `row`, `col`.
---@field index integer
---@field row integer
---@field col integer

---@type table<integer, redraft.Ghost?> What is shown, by buffer.
local ghosts = {}
---@type table<integer, integer?> The request under way, by buffer.
local asked = {}

--- Neovim's own keeps the \r of a CRLF file's suggestion in the text.
---@param buf integer
local function native(buf)
  return vim.lsp.inline_completion ~= nil and vim.bo[buf].fileformat == 'unix'
end

---@param buf integer
local function hide(buf)
  ghosts[buf] = nil
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
end

---@param buf integer
local function draw(buf)
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  local ghost = ghosts[buf]
  if not ghost then
    return
  end
  local lines = vim.split(ghost.items[ghost.index], '\n', { plain = true })
  api.nvim_buf_set_extmark(buf, namespace, ghost.row, ghost.col, {
    virt_text = { { lines[1], 'RedraftGhost' } },
    virt_text_pos = 'inline',
    virt_lines = #lines > 1 and vim.tbl_map(function(line)
      return { { line, 'RedraftGhost' } }
    end, vim.list_slice(lines, 2)) or nil,
  })
end

--- What the user has typed of the suggestion leaves it; the rest stays.
---@param buf integer
---@param row integer
---@param col integer
---@return boolean kept
local function typed_along(buf, row, col)
  local ghost = ghosts[buf]
  if not ghost or row ~= ghost.row or col < ghost.col then
    return false
  end
  local typed = api.nvim_buf_get_text(buf, row, ghost.col, row, col, {})[1]
  local item = ghost.items[ghost.index]
  if not vim.startswith(item, typed) or item == typed then
    return false
  end
  ghosts[buf] = { items = { item:sub(#typed + 1) }, index = 1, row = row, col = col }
  draw(buf)
  return true
end

---@param client vim.lsp.Client
---@param buf integer
local function ask(client, buf)
  local row, col = api.nvim_win_get_cursor(0)[1] - 1, api.nvim_win_get_cursor(0)[2]
  if typed_along(buf, row, col) then
    return
  end
  hide(buf)
  if asked[buf] then
    client:cancel_request(asked[buf])
  end
  local params = vim.tbl_extend('error', vim.lsp.util.make_position_params(0, client.offset_encoding), {
    context = { triggerKind = AUTOMATIC },
  })
  local tick = api.nvim_buf_get_changedtick(buf)
  local _, id = client:request(METHOD, params, function(err, result)
    asked[buf] = nil
    local here = api.nvim_get_current_buf() == buf and vim.startswith(api.nvim_get_mode().mode, 'i')
    if err or not result or not here or api.nvim_buf_get_changedtick(buf) ~= tick then
      return
    end
    local items = vim.tbl_map(function(item)
      return (item.insertText:gsub('\r\n?', '\n'))
    end, result.items or result)
    if #items > 0 and vim.deep_equal(api.nvim_win_get_cursor(0), { row + 1, col }) then
      ghosts[buf] = { items = items, index = 1, row = row, col = col }
      draw(buf)
    end
  end, buf)
  asked[buf] = id
end

--- On in the current buffer alone: 0.12-dev asks about every buffer that has it on, wherever the cursor is.
---@param buf integer
---@param group integer
local function enable_native(buf, group)
  local function enable(on)
    vim.lsp.inline_completion.enable(on, { bufnr = buf })
  end
  enable(api.nvim_get_current_buf() == buf)
  for event, on in pairs({ BufEnter = true, BufLeave = false }) do
    api.nvim_create_autocmd(event, {
      group = group,
      buffer = buf,
      callback = function()
        enable(on)
      end,
    })
  end
end

--- Shows suggestions in a buffer while the user types, or no longer, as the server's settings say now.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  local group = api.nvim_create_augroup('redraft.inline.' .. buf, {})
  if not vim.tbl_get(client, 'settings', 'redraft', 'inline', 'enable') then
    hide(buf)
    if native(buf) then
      vim.lsp.inline_completion.enable(false, { bufnr = buf })
    end
    return
  end
  if native(buf) then
    enable_native(buf, group)
    return
  end
  api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = buf,
    callback = function()
      if client:is_stopped() then
        return true
      end
      ask(client, buf)
    end,
  })
  api.nvim_create_autocmd('InsertLeave', {
    group = group,
    buffer = buf,
    callback = function()
      hide(buf)
    end,
  })
end

--- Replaces part of a line, and puts the cursor behind.
---@param buf integer
---@param row integer
---@param start integer
---@param stop integer
---@param text string
local function insert(buf, row, start, stop, text)
  local lines = vim.split(text, '\n', { plain = true })
  api.nvim_buf_set_text(buf, row, start, row, stop, lines)
  api.nvim_win_set_cursor(0, { row + #lines, (#lines == 1 and start or 0) + #lines[#lines] })
end

---@return boolean shown A suggestion stands at the cursor.
function M.visible()
  return ghosts[api.nvim_get_current_buf()] ~= nil
end

--- Neovim's own would put the whole suggestion where it was asked for, beside what the user has typed of it since.
---@param item vim.lsp.inline_completion.Item
local function accept_native(item)
  local text = item.insert_text --[[@as string]]
  local range = item.range --[[@as any]] -- its fields are others since 0.12.0-dev
  local row, start = range.start_row or range.start.row, range.start_col or range.start.col
  local cursor_row, col = unpack(api.nvim_win_get_cursor(0))
  if cursor_row - 1 == row and vim.startswith(text, api.nvim_get_current_line():sub(start + 1, col)) then
    insert(0, row, start, col, text)
  end
end

--- Takes the suggestion over. For an <expr> mapping: it happens right after.
---@return boolean done False when there is none, to fall back on.
function M.accept()
  local buf = api.nvim_get_current_buf()
  if native(buf) then
    return vim.lsp.inline_completion.get({ on_accept = accept_native })
  end
  local ghost = ghosts[buf]
  if not ghost or not vim.deep_equal(api.nvim_win_get_cursor(0), { ghost.row + 1, ghost.col }) then
    hide(buf)
    return false
  end
  vim.schedule(function()
    hide(buf)
    insert(buf, ghost.row, ghost.col, ghost.col, ghost.items[ghost.index])
  end)
  return true
end

--- Shows another suggestion for the same place.
---@param by integer
function M.select(by)
  local buf = api.nvim_get_current_buf()
  local ghost = ghosts[buf]
  if native(buf) then
    vim.lsp.inline_completion.select({ count = by })
  elseif ghost then
    ghost.index = (ghost.index - 1 + by) % #ghost.items + 1
    draw(buf)
  end
end

return M
