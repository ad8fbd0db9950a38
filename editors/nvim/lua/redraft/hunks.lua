--- Hunks between two texts, as lists of lines. Touches no buffer.
local M = {}

---@class redraft.Hunk
---@field start integer Index (0-based) in the old lines where it begins.
---@field old string[]
---@field new string[]

local diff = vim.text and vim.text.diff or vim.diff

---@param lines string[]
local function joined(lines)
  return #lines > 0 and table.concat(lines, '\n') .. '\n' or ''
end

--- Splits at \n, \r\n and \r, which are the line endings of the protocol.
---@param text string
---@return string[]
function M.split(text)
  return vim.split((text:gsub('\r\n?', '\n')), '\n', { plain = true })
end

---@param old string[]
---@param new string[]
---@return redraft.Hunk[]
function M.between(old, new)
  ---@type integer[][]
  local found = diff(joined(old), joined(new), { result_type = 'indices', algorithm = 'histogram' }) --[[@as any]]
  ---@param where integer[]
  return vim.tbl_map(function(where)
    local start, count, new_start, new_count = where[1], where[2], where[3], where[4]
    return {
      -- An empty side names the line before it.
      start = count == 0 and start or start - 1,
      old = vim.list_slice(old, start, start + count - 1),
      new = vim.list_slice(new, new_start, new_start + new_count - 1),
    }
  end, found)
end

--- The old lines with the hunks for which `taken` is true put in.
---@param old string[]
---@param hunks redraft.Hunk[]
---@param taken fun(index: integer): boolean
---@return string[]
function M.compose(old, hunks, taken)
  local lines, at = {}, 1
  for index, hunk in ipairs(hunks) do
    vim.list_extend(lines, old, at, hunk.start)
    vim.list_extend(lines, taken(index) and hunk.new or hunk.old)
    at = hunk.start + #hunk.old + 1
  end
  return vim.list_extend(lines, old, at)
end

--- The bytes of `new` that differ from `old`: what both share at the ends is left out. Whole characters.
---@param old string
---@param new string
---@return integer first, integer last 0-based, last exclusive.
function M.changed(old, new)
  local limit = math.min(#old, #new)
  local head, tail = 0, 0
  while head < limit and old:byte(head + 1) == new:byte(head + 1) do
    head = head + 1
  end
  while tail < limit - head and old:byte(#old - tail) == new:byte(#new - tail) do
    tail = tail + 1
  end
  local last = #new - tail
  head = head + (head < #new and vim.str_utf_start(new, head + 1) or 0)
  last = last + (last > head and vim.str_utf_end(new, last) or 0)
  return head, last
end

return M
