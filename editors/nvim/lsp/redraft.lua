-- Found by `vim.lsp.enable('redraft')` once this folder is on the runtime path (Neovim 0.11+).
---@type vim.lsp.Config
return {
  cmd = { 'redraft-lsp' },
  filetypes = { 'python' },
  root_markers = { 'pyproject.toml', '.redraft.toml', '.git' },
}
