--- Numbers from a seed, the same on every machine: xorshift32.
local bit = require "bit"

local Random = {}
Random.__index = Random

local function new(seed)
  local self = setmetatable({ state = bit.tobit(seed * 2654435 + 88172645) }, Random)
  if self.state == 0 then self.state = 1 end
  for _ = 1, 8 do self:next() end
  return self
end

--- 0 .. 2^31 - 1
function Random:next()
  local x = self.state
  x = bit.bxor(x, bit.lshift(x, 13))
  x = bit.bxor(x, bit.rshift(x, 17))
  x = bit.bxor(x, bit.lshift(x, 5))
  self.state = x
  return bit.band(x, 0x7fffffff)
end

function Random:between(low, high)
  return low + self:next() % (high - low + 1)
end

function Random:one_of(list)
  return list[self:between(1, #list)]
end

--- True so many times out of a hundred.
function Random:percent(chance)
  return self:next() % 100 < chance
end

return new
