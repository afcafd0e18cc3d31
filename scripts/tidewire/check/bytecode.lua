-- bytecode.lua: reads what LuaJIT compiled, through its own jit.util; the names of the instructions
-- come with LuaJIT, too. See lj_bc.h for what they do.
local util = require "jit.util"
local NAMES = require("jit.vmdef").bcnames

local JUMP_BIAS = 0x8000

-- Each of them is followed by a JMP, which is taken or skipped.
local TESTS = {}
for name in ("ISLT ISGE ISLE ISGT ISEQV ISNEV ISEQS ISNES ISEQN ISNEN ISEQP ISNEP ISTC ISFC IST "
  .. "ISF"):gmatch "%S+" do TESTS[name] = true end
-- They go on, or to their target.
local FORKS = { FORI = true, JFORI = true, FORL = true, IFORL = true, JFORL = true, ITERL = true,
  IITERL = true, JITERL = true }
-- They go to their target.
local JUMPS = { JMP = true, UCLO = true, ISNEXT = true }
local ENDS = { RETM = true, RET = true, RET0 = true, RET1 = true, CALLMT = true, CALLT = true }

local bytecode = {}

local function instruction(proto, pc)
  local word = util.funcbc(proto, pc)
  if not word then return nil end
  local op = bit.band(word, 0xff)
  return {
    name = NAMES:sub(op * 6 + 1, op * 6 + 6):match "%S+",
    a = bit.band(bit.rshift(word, 8), 0xff),
    d = bit.rshift(word, 16),
  }
end

local function line_of(proto, pc)
  return util.funcinfo(proto, pc).currentline
end

-- The function and all those inside it, each with `first` and `last`, its lines.
function bytecode.functions(proto, list)
  list = list or {}
  local info = util.funcinfo(proto)
  list[#list + 1] = { proto = proto, first = info.linedefined, last = info.lastlinedefined }
  for index = -1, -info.gcconsts, -1 do
    local constant = util.funck(proto, index)
    if type(constant) == "proto" then bytecode.functions(constant, list) end
  end
  return list
end

-- Calls visit("get" or "set", name, line) for each use of a global.
function bytecode.each_global(proto, visit)
  for pc = 1, util.funcinfo(proto).bytecodes - 1 do
    local at = instruction(proto, pc)
    if at.name == "GGET" or at.name == "GSET" then
      visit(at.name == "GGET" and "get" or "set", util.funck(proto, -at.d - 1), line_of(proto, pc))
    end
  end
end

-- Is the function that this CALL calls the global `error`, which does not come back?
local function calls_error(proto, pc)
  local slot = instruction(proto, pc).a
  for before = pc - 1, 1, -1 do
    local at = instruction(proto, before)
    if TESTS[at.name] or FORKS[at.name] or JUMPS[at.name] then return false end
    if at.a == slot then return at.name == "GGET" and util.funck(proto, -at.d - 1) == "error" end
  end
  return false
end

-- The line of a `return` without a value, or of the end, that can be reached; nil: there is none.
function bytecode.returns_nothing(proto)
  local seen, stack = {}, { 1 }
  local found
  while #stack > 0 do
    local pc = table.remove(stack)
    local at = not seen[pc] and instruction(proto, pc)
    seen[pc] = true
    if at then
      local target = pc + 1 + at.d - JUMP_BIAS
      if at.name == "RET0" then
        local line = line_of(proto, pc)
        if not found or line < found then found = line end
      elseif TESTS[at.name] then
        stack[#stack + 1] = pc + 1
        stack[#stack + 1] = pc + 2
      elseif FORKS[at.name] then
        stack[#stack + 1] = pc + 1
        stack[#stack + 1] = target
      elseif JUMPS[at.name] then
        stack[#stack + 1] = target
      elseif not ENDS[at.name] and not (at.name:find "^CALL" and calls_error(proto, pc)) then
        stack[#stack + 1] = pc + 1
      end
    end
  end
  return found
end

return bytecode
