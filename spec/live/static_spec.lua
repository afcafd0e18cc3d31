-- Files of public/ on the same port, and no others.
local files = require "spec.support.files"
local http = require "spec.support.http"
local live = require "spec.support.live"

describe("static files", function()
  after_each(live.teardown)

  local function start()
    return live.broker { files = {
      ["channels/market.lua"] = "return {}",
      ["broker.lua"] = "return {} -- not for the public",
      ["public/index.html"] = "<!doctype html><title>Tide</title>",
      ["public/app.js"] = "let tide = 1;\n",
      ["public/style.css"] = "body {}\n",
      ["public/data/quotes.json"] = "[1]",
      ["public/img/logo.svg"] = "<svg/>",
      ["public/empty.txt"] = "",
      ["public/with space.txt"] = "spaced",
      ["public/big.bin"] = ("0123456789"):rep(100000),
      ["public/.hidden"] = "hidden",
      ["secret.txt"] = "secret",
    } }
  end

  -- A request whose target is sent as it is.
  local function raw(broker, target, method)
    return assert(http.exchange {
      port = broker.port,
      is_head = method == "HEAD",
      bytes = (method or "GET") .. " " .. target
        .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    })
  end

  it("come with their bytes, length and type", function()
    local broker = start()
    local types = {
      ["/app.js"] = "^text/javascript", ["/style.css"] = "^text/css",
      ["/data/quotes.json"] = "^application/json", ["/img/logo.svg"] = "^image/svg%+xml",
      ["/empty.txt"] = "^text/plain", ["/index.html"] = "^text/html",
      ["/big.bin"] = "^application/octet%-stream",
    }
    for path, expected in pairs(types) do
      local response = broker:get(path)
      assert.equal(200, response.status)
      assert.truthy(response.headers["content-type"]:find(expected), path)
      local text = files.read(broker.folder .. "/public" .. path)
      assert.is_true(text == response.body, path)
      assert.equal(tostring(#text), response.headers["content-length"])
    end
    assert.equal("nosniff", broker:get("/app.js").headers["x-content-type-options"])
  end)

  it("are index.html for /", function()
    local response = start():get("/?utm=1")
    assert.equal(200, response.status)
    assert.truthy(response.headers["content-type"]:find("^text/html"))
    assert.truthy(response.body:find("Tide", 1, true))
  end)

  it("may have escaped names", function()
    local broker = start()
    assert.equal("spaced", raw(broker, "/with%20space.txt").body)
    assert.equal("[1]", raw(broker, "/data/%71uotes.json").body)
  end)

  it("come without their bytes for HEAD", function()
    local response = start():get("/app.js", { method = "HEAD" })
    assert.equal(200, response.status)
    assert.equal("14", response.headers["content-length"])
    assert.equal(0, response.bytes_after_head)
  end)

  it("are not sent again to who has them", function()
    local broker = start()
    local tag = broker:get("/app.js").headers.etag
    assert.truthy((tag or "none"):find('^W?/?"[^"]+"$'))
    for _, value in ipairs { tag, '"other", ' .. tag, "*" } do
      local response = broker:get("/app.js", { headers = { ["If-None-Match"] = value } })
      assert.equal(304, response.status)
      assert.equal(0, response.bytes_after_head)
      assert.equal(tag, response.headers.etag)
    end
    local other = broker:get("/app.js", { headers = { ["If-None-Match"] = '"other"' } })
    assert.equal(200, other.status)
    broker:write("public/app.js", "let tide = 2; // changed\n")
    local changed = broker:get("/app.js", { headers = { ["If-None-Match"] = tag } })
    assert.equal(200, changed.status)
    assert.truthy(changed.body:find("changed", 1, true))
    assert.are_not.equal(tag, changed.headers.etag)
  end)

  it("are 404 when there are none, in JSON", function()
    local broker = start()
    for _, path in ipairs { "/nothing", "/app.js/", "/app.js/x", "/data", "/data/" } do
      local response = raw(broker, path)
      assert.equal(404, response.status, path)
      assert.is_string(response:json().error)
    end
  end)

  it("lead from a folder that has a page to that page", function()
    local broker = start()
    broker:write("public/a b%/index.html", "inside")
    local response = raw(broker, "/a%20b%25")
    assert.equal(301, response.status)
    assert.equal("/a%20b%25/", response.headers.location)
    assert.equal("inside", raw(broker, response.headers.location).body)
    assert.equal(404, raw(broker, "/data").status)
  end)

  it("do not take other methods", function()
    local broker = start()
    for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS" } do
      local response = broker:get("/app.js", { method = method })
      assert.is_true(response.status == 405 or response.status == 404)
    end
  end)

  it("are none outside of the folder", function()
    local broker = start()
    files.symlink(broker.folder .. "/secret.txt", broker.folder .. "/public/link.txt")
    files.symlink("../secret.txt", broker.folder .. "/public/relative.txt")
    files.symlink(broker.folder, broker.folder .. "/public/up")
    for _, target in ipairs {
      "/../secret.txt", "/data/../../secret.txt", "/%2e%2e/secret.txt", "/%2E./secret.txt",
      "/..%2fsecret.txt", "/data%2f..%2f..%2fsecret.txt", "/data/..%2f../secret.txt",
      "/..%5csecret.txt", "/....//secret.txt", "//secret.txt", "/./../secret.txt",
      "/%252e%252e/secret.txt", "/..;/secret.txt", "/../broker.lua", "/link.txt", "/relative.txt",
      "/up/secret.txt", "/up/broker.lua", "/.hidden", "/app.js%00.txt", "/../secret.txt%00.js",
      "/index.html%00", "/" .. ("../"):rep(20) .. "etc/passwd", "/%c0%ae%c0%ae/secret.txt",
      "/data/%2e%2e/%2e%2e/secret.txt", "/%zz", "/%", "/%2",
    } do
      local response = raw(broker, target)
      assert.is_true(response.status == 404 or response.status == 400 or response.status == 403,
        target .. " gives " .. response.status)
      assert.is_nil(response.body:find("secret", 1, true), target)
      assert.is_nil(response.body:find("root:", 1, true), target)
    end
  end)

  it("do not hide the channels, nor are hidden by them", function()
    local broker = start()
    local client = broker:connect("/ws/market")
    assert.equal(200, broker:get("/").status)
    broker:publish("market", "1")
    assert.equal("1", client:receive())
  end)

  it("are not there for an app without public/", function()
    local broker = live.broker { files = { ["channels/market.lua"] = "return {}" } }
    assert.equal(404, broker:get("/").status)
    assert.equal(404, broker:get("/broker.lua").status)
  end)

  it("arrive whole at a client that reads slowly", function()
    local broker = start()
    local client = broker:dial("/", {
      request = "GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      receive_buffer = 4096, is_stalled = true,
    })
    client:begin()
    broker:until_(function() return broker:get("/app.js").status == 200 end)
    client:resume()
    assert.equal(200, client:wait_answer(10))
    assert.equal(1000000, #client.body)
  end)
end)
