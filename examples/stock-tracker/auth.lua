-- Who may connect: asked once for each handshake, before the upgrade.
--
-- With WS_TOKEN in the broker's environment, clients show that token, as ?token=… (all
-- that a browser can do) or as `Authorization: Bearer …`. Without it, or when it is
-- empty, auth is off and everybody is a guest.
local tidewire = require "tidewire"

local function bearer(header)
  if type(header) ~= "string" then return nil end
  local scheme, token = header:match("^(%a+) +(%S+)%s*$")
  -- RFC 9110 §11.1: the name of a scheme has no case.
  if scheme and scheme:lower() == "bearer" then return token end
end

return function(request)
  local expected = tidewire.env.WS_TOKEN
  if expected == nil or expected == "" then return { user = "guest" } end

  local token = bearer(request.headers.authorization) or request.query.token
  if token == nil or token == "" then return nil, "token missing" end
  if not tidewire.equal(token, expected) then return nil, "invalid token" end
  return { user = "viewer" }
end
