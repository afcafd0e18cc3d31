-- examples/ERRORS.md: each message that its tables quote is provoked, and must come so. What
-- differs from one app to the next stands there in capitals, or as an ellipsis. A message without
-- a provocation is a failure, and so is a provocation of what the page does not quote any more.
local files = require "spec.support.files"
local live = require "tidewire.live"
local logs = require "tidewire.harness.logs"
local markdown = require "spec.docs.markdown"
local sim = require "tidewire.sim"

local provocations = {
  ["When the app is loaded"] = require "spec.docs.errors_load",
  ["When a hook fails"] = require "spec.docs.errors_hooks",
  ["What a publish over HTTP is answered"] = require "spec.docs.errors_http",
  ["What a client is answered before it is connected"] = require "spec.docs.errors_handshake",
  ["Why a connection ended"] = require "spec.docs.errors_close",
}

local PLACEHOLDERS = { CHANNEL = true, NAME = true, HOOK = true, KEY = true, OTHER = true,
  FILE = true, X = true }

-- A Lua pattern that matches what the quote stands for.
local function pattern_of(quote)
  local text = quote:gsub("%u+", function(word)
    if PLACEHOLDERS[word] then return "\1" end
  end):gsub("…", "\2"):gsub("%p", "%%%0")
  return (text:gsub("\1", "[%%w_/:.-]+"):gsub("\2", "[^\n]-"))
end

local function check(quote, got)
  if not got:find(pattern_of(quote)) then
    error(("the page says\n  %s\nbut what comes is\n  %s"):format(quote, got), 0)
  end
end

describe("errors explained:", function()
  after_each(function()
    local ok, why = pcall(live.teardown)
    sim.teardown()
    if not ok then error(why, 0) end
  end)

  local is_used = {}

  -- What is there for `quote`; `row`: the cells of the table, of which the first may begin with a
  -- status that tells it from others.
  local function try(section, quote, row)
    local known = provocations[section.title]
    local provoke = known[(row[1]:match("^%d+") or "") .. " " .. quote] or known[quote]
    is_used[provoke or 0] = true
    it(section.title .. ": " .. quote, function()
      assert(provoke, "spec/docs provokes no such message: " .. quote)
      check(quote, provoke(row, quote))
    end)
  end

  for _, section in ipairs(markdown.sections(files.read "examples/ERRORS.md")) do
    local known = provocations[section.title]
    if #section.rows > 0 and not known then
      it(section.title, function() error("spec/docs knows no such section") end)
    end
    for _, row in ipairs(known and section.rows or {}) do
      local quotes = markdown.quotes(known.quoted_in and row[known.quoted_in] or row[1])
      for _, quote in ipairs(quotes) do try(section, quote, row) end
      if #quotes == 0 then try(section, row[1], row) end
    end
  end

  it("has all that is provoked", function()
    for title, list in pairs(provocations) do
      for quote, provoke in pairs(list) do
        if type(provoke) == "function" then assert(is_used[provoke], title .. ": " .. quote) end
      end
    end
  end)

  it("has the lines of a failed hook and of a refused reload", function()
    local text = files.read "examples/ERRORS.md"
    local broker = assert(sim.broker { files = {
      ["channels/a.lua"] = "return { transform = function(message) return message.data.x.y end }",
    } })
    broker:allow_log("")
    assert.is_string(broker:publish("a", {}).error)
    for _, quote in ipairs { "hook failed channel=… hook=… script=FILE:LINE error=…" } do
      assert.truthy(text:find("`" .. quote .. "`", 1, true), quote)
      check(quote:gsub("LINE", "1"), broker:log())
    end
    assert.truthy(text:find("`refused, this generation stays`", 1, true))
    local server = assert(live.broker { files = { ["channels/a.lua"] = "return {}" } })
    server:allow_log("channels/a.lua")
    assert.is_false((server:reload { ["channels/a.lua"] = "return 1" }))
    assert.is_string(logs.find(server:log(), "refused, this generation stays"))
  end)
end)
