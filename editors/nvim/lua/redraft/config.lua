--- What the plugin itself can be told. The server's settings are the server's business.
local M = {}

---@class redraft.Options
---@field cmd? string[] The language server; default { 'redraft-lsp' }.
---@field filetypes? string[] Default { 'python' }.
---@field settings? table The server's settings, without the leading "redraft".
---@field review? boolean Put suggestions up for review, change by change; default true.
---@field animate? boolean Draw the denoising over the text; default true.

---@class redraft.Config
---@field review boolean
---@field animate boolean
M.values = { review = true, animate = true }

--- Servers that run already: what they read from the editor counts at once, the engine's after a restart.
---@param settings table<string, any>
local function tell_servers(settings)
  for _, client in ipairs(vim.lsp.get_clients({ name = 'redraft' })) do
    client.settings = vim.tbl_deep_extend('force', client.settings, settings)
    client:notify('workspace/didChangeConfiguration', { settings = client.settings })
    for buf in pairs(client.attached_buffers) do
      require('redraft.inline').attach(client, buf)
    end
  end
end

---@param options redraft.Options
function M.set(options)
  vim.validate('options', options, 'table')
  vim.validate('cmd', options.cmd, 'table', true)
  vim.validate('filetypes', options.filetypes, 'table', true)
  vim.validate('settings', options.settings, 'table', true)
  vim.validate('review', options.review, 'boolean', true)
  vim.validate('animate', options.animate, 'boolean', true)
  for name in pairs(options) do
    if not vim.list_contains({ 'cmd', 'filetypes', 'settings', 'review', 'animate' }, name) then
      error(('redraft: %q is not an option, see :help redraft-setup'):format(name), 0)
    end
  end
  M.values.review = options.review ~= false
  M.values.animate = options.animate ~= false
  local settings = options.settings and not vim.tbl_isempty(options.settings) and { redraft = options.settings } or nil
  vim.lsp.config('redraft', { cmd = options.cmd, filetypes = options.filetypes, settings = settings })
  if settings then
    tell_servers(settings)
  end
end

return M
