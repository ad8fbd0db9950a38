--- Reviews: the suggestion stands in the buffer, and each of its changes waits to be accepted or rejected.
--- All of a review is one undo step. An edit inside its lines by somebody else ends it and leaves the text as it is.
local hunks = require('redraft.hunks')
local preview = require('redraft.preview')

local M = {}
local api = vim.api
local marks = api.nvim_create_namespace('redraft.suggestions')

---@alias redraft.Decision 'pending'|'accepted'|'rejected'

---@class redraft.Review
---@field buf integer
---@field candidates redraft.Candidate[]
---@field index integer The candidate in place.
---@field before string[] The lines of the region as they were.
---@field variants string[][] The lines with each candidate.
---@field anchor integer Extmark on the region's first line.
---@field hunks redraft.Hunk[]
---@field decisions redraft.Decision[]
---@field tick integer Of the buffer after the review's last change.
---@field busy boolean The change under way is the review's own.

---@type table<integer, redraft.Review?> By buffer.
local reviews = {}
local anchors = api.nvim_create_namespace('redraft.anchors')

---@param review redraft.Review
local function row_of(review)
  return api.nvim_buf_get_extmark_by_id(review.buf, anchors, review.anchor, {})[1]
end

---@param review redraft.Review
---@param decisions? redraft.Decision[]
---@return string[]
local function text_of(review, decisions)
  decisions = decisions or review.decisions
  return hunks.compose(review.before, review.hunks, function(i)
    return decisions[i] ~= 'rejected'
  end)
end

---@param review redraft.Review
---@param lines string[]
---@return boolean
local function holds(review, lines)
  local row = row_of(review)
  return vim.deep_equal(api.nvim_buf_get_lines(review.buf, row, row + #lines, false), lines)
end

---@class redraft.Placed: redraft.Hunk
---@field index integer
---@field row integer
---@field rows integer

--- The changes that wait for a decision, where they stand now.
---@param review redraft.Review
---@return redraft.Placed[]
local function pending(review)
  local found, shift = {}, row_of(review)
  for i, hunk in ipairs(review.hunks) do
    local rows = review.decisions[i] == 'rejected' and #hunk.old or #hunk.new
    if review.decisions[i] == 'pending' then
      table.insert(found, vim.tbl_extend('error', hunk, { index = i, row = hunk.start + shift, rows = rows }))
    end
    shift = shift + rows - #hunk.old
  end
  return found
end

---@param review redraft.Review
---@param hunk redraft.Placed
---@param hint string
local function draw_hunk(review, hunk, hint)
  local function mark(row, col, options)
    api.nvim_buf_set_extmark(review.buf, marks, row, col, options)
  end
  if #hunk.new > 0 then
    preview.highlight_lines(review.buf, marks, hunk.row, hunk.row + #hunk.new - 1, 'RedraftAdd')
  end
  if #hunk.old == #hunk.new then
    for i, line in ipairs(hunk.new) do
      local first, last = hunks.changed(hunk.old[i], line)
      mark(hunk.row + i - 1, first, { end_col = last, hl_group = 'RedraftAddText' })
    end
  end
  local last = api.nvim_buf_line_count(review.buf) - 1
  if #hunk.old > 0 then
    mark(math.min(hunk.row, last), 0, {
      virt_lines = vim.tbl_map(function(line)
        return { { line:gsub('\t', (' '):rep(vim.bo[review.buf].tabstop)), 'RedraftDelete' } }
      end, hunk.old),
      virt_lines_above = hunk.row <= last,
    })
  end
  mark(math.min(hunk.row, last), 0, {
    virt_text = { { hint, 'RedraftHint' } },
    virt_text_pos = 'eol',
    hl_mode = 'combine',
  })
end

---@param review redraft.Review
local function draw(review)
  api.nvim_buf_clear_namespace(review.buf, marks, 0, -1)
  local waiting = pending(review)
  for n, hunk in ipairs(waiting) do
    local hint = ('  change %d of %d'):format(n, #waiting)
    if n == 1 and #review.candidates > 1 then
      hint = ('%s, suggestion %d of %d'):format(hint, review.index, #review.candidates)
    end
    draw_hunk(review, hunk, hint)
  end
  vim.cmd.redrawstatus()
end

---@param review redraft.Review
local function finish(review)
  reviews[review.buf] = nil
  if api.nvim_buf_is_valid(review.buf) then
    api.nvim_buf_clear_namespace(review.buf, marks, 0, -1)
    api.nvim_buf_del_extmark(review.buf, anchors, review.anchor)
    vim.cmd.redrawstatus()
  end
end

--- Ends the review when its lines are no longer its own: after an edit inside them, or an undo.
---@param review redraft.Review
local function follow(review)
  api.nvim_buf_attach(review.buf, false, {
    on_lines = function()
      if reviews[review.buf] ~= review then
        return true
      end
      if not review.busy then
        vim.schedule(function()
          if reviews[review.buf] == review and not holds(review, text_of(review)) then
            finish(review)
          end
        end)
      end
    end,
    on_reload = function()
      finish(review)
    end,
    on_detach = function()
      reviews[review.buf] = nil
    end,
  })
end

--- Brings the region to `wanted`, within the review's one undo step.
---@param review redraft.Review
---@param wanted string[]
---@return boolean done False when the lines are no longer the review's.
local function put(review, wanted)
  local present = #review.hunks > 0 and text_of(review) or review.before
  if not vim.bo[review.buf].modifiable or not holds(review, present) then
    return false
  end
  local buf, row = review.buf, row_of(review)
  review.busy = true
  api.nvim_buf_call(buf, function()
    if api.nvim_buf_get_changedtick(buf) == review.tick then
      pcall(vim.cmd.undojoin) -- refused after an undo; then it is a step of its own
    else
      vim.bo.undolevels = vim.bo.undolevels -- what the user types meanwhile is not part of it
    end
    for _, hunk in vim.iter(hunks.between(present, wanted)):rev():enumerate() do
      local at = row + hunk.start
      api.nvim_buf_set_lines(buf, at, at + #hunk.old, false, hunk.new)
    end
  end)
  -- An extmark on a line that is replaced may move.
  api.nvim_buf_set_extmark(buf, anchors, row, 0, { id = review.anchor })
  review.tick = api.nvim_buf_get_changedtick(buf)
  review.busy = false
  return true
end

--- Puts the cursor on a waiting change, in the window that shows the buffer.
---@param review redraft.Review
---@param from? integer The first one from this number on; default the first.
local function go_to(review, from)
  local waiting = pending(review)
  local target = vim.iter(waiting):find(function(hunk)
    return hunk.index >= (from or 1)
  end) or waiting[1]
  local window = vim.fn.bufwinid(review.buf)
  if not target or window == -1 then
    return
  end
  local row = math.min(target.row, api.nvim_buf_line_count(review.buf) - 1)
  api.nvim_win_set_cursor(window, { row + 1, 0 })
  api.nvim_win_call(window, function()
    vim.cmd.normal({ '^', bang = true })
    if vim.fn.line('w0') == 1 then -- lines above the first one are seen only when asked for
      vim.fn.winrestview({ topline = 1, topfill = row == 0 and #target.old or 0 })
    end
  end)
end

---@param review redraft.Review
---@param index integer
---@return boolean
local function show(review, index)
  local wanted = review.variants[index]
  if not put(review, wanted) then
    return false
  end
  review.index, review.hunks = index, hunks.between(review.before, wanted)
  review.decisions = vim.tbl_map(function()
    return 'pending'
  end, review.hunks)
  draw(review)
  go_to(review)
  return true
end

--- Puts the first candidate of `proposal` in place. An older review of the buffer counts as accepted.
---@param buf integer
---@param row integer Where the region begins now.
---@param proposal redraft.Proposal
---@param encoding 'utf-8'|'utf-16'|'utf-32' Of the positions in it.
---@return boolean done False when the text is no longer there.
function M.begin(buf, row, proposal, encoding)
  if reviews[buf] then
    finish(reviews[buf])
  end
  local first, last = preview.lines_of(proposal.range)
  local whole = last < proposal.range['end'].line
  local head = api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local tail = api.nvim_buf_get_lines(buf, row + last - first, row + last - first + 1, false)[1] or ''
  head = head:sub(1, vim.str_byteindex(head, encoding, proposal.range.start.character, false))
  tail = whole and '' or tail:sub(vim.str_byteindex(tail, encoding, proposal.range['end'].character, false) + 1)
  local function lines(text)
    local found = hunks.split(head .. text .. tail)
    if whole and found[#found] == '' then
      table.remove(found)
    end
    return found
  end
  ---@type redraft.Review
  local review = {
    buf = buf,
    candidates = proposal.candidates,
    index = 1,
    before = lines(proposal.original),
    variants = vim.tbl_map(function(candidate)
      return lines(candidate.text)
    end, proposal.candidates),
    anchor = api.nvim_buf_set_extmark(buf, anchors, row, 0, {}),
    hunks = {},
    decisions = {},
    tick = -1,
    busy = false,
  }
  if not show(review, 1) then
    api.nvim_buf_del_extmark(buf, anchors, review.anchor)
    return false
  end
  reviews[buf] = review
  follow(review)
  return true
end

---@param review redraft.Review
---@param decisions redraft.Decision[]
local function decide(review, decisions)
  local changed = not vim.deep_equal(text_of(review), text_of(review, decisions))
  if changed and not put(review, text_of(review, decisions)) then
    finish(review)
    return
  end
  review.decisions = decisions
  if vim.list_contains(decisions, 'pending') then
    draw(review)
  else
    finish(review)
  end
end

--- Decides the change at or after the cursor, and goes to the next.
---@param buf integer
---@param decision 'accepted'|'rejected'
---@return boolean found There is something to decide.
function M.decide(buf, decision)
  local review = reviews[buf]
  if not review then
    return false
  end
  local waiting = pending(review)
  local cursor = api.nvim_win_get_cursor(0)[1] - 1
  local chosen = vim.iter(waiting):find(function(hunk)
    return cursor < hunk.row + math.max(1, hunk.rows)
  end) or waiting[#waiting]
  local decisions = vim.deepcopy(review.decisions)
  decisions[chosen.index] = decision
  decide(review, decisions)
  if reviews[buf] == review then
    go_to(review, chosen.index + 1)
  end
  return true
end

--- Decides all that is pending. Nothing else having changed, rejecting is an undo: the file is as unmodified as before.
---@param buf integer
---@param decision 'accepted'|'rejected'
---@return boolean found
function M.decide_all(buf, decision)
  local review = reviews[buf]
  if not review then
    return false
  end
  local untouched = #pending(review) == #review.decisions and api.nvim_buf_get_changedtick(buf) == review.tick
  if decision == 'rejected' and untouched then
    review.busy = true
    api.nvim_buf_call(buf, function()
      vim.cmd.undo({ mods = { silent = true } })
    end)
    review.busy = false
    if holds(review, review.before) then
      finish(review)
      return true
    end
  end
  decide(
    review,
    vim.tbl_map(function(former)
      return former == 'pending' and decision or former
    end, review.decisions)
  )
  return true
end

--- Puts another candidate in place; decisions start anew.
---@param buf integer
---@param by integer
---@return boolean found
function M.switch(buf, by)
  local review = reviews[buf]
  if not review then
    return false
  end
  if not show(review, (review.index - 1 + by) % #review.candidates + 1) then
    finish(review)
  end
  return true
end

--- A list to choose the candidate from.
---@param buf integer
---@return boolean found
function M.choose(buf)
  local review = reviews[buf]
  if not review then
    return false
  end
  vim.ui.select(vim.fn.range(1, #review.candidates), {
    prompt = 'Redraft: suggestions',
    format_item = function(i)
      local changes = hunks.between(review.before, review.variants[i])
      local first = vim
        .iter(changes)
        :map(function(hunk)
          return hunk.new[1]
        end)
        :next()
      local parses = ({ [true] = '', [false] = ', does not parse' })[review.candidates[i].parses] or ''
      return ('%d change%s%s: %s'):format(#changes, #changes == 1 and '' or 's', parses, vim.trim(first or ''))
    end,
  }, function(i)
    if i and reviews[buf] == review then
      M.switch(buf, (i - review.index) --[[@as integer]])
    end
  end)
  return true
end

--- For the status line: which candidate is in place and how many changes wait. Nil: no review.
---@param buf integer
---@return string?
function M.describe(buf)
  local review = reviews[buf]
  if not review then
    return nil
  end
  local waiting = #pending(review)
  return ('suggestion %d/%d, %d change%s'):format(review.index, #review.candidates, waiting, waiting == 1 and '' or 's')
end

return M
