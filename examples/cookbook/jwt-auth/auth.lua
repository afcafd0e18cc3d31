-- Who comes with a token that our login service has signed may connect until the token ends.
local tidewire = require "tidewire"

-- Without the secret nobody gets in: verify raises, and an auth that fails is a refusal.
local options = {
  secret = tidewire.env.JWT_SECRET,
  algorithms = { "HS256" },
  issuer = "login.example.com",
  audience = "quotes",
  leeway = 5, -- seconds by which the clocks of the two may differ
}

return function(request)
  local header = request.headers.authorization
  local token = header and header:match("^[Bb]earer +(%S+)$") or request.query.token
  if not token then return nil, "token missing" end
  local claims, reason = tidewire.jwt.verify(token, options)
  if not claims then return nil, reason end
  if type(claims.sub) ~= "string" then return nil, "token has no subject" end
  if type(claims.exp) ~= "number" then return nil, "token has no end" end
  return { user = claims.sub, claims = { plan = claims.plan }, expires = claims.exp }
end
