--- `:Redraft`: one function for each subcommand, and its completion.
local edits = require('redraft.edits')
local preview = require('redraft.preview')
local suggestions = require('redraft.suggestions')
local targets = require('redraft.targets')

local M = {}
local api = vim.api

---@class redraft.Call
---@field buf integer
---@field range? redraft.Range
---@field words string[] What follows the subcommand.
---@field bang boolean

---@param message string
local function tell(message)
  vim.notify('Redraft: ' .. message, vim.log.levels.INFO)
end

--- The instructions that the settings hold ready.
---@return string[]
local function presets()
  local client = vim.lsp.get_clients({ bufnr = 0, name = 'redraft' })[1]
  return client and vim.tbl_get(client, 'settings', 'redraft', 'instructions') or {}
end

---@param call redraft.Call
local function rewrite(call)
  local client = edits.client(call.buf)
  if not client then
    return
  end
  local target = targets.rewrite(call.range)
  target.version = vim.lsp.util.buf_versions[call.buf] -- the server refuses when the text is another by then
  local function go(instruction)
    target.instruction = instruction ~= '' and instruction or nil
    edits.run('rewrite', call.buf, target)
  end
  local given = table.concat(call.words, ' ')
  if given ~= '' or call.bang then
    go(given)
    return
  end
  local function warm(instruction)
    local likely = { uri = vim.uri_from_bufnr(call.buf), intent = 'rewrite', instruction = instruction }
    likely = vim.tbl_extend('error', likely, target)
    edits.command(client, call.buf, 'redraft.warm', likely, function() end) -- the edit itself will complain
  end
  warm('')
  local first, last = preview.lines_of(target.range)
  preview.begin(call.buf, first, last)
  local prompt = { title = 'Rewrite', last = last, presets = presets(), on_change = warm }
  require('redraft.prompt').ask(prompt, function(instruction)
    preview.clear(call.buf)
    if instruction then
      go(instruction)
    end
  end)
end

---@param intent 'fix'|'fill'
---@return fun(call: redraft.Call)
local function at_target(intent)
  return function(call)
    local client = edits.client(call.buf)
    if client then
      edits.run(intent, call.buf, targets[intent](call.buf, client.offset_encoding, call.range))
    end
  end
end

--- Unsure fixes of lines that parse, to be looked at.
---@param call redraft.Call
local function guess(call)
  if edits.client(call.buf) then
    edits.run('fix', call.buf, vim.tbl_extend('error', targets.rewrite(call.range), { guess = true }))
  end
end

--- Another suggestion: of the review, else of the edit that the server applied last.
---@param by integer
---@return fun(call: redraft.Call)
local function switch(by)
  return function(call)
    if suggestions.switch(call.buf, by) then
      return
    end
    local client = edits.client(call.buf)
    if client then
      local command = by > 0 and 'redraft.nextSuggestion' or 'redraft.previousSuggestion'
      edits.command(client, call.buf, command, { uri = vim.uri_from_bufnr(call.buf) }, function(err)
        if err then
          edits.warn(err.message)
        end
      end)
    end
  end
end

---@param decision 'accepted'|'rejected'
---@return fun(call: redraft.Call)
local function decide(decision)
  return function(call)
    local all = call.bang or call.words[1] == 'all'
    if not (all and suggestions.decide_all or suggestions.decide)(call.buf, decision) then
      tell('there is no suggestion to review in this file')
    end
  end
end

---@param call redraft.Call
local function choose(call)
  if not suggestions.choose(call.buf) then
    tell('there is no suggestion to review in this file')
  end
end

---@param call redraft.Call
local function cancel(call)
  if not edits.cancel(call.buf) then
    tell('nothing is under way in this file')
  end
end

---@param call redraft.Call
local function status(call)
  local client = edits.client(call.buf)
  if client then
    require('redraft.status').report(client, call.buf, function(lines, ok)
      vim.notify('Redraft: ' .. table.concat(lines, '\n  '), ok and vim.log.levels.INFO or vim.log.levels.ERROR)
    end)
  end
end

local function log()
  vim.cmd.tabedit(vim.fn.fnameescape(require('vim.lsp.log').get_filename()))
  vim.bo.readonly = true
  vim.cmd.normal({ 'G', bang = true })
end

---@param call redraft.Call
local function restart_engine(call)
  local client = edits.client(call.buf)
  if client then
    edits.command(client, call.buf, 'redraft.restartEngine', nil, function(err, outcome)
      tell(err and err.message or ('engine ' .. outcome.message))
    end)
  end
end

--- Stops the server and starts it for the same buffers, with the configuration as it is now.
---@param client vim.lsp.Client
local function restart_server(client)
  local buffers = vim.tbl_keys(client.attached_buffers)
  client:stop()
  local timer, tries = assert(vim.uv.new_timer()), 0
  timer:start(
    50,
    50,
    vim.schedule_wrap(function()
      tries = tries + 1
      if timer:is_closing() then
        return
      elseif not client:is_stopped() then
        if tries == 40 then
          client:stop(true)
        end
        return
      end
      timer:close()
      local now = { root_dir = client.root_dir }
      local configured = vim.lsp.config['redraft'] --[[@as table]] ---@diagnostic disable-line: undefined-field
      local settings = vim.tbl_extend('force', client.config, configured, now) --[[@as vim.lsp.ClientConfig]]
      for _, buf in ipairs(vim.tbl_filter(api.nvim_buf_is_valid, buffers)) do
        vim.lsp.start(settings, { bufnr = buf })
      end
      tell('server restarted')
    end)
  )
end

---@param call redraft.Call
local function restart(call)
  if call.words[1] == 'engine' then
    restart_engine(call)
    return
  end
  local clients = vim.lsp.get_clients({ name = 'redraft' })
  if #clients == 0 then
    vim.lsp.enable('redraft')
  end
  vim.iter(clients):each(restart_server)
end

local function all()
  return { 'all' }
end

local function servers()
  return { 'server', 'engine' }
end

---@class redraft.Subcommand
---@field run fun(call: redraft.Call)
---@field words? fun(): string[] What may follow it.

---@type table<string, redraft.Subcommand>
M.subcommands = {
  rewrite = { run = rewrite, words = presets },
  fix = { run = at_target('fix') },
  guess = { run = guess },
  fill = { run = at_target('fill') },
  next = { run = switch(1) },
  prev = { run = switch(-1) },
  choose = { run = choose },
  accept = { run = decide('accepted'), words = all },
  reject = { run = decide('rejected'), words = all },
  cancel = { run = cancel },
  status = { run = status },
  log = { run = log },
  restart = { run = restart, words = servers },
}

---@param arguments vim.api.keyset.create_user_command.command_args
function M.run(arguments)
  local words = vim.list_slice(arguments.fargs)
  local subcommand = M.subcommands[table.remove(words, 1)]
  if not subcommand then
    edits.warn('there is no such subcommand: use ' .. table.concat(M.names(), ', '))
    return
  end
  local first, last = arguments.line1, arguments.line2
  local visual = first == vim.fn.line("'<") and last == vim.fn.line("'>") and vim.fn.visualmode() == 'v'
  subcommand.run({
    buf = api.nvim_get_current_buf(),
    range = arguments.range > 0 and { first = first, last = last, exact = visual } or nil,
    words = words,
    bang = arguments.bang,
  })
end

---@return string[]
function M.names()
  local names = vim.tbl_keys(M.subcommands)
  table.sort(names)
  return names
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local before = vim.split(vim.trim(line:sub(1, #line - #lead)), '%s+')
  local subcommand = M.subcommands[before[2] or '']
  local words = #before == 1 and M.names()
    or subcommand and #before == 2 and subcommand.words and subcommand.words()
    or {}
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, words)
end

--- The operator that rewrites what a motion covers.
function M.operator()
  vim.go.operatorfunc = "v:lua.require'redraft.commands'.rewrite_motion"
  return 'g@'
end

function M.rewrite_motion()
  local first, last = api.nvim_buf_get_mark(0, '[')[1], api.nvim_buf_get_mark(0, ']')[1]
  rewrite({ buf = api.nvim_get_current_buf(), range = { first = first, last = last }, words = {}, bang = false })
end

return M
