-- KEYS: an index, its fence, and the sessions of some of its members. ARGV: prefix of sessions, '1'
-- while the slot moves, the owner, the member to spare or '', how many at most to name, and in
-- Cluster a token for the fence and how long it may stand in milliseconds. Replies how many members
-- may be left, those whose live records it ended, and some of those that are left, to be named the
-- next time. Nothing is changed before all was looked at.
local prefix, moving, owner, spared, most, token = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local idx, now = KEYS[1], clock()
local members, states = {}, {}
for at = 3, #KEYS do
  local member = sub(KEYS[at], #prefix + 1)
  if member ~= spared and redis.call('SISMEMBER', idx, member) == 1 then
    local state, _, holder, _, failed = look(KEYS[at], now)
    if failed then return failed end
    if moving and state ~= LIVE then
      return redis.error_reply('TRYAGAIN a session of this index may be elsewhere')
    end
    members[#members + 1] = member
    states[#members] = state == LIVE and holder == owner
  end
end
if token then
  redis.call('SADD', KEYS[2], token)
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
local ended = {}
for at, member in ipairs(members) do
  if states[at] then
    redis.call('UNLINK', prefix .. member)
    ended[#ended + 1] = member
  end
  redis.call('SREM', idx, member)
end
local left = redis.call('SCARD', idx)
if spared ~= '' then left = left - redis.call('SISMEMBER', idx, spared) end
return { left, ended, left > 0 and redis.call('SRANDMEMBER', idx, most) or {} }
