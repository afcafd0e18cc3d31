local tidewire = require "tidewire"

return {
  publish = true,

  transform = function(message, channel, client)
    local data = message.data
    local user = client and client.user or "http"
    if type(data) ~= "table" or (data.side ~= "buy" and data.side ~= "sell") then
      tidewire.log.info("order refused", { user = user, reason = "no side" })
      return nil
    end
    channel.state.last = (channel.state.last or 0) + 1
    -- Goes out if this handler ends well, that is, if the order does.
    tidewire.publish("audit", {
      order = channel.state.last, user = user, ip = client and client.ip, side = data.side,
      count = data.count, at = tidewire.now(),
    })
    message.data = { order = channel.state.last, side = data.side, total = data.count * data.price }
    tidewire.log.info("order", { order = channel.state.last, user = user, side = data.side })
    return message
  end,
}
