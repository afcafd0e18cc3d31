local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local app = dofile(here .. "/support.lua")

describe("auth", function()
  local auth
  before_each(function()
    app.reset()
    auth = app.load("auth.lua")
  end)

  local function ask(query, headers)
    return auth { query = query or {}, headers = headers or {} }
  end

  it("lets everybody in as a guest when WS_TOKEN is not set, or empty", function()
    assert.equal("guest", ask().user)
    assert.equal("guest", ask({ token = "whatever" }).user)
    app.tidewire.env.WS_TOKEN = ""
    assert.equal("guest", ask().user)
    assert.equal("guest", ask({ token = "" }).user)
  end)

  describe("with WS_TOKEN", function()
    before_each(function()
      app.tidewire.env.WS_TOKEN = "s3cret"
    end)

    it("takes the token from the query or the header", function()
      assert.equal("viewer", ask({ token = "s3cret" }).user)
      assert.equal("viewer", ask(nil, { authorization = "Bearer s3cret" }).user)
      assert.equal("viewer", ask(nil, { authorization = "bearer  s3cret " }).user)
    end)

    it("refuses a missing token", function()
      for _, answer in ipairs {
        { ask() },
        { ask({ token = "" }) },
        { ask(nil, { authorization = "Basic s3cret" }) },
        { ask(nil, { authorization = "Bearer" }) },
      } do
        assert.is_nil(answer[1])
        assert.equal("token missing", answer[2])
      end
    end)

    it("refuses a wrong token", function()
      for _, token in ipairs { "S3CRET", "s3cre", "s3cret2", " s3cret" } do
        local identity, why = ask({ token = token })
        assert.is_nil(identity)
        assert.equal("invalid token", why)
      end
      assert.is_nil((ask({ token = "s3cret" }, { authorization = "Bearer wrong" })))
    end)
  end)
end)
