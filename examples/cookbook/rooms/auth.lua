-- A stand-in: ?user=alice&rooms=tea,7. Take cookbook/jwt-auth, where the token names the rooms.
return function(request)
  local user = request.query.user
  if not user or user == "" then return nil, "user missing" end
  local rooms = {}
  for id in (request.query.rooms or ""):gmatch("[^,]+") do rooms[id] = true end
  return { user = user, claims = { rooms = rooms } }
end
