--- Draws the denoising: every streamed state over the text that it is about to replace. Never changes a text.
local hunks = require('redraft.hunks')

local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('redraft.preview')
local MASK = '░'
-- The region's ground goes under what changed, and over the ground of Normal.
local TEXT, MASKED = { 'RedraftText', 'RedraftRegion' }, { 'RedraftMask', 'RedraftRegion' }
local CHANGED = { 'RedraftRegion', 'RedraftChanged' }

--- Without the line on which a range of whole lines ends, at its very start.
---@param range lsp.Range
---@return integer first, integer last 0-based, both inclusive.
function M.lines_of(range)
  local first, last = range.start.line, range['end'].line
  return first, range['end'].character == 0 and last > first and last - 1 or last
end

---@alias redraft.Chunk [string, string[]] Text and its highlights, as in virtual text.

--- Appends a text, its masks in a colour of their own. Tabs do not align in virtual text.
---@param found redraft.Chunk[]
---@param text string
---@param group string[]
---@param tabstop integer
local function append(found, text, group, tabstop)
  text = text:gsub('\t', (' '):rep(tabstop))
  while text ~= '' do
    local start = text:find(MASK, 1, true)
    if start ~= 1 then
      table.insert(found, { text:sub(1, (start or 0) - 1), group })
      text = start and text:sub(start) or ''
    else
      local stop = #MASK
      while text:sub(stop + 1, stop + #MASK) == MASK do
        stop = stop + #MASK
      end
      table.insert(found, { text:sub(1, stop), MASKED })
      text = text:sub(stop + 1)
    end
  end
end

---@class redraft.Drawn One line of a denoising state.
---@field text string
---@field changed [integer, integer][] What the last step changed: first and last byte, 0-based, last exclusive.

--- A line as virtual text, filled up with spaces to cover what is below it.
---@param line redraft.Drawn
---@param tabstop integer
---@param width integer
---@return redraft.Chunk[]
local function chunks(line, tabstop, width)
  local found, at = {}, 0
  for _, part in ipairs(line.changed) do
    append(found, line.text:sub(at + 1, part[1]), TEXT, tabstop)
    append(found, line.text:sub(part[1] + 1, part[2]), CHANGED, tabstop)
    at = part[2]
  end
  append(found, line.text:sub(at + 1), TEXT, tabstop)
  local filled = vim.iter(found):fold(0, function(sum, chunk)
    return sum + vim.fn.strdisplaywidth(chunk[1])
  end)
  append(found, (' '):rep(width - filled), TEXT, tabstop)
  return found
end

--- The lines of a state's own text, with what the step has changed in them.
---@param state redraft.Denoise
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return redraft.Drawn[]
local function state_lines(state, encoding)
  ---@return redraft.Drawn
  local lines = vim.tbl_map(function(text)
    return { text = text, changed = {} }
  end, hunks.split(state.text))
  for _, range in ipairs(state.changed) do
    for row = range.start.line, range['end'].line do
      local line = assert(lines[row + 1])
      local function byte(position, otherwise)
        return row == position.line and vim.str_byteindex(line.text, encoding, position.character, false) or otherwise
      end
      table.insert(line.changed, { byte(range.start, 0), byte(range['end'], #line.text) })
    end
  end
  return lines
end

--- The lines that the document would have with `state.text` in its place.
---@param buf integer
---@param state redraft.Denoise
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return redraft.Drawn[]
local function wanted_lines(buf, state, encoding)
  local first, last = M.lines_of(state.range)
  local lines = state_lines(state, encoding)
  if last < state.range['end'].line then
    if lines[#lines].text == '' then
      table.remove(lines)
    end
    return lines
  end
  local function line(row)
    return api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  end
  local head, tail = line(first), line(last)
  head = head:sub(1, vim.str_byteindex(head, encoding, state.range.start.character, false))
  lines[1].text = head .. lines[1].text
  lines[1].changed = vim.tbl_map(function(part)
    return { part[1] + #head, part[2] + #head }
  end, lines[1].changed)
  lines[#lines].text = lines[#lines].text
    .. tail:sub(vim.str_byteindex(tail, encoding, state.range['end'].character, false) + 1)
  return lines
end

--- Highlights lines from edge to edge, below other highlights: `line_hl_group` would cover them.
---@param buf integer
---@param space integer Namespace.
---@param first integer
---@param last integer 0-based, inclusive.
---@param group string
function M.highlight_lines(buf, space, first, last, group)
  local whole = { end_row = last + 1, hl_group = group, hl_eol = true, priority = 100, strict = false }
  api.nvim_buf_set_extmark(buf, space, first, 0, whole)
end

--- Marks the lines that an edit is about to change.
---@param buf integer
---@param first integer
---@param last integer 0-based, inclusive.
function M.begin(buf, first, last)
  M.clear(buf)
  M.highlight_lines(buf, namespace, first, last, 'RedraftRegion')
end

---@param buf integer
---@param state redraft.Denoise
---@param encoding 'utf-8'|'utf-16'|'utf-32'
function M.draw(buf, state, encoding)
  local first, last = M.lines_of(state.range)
  last = math.min(last, api.nvim_buf_line_count(buf) - 1)
  M.begin(buf, first, last)
  local lines, tabstop = wanted_lines(buf, state, encoding), vim.bo[buf].tabstop
  local present = api.nvim_buf_get_lines(buf, first, last + 1, false)
  for i, old in ipairs(present) do
    local line = lines[i] or { text = '', changed = {} }
    if line.text ~= old or #line.changed > 0 then
      api.nvim_buf_set_extmark(buf, namespace, first + i - 1, 0, {
        virt_text = chunks(line, tabstop, vim.fn.strdisplaywidth(old)),
        virt_text_pos = 'overlay',
        hl_mode = 'combine',
      })
    end
  end
  if #lines > #present then
    api.nvim_buf_set_extmark(buf, namespace, last, 0, {
      virt_lines = vim.tbl_map(function(line)
        return chunks(line, tabstop, 0)
      end, vim.list_slice(lines, #present + 1)),
    })
  end
end

---@param buf integer
function M.clear(buf)
  if api.nvim_buf_is_valid(buf) then
    api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  end
end

return M
