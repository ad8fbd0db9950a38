--- Where a command means to work: from the range, the cursor and the diagnostics to an edit's argument.
local M = {}
local api = vim.api

---@class redraft.Target What to edit.
---@field range lsp.Range
---@field instruction? string
---@field version? integer Of the text that `range` was taken from.
---@field message? string The diagnostic to mend.
---@field guess? boolean Where no fix is sure, unsure ones will do.

---@class redraft.Range A command's range, 1-based.
---@field first integer
---@field last integer
---@field exact? boolean The last visual selection, by characters.

---@param buf integer
---@param row integer
---@param col integer In bytes.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return lsp.Position
local function position(buf, row, col, encoding)
  local line = api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  return { line = row, character = vim.str_utfindex(line, encoding, math.min(col, #line), false) }
end

---@param first integer
---@param last integer 1-based, both inclusive.
---@return redraft.Target
local function whole_lines(first, last)
  return { range = { start = { line = first - 1, character = 0 }, ['end'] = { line = last, character = 0 } } }
end

---@param range? redraft.Range
---@return redraft.Target
function M.rewrite(range)
  local cursor = api.nvim_win_get_cursor(0)[1]
  return whole_lines(range and range.first or cursor, range and range.last or cursor)
end

--- The range and what is wrong in it; else the diagnostic at the cursor or nearest to it; else the cursor's line.
---@param buf integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@param range? redraft.Range
---@return redraft.Target
function M.fix(buf, encoding, range)
  local count = api.nvim_buf_line_count(buf)
  local found = vim.tbl_filter(function(diagnostic) -- a linter may be behind: no line is left for what it still says
    return diagnostic.lnum < count
  end, vim.diagnostic.get(buf))
  if range then
    local inside = vim.iter(found):find(function(diagnostic)
      return diagnostic.lnum + 1 >= range.first and diagnostic.lnum + 1 <= range.last
    end)
    local target = whole_lines(range.first, range.last)
    target.message = inside and inside.message
    return target
  end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local function distance(diagnostic)
    local away = math.abs(diagnostic.lnum + 1 - row)
    local at = away == 0 and diagnostic.col <= col and col <= (diagnostic.end_col or diagnostic.col)
    return at and -1 or away + diagnostic.severity / 10
  end
  table.sort(found, function(a, b)
    return distance(a) < distance(b)
  end)
  local nearest = found[1]
  if not nearest then
    return M.rewrite()
  end
  return {
    message = nearest.message,
    range = {
      start = position(buf, nearest.lnum, nearest.col, encoding),
      ['end'] = position(buf, nearest.end_lnum or nearest.lnum, nearest.end_col or nearest.col, encoding),
    },
  }
end

--- The range; else the placeholder in the cursor's line; else the place right before the cursor.
---@param buf integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@param range? redraft.Range
---@return redraft.Target
function M.fill(buf, encoding, range)
  local first, last = unpack(range and { range.first, range.last } or { vim.fn.line('.'), vim.fn.line('.') })
  local line = api.nvim_get_current_line()
  local from, to = 0, vim.v.maxcol
  if range and range.exact then
    from, to = vim.fn.col("'<") - 1, vim.fn.col("'>") - 1
    local end_line = api.nvim_buf_get_lines(buf, last - 1, last, false)[1]
    to = to < #end_line and to + vim.str_utf_end(end_line, to + 1) + 1 or #end_line
  elseif not range then
    local bare = vim.trim(line)
    if not vim.list_contains({ '...', 'pass', 'TODO' }, bare) and not vim.startswith(bare, '# TODO') then
      from = api.nvim_win_get_cursor(0)[2]
      to = from
    end
  end
  local start, stop = position(buf, first - 1, from, encoding), position(buf, last - 1, to, encoding)
  return { range = { start = start, ['end'] = stop } }
end

return M
