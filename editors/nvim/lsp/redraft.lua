-- The server as `vim.lsp.enable('redraft')` finds it, once this folder is on the runtime path.

---@type vim.lsp.Config
return {
  cmd = { 'redraft-lsp' },
  filetypes = { 'python' },
  root_markers = { '.redraft.toml', 'pyproject.toml', '.git' },
  settings = { redraft = vim.empty_dict() },
  -- The server takes what can start a program (engine.*, model.path) from here alone.
  before_init = function(params, config)
    params.initializationOptions = { settings = vim.tbl_get(config, 'settings', 'redraft') }
  end,
  -- Neovim does not ask for diagnostics again by itself after a change of settings.
  capabilities = { workspace = { diagnostics = { refreshSupport = true } } },
  handlers = {
    ['workspace/diagnostic/refresh'] = function(_, _, context)
      local client = assert(vim.lsp.get_client_by_id(context.client_id))
      for buf in pairs(client.attached_buffers) do
        client:request('textDocument/diagnostic', { textDocument = { uri = vim.uri_from_bufnr(buf) } }, nil, buf)
      end
      return vim.NIL
    end,
    ['redraft/status'] = function(_, status, context)
      require('redraft.status').update(context.client_id, status)
    end,
    ['redraft/denoise'] = function(_, state, context)
      require('redraft.status').step(context.client_id, state)
      require('redraft.edits').show(state)
    end,
  },
  -- Code actions come here, so that they are animated and reviewed like `:Redraft`.
  commands = {
    ['redraft.rewrite'] = function(command, context)
      require('redraft.edits').run_command('rewrite', command, context)
    end,
    ['redraft.fix'] = function(command, context)
      require('redraft.edits').run_command('fix', command, context)
    end,
    ['redraft.fill'] = function(command, context)
      require('redraft.edits').run_command('fill', command, context)
    end,
  },
  on_exit = function(_, _, client_id)
    vim.schedule(function()
      require('redraft.edits').abandon(client_id)
      require('redraft.status').forget(client_id)
    end)
  end,
}
