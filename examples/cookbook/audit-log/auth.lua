-- A stand-in: ?user=alice&role=admin. Take cookbook/jwt-auth, where the token names the role.
return function(request)
  local user = request.query.user
  if not user or user == "" then return nil, "user missing" end
  return { user = user, claims = { role = request.query.role } }
end
