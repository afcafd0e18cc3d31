--- The text of a WebSocket handshake.
local request = {}

local KEY = "dGhlIHNhbXBsZSBub25jZQ==" -- RFC 6455 1.3

local function escape(text)
  return (tostring(text):gsub("[^%w%-%._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function with_query(path, options)
  local query = {}
  for name, value in pairs(options.query or {}) do
    query[#query + 1] = name .. "=" .. escape(value)
  end
  if options.token then query[#query + 1] = "token=" .. escape(options.token) end
  if #query == 0 then return path end
  table.sort(query)
  return path .. (path:find("?", 1, true) and "&" or "?") .. table.concat(query, "&")
end

local USUAL = "GET %s HTTP/1.1\r\nConnection: Upgrade\r\nHost: tidewire.test\r\n"
  .. "Sec-WebSocket-Key: " .. KEY .. "\r\nSec-WebSocket-Version: 13\r\n"
  .. "Upgrade: websocket\r\n\r\n"

--- Options: token and query (name -> value) go into the query, headers (name -> value; false leaves
-- a standard one out) into the head, lines (a list) behind it as they are; method.
function request.handshake(path, options)
  if not (options.headers or options.lines or options.method) then
    return USUAL:format(with_query(path, options))
  end
  local names = {}
  local headers = {
    Host = "tidewire.test", Upgrade = "websocket", Connection = "Upgrade",
    ["Sec-WebSocket-Version"] = "13", ["Sec-WebSocket-Key"] = KEY,
  }
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  for name, value in pairs(headers) do if value then names[#names + 1] = name end end
  table.sort(names)
  local lines = { ("%s %s HTTP/1.1"):format(options.method or "GET", with_query(path, options)) }
  for _, name in ipairs(names) do lines[#lines + 1] = name .. ": " .. headers[name] end
  for _, line in ipairs(options.lines or {}) do lines[#lines + 1] = line end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

return request
