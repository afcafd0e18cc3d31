-- CSV as our two files have it: a header, commas, no quotes. Anything else is an error
-- that names the line, because it is read at load, where an error keeps the old scripts
-- running and is seen by whoever saved the file.
local csv = {}

local function split(line)
  local fields = {}
  for field in (line .. ","):gmatch("([^,]*),") do
    fields[#fields + 1] = field
  end
  return fields
end

--- Each row of `text` as a table from the header's names to strings.
function csv.parse(text)
  local header
  local rows = {}
  local number = 0
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("\r$", "")
    if line:find('"', 1, true) then
      error(("csv line %d: quoted fields are not supported"):format(number), 2)
    end
    if line ~= "" then
      local fields = split(line)
      if not header then
        header = fields
      elseif #fields ~= #header then
        error(("csv line %d: %d of %d fields"):format(number, #fields, #header), 2)
      else
        local row = {}
        for i, name in ipairs(header) do
          row[name] = fields[i]
        end
        rows[#rows + 1] = row
      end
    end
  end
  if not header then error("csv: no header, the file is empty", 2) end
  return rows
end

return csv
