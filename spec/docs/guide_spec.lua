-- examples/GUIDE.md, done as it says, step by step, on the binary: each block of it is run, written
-- into the app, or compared with what comes. So the text and what it tells cannot part.
local files = require "spec.support.files"
local live = require "spec.support.live"
local markdown = require "spec.docs.markdown"
local process = require "spec.support.process"

local BINARY = os.getenv "TIDEWIRE_BIN"

describe("the guide", function()
  local folder, broker, listener, blocks, at

  -- The next block, which must be such a one: what it holds.
  local function take(pattern, what)
    at = at + 1
    local block = assert(blocks[at], "the guide ends before: " .. what)
    assert(block.text:find(pattern), ("awaited %s, but the next block of the guide is\n%s")
      :format(what, block.text))
    return block.text, block
  end

  -- What differs from run to run.
  local function plain(text)
    return (text:gsub("127%.0%.0%.1:%d+", "ADDRESS"):gsub("workers=%d+", "workers=N")
      :gsub('"epoch":"%w+"', '"epoch":"E"'):gsub("%d+%.%d+ seconds", "T seconds"))
  end

  local function is_told(wanted, got)
    assert.equal(plain(wanted), plain(got))
  end

  -- A command of the guide, in the folder where the user stands; its output.
  local function shell(command)
    local bin = files.temporary()
    files.write(bin .. "/env.sh", 'tidewire() { "' .. BINARY .. '" "$@"; }\n')
    local child = process.spawn {
      command = "/bin/sh", args = { "-c", ". " .. bin .. "/env.sh\n" .. command }, cwd = folder,
      env = { LUA_PATH = false, TIDEWIRE_HARNESS = false, TIDEWIRE_APP = false },
    }
    assert(child:wait_exit(30), "does not end: " .. command)
    child:kill()
    files.remove(bin)
    return child:stdout(), child:stderr(), child.exit_code
  end

  -- "tidewire run board" with or without variables in front, as the guide has it.
  local function serve()
    local command = take("tidewire run board\n$", "the command that serves")
    local env = { WS_TOKEN = false }
    for name, value in command:gmatch("([%u_]+)=(%S+)") do env[name] = value end
    broker = live.broker { app = folder .. "/board", env = env }
  end

  -- "python3 -m websockets URL": the client, whatever it is answered.
  local function listen(command)
    local path = command:match("^python3 %-m websockets '?ws://127%.0%.0%.1:8080(/[^'%s]*)'?\n$")
    assert(path, command)
    return broker:handshake(path)
  end

  -- "curl ...", to the port that this broker has; its output.
  local function curl(command)
    local mine, count = command:gsub("127%.0%.0%.1:8081", "127.0.0.1:" .. broker.admin_port)
    assert(count == 1 and command:find("^curl "), command)
    return (shell("curl -sS " .. mine:sub(6)))
  end

  -- Lines "< payload" of the guide are what the listener gets next.
  local function hears(lines)
    for payload in lines:gmatch("< ([^\n]+)") do assert.equal(payload, listener:receive(5)) end
  end

  local function save(path, text)
    files.write(folder .. "/" .. path, text)
  end

  local function wait_reload(generation)
    broker:wait_log("reload generation=" .. generation .. " done", 10)
  end

  -- That the text between two blocks says so.
  local function says(block, text)
    assert(block.before:find(text, 1, true), ("the guide does not say %q any more"):format(text))
  end

  setup(function()
    blocks, at, folder = markdown.blocks(files.read "examples/GUIDE.md"), 0, files.temporary()
  end)
  teardown(function()
    live.teardown()
    files.remove(folder)
  end)

  it("begins with a channel that is checked", function()
    local out, err, code = shell((take("^mkdir .*tidewire check board\n$", "the first commands")))
    assert.equal("", err)
    assert.equal(0, code)
    is_told(take("^channels:\n", "the output of check"), out)
  end)

  local publish -- the command
  it("serves it", function()
    serve()
    is_told(take("^tidewire ready ", "the ready line"), broker.process:stdout())
    listener = listen(take("^python3 ", "the listener"))
    assert.equal(101, listener.status)
    publish = take("^curl ", "a publish")
    is_told(take("^{", "what curl is told"), curl(publish) .. "\n")
    hears(take("^< ", "what the listener hears"))
  end)

  local quotes -- the channel
  it("changes it while it runs", function()
    local block, before
    quotes, before = take("^return {", "the channel with a transform")
    says(before, "`board/channels/quotes.lua`")
    save("board/channels/quotes.lua", quotes)
    wait_reload(2)
    block, before = take("^< ", "what the listener hears then")
    says(before, "`reload generation=2 done`")
    says(before, "price of 40 again, then one of 42.5")
    curl(publish)
    curl((publish:gsub("40", "42.5")))
    hears(block)
    assert.is_true(listener:is_open())
  end)

  it("breaks it", function()
    broker:allow_log("transfrom")
    broker:allow_log("hook failed")
    local lines, before = take("^error load", "the log of a bad reload")
    says(before, "Change `transform` to `transfrom`")
    save("board/channels/quotes.lua", (quotes:gsub("transform", "transfrom", 1)))
    for line in lines:gmatch("[^\n]+") do
      broker:until_(function() return broker:log():find(line, 1, true) end, 10, line)
    end
    curl((publish:gsub("40", "42.5")))
    assert.equal('{"change":0,"price":42.5,"symbol":"MSFT"}', listener:receive(5))
    save("board/channels/quotes.lua", quotes)
    local command = take("^curl ", "a publish that fails")
    is_told(take('^{"error"', "what curl is told of it"), curl(command) .. "\n")
    curl(publish)
    assert.equal('{"change":-2.5,"price":40,"symbol":"MSFT"}', listener:receive(5))
  end)

  it("lets nobody in without a token", function()
    local auth, before = take("^local tidewire", "auth.lua")
    says(before, "`board/auth.lua`")
    save("board/auth.lua", auth)
    wait_reload(3)
    broker:allow_log("hook=auth")
    local refusal = take("rejected", "a refusal")
    local path = refusal:match("ws://127%.0%.0%.1:8080(/%S+):")
    local client = broker:handshake(path)
    assert.equal(tonumber(refusal:match("HTTP (%d+)%.")), client.status)
    assert.is_true(listener:is_open())
    local goodbye = blocks[at + 1].before:gsub("\n", " ")
    local code, reason = goodbye:match("Connection closed: (%d+) %(going away%) (.-)%.`")
    broker:signal("sigint")
    assert.equal(tonumber(code), (listener:wait_closed(5)))
    assert.equal(reason, listener.close_reason)
    assert.equal(0, broker:wait_exit())

    serve()
    local command = take("^python3 ", "a listener with a token")
    assert.equal(101, listen(command).status)
    assert.equal(command:match("ws://[^'%s]+"),
      take("^Connected to ", "that it is connected"):match("^Connected to (.*)%.\n$"))
  end)

  it("tests it", function()
    local spec, before = take("^local sim", "a spec")
    says(before, "`board/spec/quotes_spec.lua`")
    save("board/spec/quotes_spec.lua", spec)
    local command = take("^tidewire test board\n$", "the command that tests")
    local out, err, code = shell(command)
    assert.equal("", err)
    assert.equal(0, code)
    is_told(take("^%+%+\n", "two successes"), out)

    local failure
    failure, before = take("^Failure ", "a failure")
    says(before, "Turn the `-` of the transform into a `+`")
    local mutant, count = quotes:gsub(" %- %(", " + (")
    assert.equal(1, count)
    save("board/channels/quotes.lua", mutant)
    out, err, code = shell(command)
    assert.equal("", err)
    assert.equal(1, code)
    assert.truthy(out:find(failure, 1, true), out)
  end)

  it("has nothing else", function()
    assert.equal(#blocks, at)
  end)
end)
