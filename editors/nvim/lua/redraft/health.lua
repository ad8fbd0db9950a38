--- `:checkhealth redraft`: what is there, what is missing, and what to do about it.
local M = {}
local health = vim.health
local WAIT_MS = 10000

local DOCTOR = '`redraft doctor` in a terminal tells more'

local function check_neovim()
  health.start('Neovim')
  local version = tostring(vim.version()) ---@diagnostic disable-line: call-non-callable
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim ' .. version .. ' is too old', 'Install Neovim 0.11 or later')
    return false
  end
  health.ok('Neovim ' .. version)
  local native = vim.lsp.inline_completion ~= nil
  health.info('inline completion: ' .. (native and "Neovim's own" or "the plugin's (Neovim has its own from 0.12 on)"))
  return true
end

--- The server's executable: found, and able to say its version.
---@param cmd any
local function check_command(cmd)
  if type(cmd) ~= 'table' then
    health.info('the server is started by a function of your configuration')
    return
  end
  if vim.fn.executable(cmd[1]) == 0 then
    health.error(('%s cannot be run'):format(cmd[1]), {
      'Install the server from a clone of the repository: pip install . in a virtual environment of its own',
      "then name the program: vim.lsp.config('redraft', { cmd = { '/path/to/venv/bin/redraft-lsp' } })",
    })
    return
  end
  local done =
    vim.system(vim.list_extend(vim.list_slice(cmd), { '--version' }), { text = true, timeout = WAIT_MS }):wait()
  if done.code == 0 then
    health.ok(('%s: %s'):format(vim.fn.exepath(cmd[1]), vim.trim(done.stdout or '')))
  else
    local reason = vim.split(vim.trim(done.stderr or ''), '\n')
    health.error(('%s does not run: %s'):format(table.concat(cmd, ' '), reason[#reason]), DOCTOR)
  end
end

local function check_configuration()
  health.start('Configuration')
  local settings = vim.lsp.config['redraft'] ---@diagnostic disable-line: undefined-field
  if not settings then
    health.error('lsp/redraft.lua is not on the runtime path', 'Add editors/nvim to it, see :help redraft-install')
    return
  end
  if vim.lsp.is_enabled('redraft') then
    health.ok('enabled for ' .. table.concat(settings.filetypes or { 'every file type' }, ', '))
  else
    health.warn('not enabled: no file gets a server', "vim.lsp.enable('redraft'), or require('redraft').setup()")
  end
  check_command(settings.cmd)
  local inline = vim.tbl_get(settings, 'settings', 'redraft', 'inline', 'enable')
  if inline then
    health.ok('inline completion is on')
  else
    health.info('inline completion is off: settings.redraft.inline.enable turns it on')
  end
end

---@param client vim.lsp.Client
local function check_engine(client)
  local answer = client:request_sync('workspace/executeCommand', { command = 'redraft.status' }, WAIT_MS)
  local report = answer and answer.result
  if not report then
    health.error('the server does not answer', { ':Redraft restart', ':Redraft log has what it said' })
    return
  end
  if type(report.engine) ~= 'table' then
    health.error('no engine: ' .. report.message, { ':Redraft restart engine', DOCTOR })
    return
  end
  health.info(require('redraft.status').whereto(report))
  if report.kind == 'Warning' then
    health.warn(report.message) -- as when the embedded model stands in for the chosen one
  end
  local engine = report.engine
  local text = ('engine %s: model %s (%.1f million parameters) on %s, %.0f MB, %s'):format(
    engine.engine_version,
    engine.model,
    engine.parameters / 1e6,
    engine.device,
    engine.resident_mb,
    engine.message
  )
  if engine.state == 'failed' then
    health.error(text, { ':Redraft restart engine', DOCTOR })
  else
    health.ok(text)
  end
end

local function check_server()
  health.start('Server and engine')
  local clients = vim.lsp.get_clients({ name = 'redraft' })
  if #clients == 0 then
    health.warn('no server is running', {
      'Open a Python file, then run :checkhealth redraft again',
      'If it still says so: :Redraft log has what the server said',
    })
    return
  end
  for _, client in ipairs(clients) do
    local info = client.server_info or {}
    health.ok(
      ('server %s (client %d): %d buffer(s), root %s, positions in %s'):format(
        info.version or '?',
        client.id,
        vim.tbl_count(client.attached_buffers),
        client.root_dir or 'none',
        client.offset_encoding
      )
    )
    check_engine(client)
  end
end

function M.check()
  if check_neovim() then
    check_configuration()
    check_server()
    health.start('Logs')
    health.info('server: ' .. require('vim.lsp.log').get_filename() .. ' (:Redraft log)')
  end
end

return M
