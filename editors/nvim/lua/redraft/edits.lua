--- Runs edits: asks the server, shows the denoising, puts what comes up for review.
local config = require('redraft.config')
local hunks = require('redraft.hunks')
local preview = require('redraft.preview')

local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('redraft.edits')

local CHANGED = 'the code changed while Redraft was working on it, nothing was changed: run it again'

---@class redraft.Running
---@field client_id integer
---@field uri string
---@field mark integer Extmark on the first line of what was asked for.
---@field lines string[] That text, as it was then.

---@type table<integer, redraft.Running?> By buffer.
local running = {}

---@param message string
function M.warn(message)
  vim.notify('Redraft: ' .. message, vim.log.levels.WARN)
end

--- The server of a buffer. Says how to get one when there is none.
---@param buf integer
---@return vim.lsp.Client?
function M.client(buf)
  local client = vim.lsp.get_clients({ bufnr = buf, name = 'redraft' })[1]
  if not client or not client.initialized then
    M.warn('no server for this file yet; :checkhealth redraft tells why')
    return nil
  end
  return client
end

--- Sends one of the server's commands.
---@param client vim.lsp.Client
---@param buf integer
---@param command string
---@param argument? table
---@param handler fun(err?: lsp.ResponseError, result: any)
function M.command(client, buf, command, argument, handler)
  client:request('workspace/executeCommand', { command = command, arguments = { argument } }, handler, buf)
end

---@param buf integer
---@return redraft.Running? The edit that was under way.
local function finish(buf)
  local edit = running[buf]
  running[buf] = nil
  preview.clear(buf)
  return edit
end

--- The row where the text asked about stands now; nil when it is no longer there.
---@param buf integer
---@param edit redraft.Running
---@return integer?
local function row_of(buf, edit)
  local row = api.nvim_buf_get_extmark_by_id(buf, namespace, edit.mark, {})[1]
  return vim.deep_equal(api.nvim_buf_get_lines(buf, row, row + #edit.lines, false), edit.lines) and row or nil
end

--- The row where a proposal's region begins now: it reaches beyond what was asked for, above or below, by lines that
--- belong to it.
---@param buf integer
---@param edit redraft.Running
---@param proposal redraft.Proposal
---@return integer?
local function start_of(buf, edit, proposal)
  local row = row_of(buf, edit)
  local first, last = preview.lines_of(proposal.range)
  if not row or vim.lsp.util.buf_versions[buf] == proposal.version then
    return row and first
  end
  local original = table.concat(hunks.split(proposal.original), '\n')
  for start = row, math.max(0, row - (last - first + 1 - #edit.lines)), -1 do
    local here = api.nvim_buf_get_lines(buf, start, start + last - first + 1, false)
    if (table.concat(here, '\n') .. '\n'):find(original, 1, true) then
      return start
    end
  end
  return nil
end

--- Cancels the edit as soon as the user changes the text that it is about: it could only be refused.
---@param buf integer
---@param edit redraft.Running
local function follow(buf, edit)
  api.nvim_buf_attach(buf, false, {
    on_lines = function()
      if running[buf] ~= edit then
        return true
      end
      vim.schedule(function()
        if running[buf] == edit and not row_of(buf, edit) then
          M.cancel(buf)
          M.warn(CHANGED)
        end
      end)
    end,
  })
end

---@param buf integer
---@param edit redraft.Running
---@param err? lsp.ResponseError
---@param outcome? redraft.Outcome
---@param encoding 'utf-8'|'utf-16'|'utf-32'
local function settle(buf, edit, err, outcome, encoding)
  if err then
    M.warn(err.message)
  elseif outcome and outcome.proposal and outcome.proposal ~= vim.NIL then
    if not vim.bo[buf].modifiable then
      M.warn("'modifiable' is off in this file, nothing was changed")
      return
    end
    local row = start_of(buf, edit, outcome.proposal)
    if not row or not require('redraft.suggestions').begin(buf, row, outcome.proposal, encoding) then
      M.warn(CHANGED)
    end
  end
  -- A refusal without a proposal: the server has told the user itself.
end

--- Edits a range. An older edit of the buffer is cancelled by the server.
---@param intent redraft.Intent
---@param buf integer
---@param argument redraft.Target
function M.run(intent, buf, argument)
  local client = M.client(buf)
  if not client then
    return
  end
  local first, last = preview.lines_of(argument.range)
  ---@type redraft.Running
  local edit = {
    client_id = client.id,
    uri = vim.uri_from_bufnr(buf),
    mark = api.nvim_buf_set_extmark(buf, namespace, first, 0, {}),
    lines = api.nvim_buf_get_lines(buf, first, last + 1, false),
  }
  running[buf] = edit
  follow(buf, edit)
  preview.begin(buf, first, last)
  local asked = vim.tbl_extend('force', argument, { uri = edit.uri, apply = not config.values.review })
  M.command(client, buf, 'redraft.' .. intent, asked, function(err, outcome)
    if not api.nvim_buf_is_valid(buf) then
      running[buf] = nil
      return
    end
    if running[buf] == edit then
      finish(buf)
      settle(buf, edit, err, outcome, client.offset_encoding)
    end
    api.nvim_buf_del_extmark(buf, namespace, edit.mark)
  end)
end

--- What a code action of the server asks for.
---@param intent redraft.Intent
---@param command lsp.Command
---@param context lsp.HandlerContext
function M.run_command(intent, command, context)
  local argument = assert(command.arguments)[1] --[[@as redraft.EditArgument]]
  local buf = assert(context.bufnr)
  if not argument.all then
    M.run(intent, buf, {
      range = argument.range,
      version = argument.version,
      instruction = argument.instruction,
      message = argument.message,
      guess = argument.guess,
    })
    return
  end
  local client = vim.lsp.get_client_by_id(context.client_id)
  if client then -- of the whole document: the server applies it itself
    M.command(client, buf, command.command, argument, function(err)
      if err then
        M.warn(err.message)
      end
    end)
  end
end

--- Draws a denoising state, unless it is of another version of the text: then the next one comes in milliseconds.
---@param state redraft.Denoise
function M.show(state)
  local buf, edit = vim.iter(pairs(running)):find(function(_, edit)
    return edit.uri == state.uri
  end)
  local client = edit and vim.lsp.get_client_by_id(edit.client_id)
  if client and config.values.animate and vim.lsp.util.buf_versions[buf] == state.version then
    preview.draw(buf, state, client.offset_encoding)
  end
end

---@param buf integer
---@return boolean under_way
function M.cancel(buf)
  local edit = finish(buf)
  local client = edit and vim.lsp.get_client_by_id(edit.client_id)
  if client then
    M.command(client, buf, 'redraft.cancel', { uri = vim.uri_from_bufnr(buf) }, function() end)
  end
  return edit ~= nil
end

--- The server is gone, and with it the edits it was working on.
---@param client_id integer
function M.abandon(client_id)
  for buf, edit in pairs(running) do
    if edit.client_id == client_id then
      finish(buf)
      M.warn('the server stopped during the edit, nothing was changed')
    end
  end
end

---@param buf integer
function M.under_way(buf)
  return running[buf] ~= nil
end

return M
