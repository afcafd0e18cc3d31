-- A stand-in: ?user=alice. Take cookbook/jwt-auth.
return function(request)
  local user = request.query.user
  if not user or user == "" then return nil, "user missing" end
  return { user = user }
end
