-- Defines :Redraft, the <Plug> maps and the colours. Loads nothing else until one of them is used.
if vim.g.loaded_redraft or vim.fn.has('nvim-0.11') == 0 then
  return
end
vim.g.loaded_redraft = true

vim.api.nvim_create_user_command('Redraft', function(arguments)
  require('redraft.commands').run(arguments)
end, {
  nargs = '+',
  range = true,
  bang = true,
  desc = 'Rewrite, fix or fill code in place',
  complete = function(lead, line)
    return require('redraft.commands').complete(lead, line:gsub('^.-Redraft!?%s', 'Redraft '))
  end,
})

local function plug(modes, name, action, options)
  vim.keymap.set(modes, ('<Plug>(redraft-%s)'):format(name), action, options)
end

for _, name in ipairs({ 'rewrite', 'fix', 'fill', 'next', 'prev', 'choose', 'accept', 'reject', 'cancel' }) do
  plug('n', name, ('<Cmd>Redraft %s<CR>'):format(name), { desc = 'Redraft: ' .. name })
end
for _, name in ipairs({ 'rewrite', 'fix', 'fill' }) do
  plug('x', name, (':Redraft %s<CR>'):format(name), { desc = 'Redraft: ' .. name, silent = true })
end
plug('n', 'accept-all', '<Cmd>Redraft accept all<CR>', { desc = 'Redraft: accept all changes' })
plug('n', 'reject-all', '<Cmd>Redraft reject all<CR>', { desc = 'Redraft: reject all changes' })
plug('n', 'rewrite-motion', function()
  return require('redraft.commands').operator()
end, { expr = true, desc = 'Redraft: rewrite what a motion covers' })
plug('i', 'inline-accept', function()
  return require('redraft.inline').accept() and '' or '<Tab>'
end, { expr = true, desc = 'Redraft: accept the inline suggestion, else Tab' })
plug('i', 'inline-next', function()
  require('redraft.inline').select(1)
end, { desc = 'Redraft: next inline suggestion' })
plug('i', 'inline-prev', function()
  require('redraft.inline').select(-1)
end, { desc = 'Redraft: previous inline suggestion' })

for name, link in pairs({
  RedraftRegion = 'CursorLine',
  RedraftText = 'Normal',
  RedraftChanged = 'DiffText',
  RedraftMask = 'Comment',
  RedraftAdd = 'DiffAdd',
  RedraftAddText = 'DiffText',
  RedraftDelete = 'DiffDelete',
  RedraftHint = 'Comment',
  RedraftGhost = 'Comment',
}) do
  vim.api.nvim_set_hl(0, name, { link = link, default = true })
end

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('redraft', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'redraft' then
      require('redraft.inline').attach(client, event.buf)
    end
  end,
})
