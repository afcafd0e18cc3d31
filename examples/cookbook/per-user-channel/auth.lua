-- A stand-in: ?user=alice. Take cookbook/jwt-auth. Letters and digits only: the user becomes part
-- of a channel's name.
return function(request)
  local user = request.query.user
  if not user or not user:find("^%w+$") then return nil, "user missing" end
  return { user = user }
end
