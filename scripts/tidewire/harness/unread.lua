--- How many bytes a peer on this machine has not yet read from its socket: what the kernel's
-- sock_diag(7) says of that one socket. With it a spec hands over bytes in pieces that the peer has
-- surely read one by one, without guessing how long that takes.
local bit = require "bit"
local ffi = require "ffi"

ffi.cdef [[
struct tw_diag_sockid {
  uint16_t sport, dport; uint32_t src[4], dst[4]; uint32_t interface, cookie[2];
};
struct tw_diag_request {
  uint32_t length; uint16_t type, flags; uint32_t sequence, pid;
  uint8_t family, protocol, extensions, pad; uint32_t states;
  struct tw_diag_sockid id;
};
struct tw_diag_answer {
  uint32_t length; uint16_t type, flags; uint32_t sequence, pid;
  uint8_t family, state, timer, retransmits;
  struct tw_diag_sockid id;
  uint32_t expires, unread, unsent, uid, inode;
  uint8_t more[4096];
};
int socket(int domain, int type, int protocol);
ssize_t send(int fd, const void *bytes, size_t length, int flags);
ssize_t recv(int fd, void *bytes, size_t length, int flags);
]]

local AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG = 16, 0x80003, 4
local SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, AF_INET, IPPROTO_TCP = 20, 1, 2, 6

local descriptor

local function network_order(port)
  return bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
end

local function address(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  local number = ffi.new("uint8_t[4]", tonumber(a), tonumber(b), tonumber(c), tonumber(d))
  return ffi.cast("uint32_t *", number)[0]
end

--- Unread bytes of the socket at `peer_ip:peer_port` connected to `ip:port`; 0 when it is gone.
return function(peer_ip, peer_port, ip, port)
  if not descriptor then
    descriptor = ffi.C.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG)
    assert(descriptor >= 0, "no sock_diag here: " .. ffi.errno())
  end
  local request = ffi.new("struct tw_diag_request")
  request.length = ffi.sizeof(request)
  request.type, request.flags = SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST
  request.family, request.protocol, request.states = AF_INET, IPPROTO_TCP, 0xffffffff
  request.id.sport, request.id.dport = network_order(peer_port), network_order(port)
  request.id.src[0], request.id.dst[0] = address(peer_ip), address(ip)
  request.id.cookie[0], request.id.cookie[1] = 0xffffffff, 0xffffffff
  assert(ffi.C.send(descriptor, request, ffi.sizeof(request), 0) == ffi.sizeof(request))
  local answer = ffi.new("struct tw_diag_answer")
  assert(ffi.C.recv(descriptor, answer, ffi.sizeof(answer), 0) > 0)
  return answer.type == SOCK_DIAG_BY_FAMILY and answer.unread or 0
end
