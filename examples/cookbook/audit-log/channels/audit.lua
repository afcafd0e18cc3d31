-- Who did what. Scripts write it, admins read it.
return {
  authorize = function(client, action)
    if action == "subscribe" and client and client.claims.role == "admin" then return true end
    return false, "for admins"
  end,
}
