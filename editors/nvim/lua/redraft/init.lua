--- Redraft for Neovim: what a user's configuration calls. The work is in the modules beside this one.
local M = {}

--- Sets options and starts the server for the files it is meant for. Optional: `vim.lsp.enable('redraft')` does too.
---@param options? redraft.Options
function M.setup(options)
  require('redraft.config').set(options or {})
  vim.lsp.enable('redraft')
end

--- For the status line: `%{%v:lua.require'redraft'.statusline()%}`.
---@return string
function M.statusline()
  return require('redraft.status').statusline()
end

return M
