return {
  on_subscribe = function(client)
    client:send { hello = client.user, plan = client.claims.plan }
  end,
}
