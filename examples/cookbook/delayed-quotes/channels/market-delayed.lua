-- Fed by market.lua. Anybody may listen here, nobody publishes.
return {}
