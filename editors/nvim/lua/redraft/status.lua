--- What Redraft is doing and why it is not, in words.
local M = {}

---@type table<integer, redraft.Status?> By client.
local statuses = {}
---@type table<integer, string?> "3/12" while an edit is under way, by client.
local steps = {}

local function changed()
  vim.schedule(vim.cmd.redrawstatus)
end

---@param client_id integer
---@param status redraft.Status
function M.update(client_id, status)
  if status.remote == vim.NIL then
    status.remote = nil
  end
  statuses[client_id] = status
  steps[client_id] = nil
  changed()
end

---@param client_id integer
---@param state redraft.Denoise
function M.step(client_id, state)
  steps[client_id] = ('%d/%d'):format(state.step, state.of)
  changed()
end

---@param client_id integer
function M.forget(client_id)
  statuses[client_id], steps[client_id] = nil, nil
  changed()
end

--- For the status line: empty where there is no server, else "redraft", the host that code is sent to, if any, and
--- what there is to say.
---@param buf? integer
---@return string
function M.statusline(buf)
  buf = buf or vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ bufnr = buf, name = 'redraft' })[1]
  if not client then
    return ''
  end
  local status = statuses[client.id]
  local more = require('redraft.suggestions').describe(buf)
  if status and status.busy then
    more = steps[client.id] and 'step ' .. steps[client.id] or status.message
  elseif status and status.kind ~= 'Normal' then
    more = status.message
  end
  local name = status and status.remote and 'redraft@' .. status.remote or 'redraft'
  local text = more and name .. ': ' .. more or name
  return (text:gsub('%%', '%%%%'))
end

--- Whether code leaves this machine, in words.
---@param status redraft.Status
---@return string
function M.whereto(status)
  local remote = status.remote
  return type(remote) == 'string' and 'edits send code to ' .. remote or 'code stays on this machine'
end

--- Asks the engine, and hands over lines that say how it is.
---@param client vim.lsp.Client
---@param buf integer
---@param handler fun(lines: string[], ok: boolean)
function M.report(client, buf, handler)
  require('redraft.edits').command(client, buf, 'redraft.status', nil, function(err, report)
    if err or not report then
      handler({ err and err.message or 'the server does not answer' }, false)
      return
    end
    ---@cast report redraft.StatusReport
    local lines, engine = { report.message, M.whereto(report) }, report.engine
    if type(engine) == 'table' then
      vim.list_extend(lines, {
        ('engine %s: %s'):format(engine.engine_version, engine.message),
        ('model %s, %.1f million parameters, on %s'):format(engine.model, engine.parameters / 1e6, engine.device),
        ('process %d, %.0f MB, %d edits in %.0f s'):format(
          engine.pid,
          engine.resident_mb,
          engine.edits,
          engine.uptime_s
        ),
      })
    end
    handler(lines, report.kind ~= 'Error')
  end)
end

return M
