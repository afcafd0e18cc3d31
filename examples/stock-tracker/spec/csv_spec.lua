local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local app = dofile(here .. "/support.lua")

describe("csv", function()
  local csv
  before_each(function()
    app.reset()
    csv = require "transforms.csv"
  end)

  it("names the fields after the header", function()
    assert.same({ { a = "1", b = "x y" }, { a = "2", b = "" } }, csv.parse("a,b\n1,x y\n2,\n"))
  end)

  it("reads a last line without an end, CRLF and empty lines", function()
    assert.same({ { a = "1" }, { a = "2" } }, csv.parse("a\r\n1\r\n\r\n2"))
  end)

  it("has no rows for a header alone", function()
    assert.same({}, csv.parse("a,b\n"))
  end)

  it("names the line that has too few or too many fields", function()
    assert.error_matches(function() csv.parse("a,b\n1,2\n3\n") end, "line 3: 1 of 2 fields")
    assert.error_matches(function() csv.parse("a,b\n1,2,3\n") end, "line 2: 3 of 2 fields")
  end)

  it("refuses quotes rather than reading them wrong", function()
    assert.error_matches(function() csv.parse('a,b\n"1,2",3\n') end, "line 2: quoted")
  end)

  it("refuses an empty file", function()
    assert.error_matches(function() csv.parse("") end, "empty")
  end)
end)
