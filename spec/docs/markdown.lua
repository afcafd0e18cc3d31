--- What a Markdown file of ours holds: code blocks, tables, and quotes in backticks.
local markdown = {}

--- Code blocks in their order: { section = the number of its heading, language, text, before = the
-- text since the block before }.
function markdown.blocks(text)
  local blocks, section, before, block = {}, 0, {}, nil
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    local fence = line:match("^```(%w*)$")
    if block and fence then
      block.text = table.concat(block, "\n") .. "\n"
      blocks[#blocks + 1], block = block, nil
    elseif fence then
      block = { section = section, language = fence, before = table.concat(before, "\n") }
      before = {}
    elseif block then
      block[#block + 1] = line
    else
      if line:find("^## ") then section = section + 1 end
      before[#before + 1] = line
    end
  end
  return blocks
end

--- Quotes in backticks, single or double, in their order.
function markdown.quotes(text)
  local list, at = {}, 1
  while true do
    local from, to = text:find("`+", at)
    if not from then return list end
    local mark = text:sub(from, to)
    local last, next_at = text:find(mark, to + 1, true)
    assert(last, "a backtick without its end: " .. text)
    list[#list + 1] = text:sub(to + 1, last - 1):match("^%s*(.-)%s*$")
    at = next_at + 1
  end
end

-- Cells of "| a | b |"; a "|" in backticks does not divide.
local function cells(line)
  local list, start, is_quoted = {}, 2, false
  for at = 2, #line do
    local c = line:sub(at, at)
    if c == "`" then is_quoted = not is_quoted end
    if c == "|" and not is_quoted then
      list[#list + 1] = line:sub(start, at - 1):match("^%s*(.-)%s*$")
      start = at + 1
    end
  end
  return list
end

--- Sections: { title, prose = text outside of tables, rows = lists of cells, without heads }.
function markdown.sections(text)
  local sections = { { title = "", prose = "", rows = {} } }
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    local section = sections[#sections]
    local title = line:match("^##+ (.*)$")
    if title then
      sections[#sections + 1] = { title = title, prose = "", rows = {} }
    elseif line:find("^|%-") then
      table.remove(section.rows) -- what stands above that line
    elseif line:find("^|") then
      table.insert(section.rows, cells(line))
    else
      section.prose = section.prose .. line .. "\n"
    end
  end
  return sections
end

return markdown
