--- Draws the denoising: every streamed state over the text that it is about to replace. Never changes a text.
local hunks = require('redraft.hunks')

local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('redraft.preview')
local MASK = '░'

--- Without the line on which a range of whole lines ends, at its very start.
---@param range lsp.Range
---@return integer first, integer last 0-based, both inclusive.
function M.lines_of(range)
  local first, last = range.start.line, range['end'].line
  return first, range['end'].character == 0 and last > first and last - 1 or last
end

--- Text as virtual text: tabs do not align there, and masks have a colour of their own.
---@param text string
---@param tabstop integer
---@param width integer Filled up with spaces to cover what is below.
---@return [string, string][]
local function chunks(text, tabstop, width)
  local found = {}
  text = text:gsub('\t', (' '):rep(tabstop))
  text = text .. (' '):rep(width - vim.fn.strdisplaywidth(text))
  while text ~= '' do
    local start = text:find(MASK, 1, true)
    if start ~= 1 then
      table.insert(found, { text:sub(1, (start or 0) - 1), 'RedraftText' })
      text = start and text:sub(start) or ''
    else
      local stop = #MASK
      while text:sub(stop + 1, stop + #MASK) == MASK do
        stop = stop + #MASK
      end
      table.insert(found, { text:sub(1, stop), 'RedraftMask' })
      text = text:sub(stop + 1)
    end
  end
  return found
end

--- The lines that the document would have with `state.text` in its place.
---@param buf integer
---@param state redraft.Denoise
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return string[]
local function wanted_lines(buf, state, encoding)
  local first, last = M.lines_of(state.range)
  local lines = hunks.split(state.text)
  if last < state.range['end'].line then
    if lines[#lines] == '' then
      table.remove(lines)
    end
  else
    local function line(row)
      return api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
    end
    local head, tail = line(first), line(last)
    lines[1] = head:sub(1, vim.str_byteindex(head, encoding, state.range.start.character, false)) .. lines[1]
    lines[#lines] = lines[#lines]
      .. tail:sub(vim.str_byteindex(tail, encoding, state.range['end'].character, false) + 1)
  end
  return lines
end

--- Marks the lines that an edit is about to change.
---@param buf integer
---@param first integer
---@param last integer 0-based, inclusive.
function M.begin(buf, first, last)
  M.clear(buf)
  for row = first, math.min(last, api.nvim_buf_line_count(buf) - 1) do
    api.nvim_buf_set_extmark(buf, namespace, row, 0, { line_hl_group = 'RedraftRegion' })
  end
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
    local text = lines[i] or ''
    if text ~= old then
      api.nvim_buf_set_extmark(buf, namespace, first + i - 1, 0, {
        virt_text = chunks(text, tabstop, vim.fn.strdisplaywidth(old)),
        virt_text_pos = 'overlay',
        hl_mode = 'combine',
      })
    end
  end
  if #lines > #present then
    api.nvim_buf_set_extmark(buf, namespace, last, 0, {
      virt_lines = vim.tbl_map(function(text)
        return chunks(text, tabstop, 0)
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
