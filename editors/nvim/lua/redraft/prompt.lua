--- The floating window for an instruction: one line, with a memory, and the presets on Tab.
local M = {}
local api = vim.api
local WARM_AFTER_MS = 300

---@type string[] Oldest first, of this session.
local history = {}

---@param instruction string
local function remember(instruction)
  if instruction ~= '' then
    history = vim.tbl_filter(function(former)
      return former ~= instruction
    end, history)
    table.insert(history, instruction)
  end
end

--- Below the lines that it is about, where there is room; else at the cursor.
---@param last integer 0-based.
---@return vim.api.keyset.win_config
local function place(last)
  local below = vim.fn.screenpos(0, last + 1, 1).row
  if below > 0 and below + 3 < vim.o.lines - vim.o.cmdheight then
    return { relative = 'win', bufpos = { last, 0 }, row = 1, col = 0 }
  end
  local room = vim.fn.winline() < api.nvim_win_get_height(0) - 4
  return { relative = 'cursor', anchor = room and 'NW' or 'SW', row = room and 1 or 0, col = 0 }
end

---@param buf integer
---@param options redraft.Prompt
---@return integer window
local function open(buf, options)
  local presets = #options.presets > 0 and '   Tab: presets' or ''
  local footer = (' Enter: go   Up: earlier%s   Esc: leave '):format(presets)
  local look = {
    width = math.max(20, math.min(72, vim.o.columns - 4)),
    height = 1,
    style = 'minimal',
    border = 'rounded',
    title = (' %s: what should change? '):format(options.title),
    footer = footer,
  }
  return api.nvim_open_win(buf, true, vim.tbl_extend('error', place(options.last), look))
end

---@param buf integer
---@param on_change fun(text: string)
---@return fun() stop
local function debounced(buf, on_change)
  local timer = assert(vim.uv.new_timer())
  local function text()
    return api.nvim_buf_is_valid(buf) and api.nvim_buf_get_lines(buf, 0, 1, false)[1] or ''
  end
  api.nvim_buf_attach(buf, false, {
    on_lines = function()
      if timer:is_closing() then
        return true
      end
      timer:start(
        WARM_AFTER_MS,
        0,
        vim.schedule_wrap(function()
          if not timer:is_closing() then
            on_change(text())
          end
        end)
      )
    end,
  })
  return function()
    timer:stop()
    timer:close()
  end
end

---@class redraft.Prompt
---@field title string
---@field last integer The last line that it is about, 0-based.
---@field presets string[]
---@field on_change fun(text: string) Called when typing pauses.

--- Asks for a line. `done` gets it (it may be empty), or nil when the user left.
---@param options redraft.Prompt
---@param done fun(text?: string)
function M.ask(options, done)
  local buf = api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = 'redraft-prompt'
  local window = open(buf, options)
  local stop = debounced(buf, options.on_change)
  local answered = false
  local function close(text)
    if answered then
      return
    end
    answered = true
    stop()
    vim.cmd.stopinsert()
    if api.nvim_win_is_valid(window) then
      api.nvim_win_close(window, true)
    end
    done(text)
  end
  local function set(text)
    api.nvim_buf_set_lines(buf, 0, -1, false, { text })
    api.nvim_win_set_cursor(window, { 1, #text })
  end
  local function walk(list)
    local at = 0
    return function(by)
      if #list == 0 then
        return
      end
      at = math.max(0, math.min(#list, at + by))
      set(at == 0 and '' or list[at])
    end
  end
  local earlier, preset = walk(vim.fn.reverse(vim.list_slice(history))), walk(options.presets)
  local function map(modes, key, action)
    vim.keymap.set(modes, key, action, { buffer = buf, nowait = true })
  end
  map({ 'i', 'n' }, '<CR>', function()
    local text = vim.trim(api.nvim_buf_get_lines(buf, 0, 1, false)[1])
    remember(text)
    close(text)
  end)
  map({ 'i', 'n' }, '<Esc>', close)
  map({ 'i', 'n' }, '<C-c>', close)
  for key, action in pairs({
    ['<Up>'] = { earlier, 1 },
    ['<Down>'] = { earlier, -1 },
    ['<Tab>'] = { preset, 1 },
    ['<S-Tab>'] = { preset, -1 },
  }) do
    map('i', key, function()
      action[1](action[2])
    end)
  end
  api.nvim_create_autocmd('WinLeave', {
    buffer = buf,
    once = true,
    callback = function()
      vim.schedule(close)
    end,
  })
  vim.cmd.startinsert()
end

return M
