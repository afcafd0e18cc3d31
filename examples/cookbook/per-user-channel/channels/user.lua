-- What concerns one user: POST /v1/channels/user:alice/messages reaches all her connections.
return {
  name = "user:{id}",

  authorize = function(client, action, channel)
    if action == "subscribe" and client and client.user == channel.params.id then return true end
    return false, "not yours"
  end,
}
