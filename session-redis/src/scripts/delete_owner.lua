-- KEYS: an index. ARGV: prefix of sessions, '1' while the slot moves, the owner, the member to spare or '', how many at
-- most, and in Cluster a token for the fence and how long it may stand in milliseconds.
-- Replies how many members may be left, and those whose live records it ended. Nothing is changed before all was looked at.
local prefix, moving, owner, spared, most, token = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local idx, now = KEYS[1], clock()
local members, states = redis.call('SRANDMEMBER', idx, most), {}
for at, member in ipairs(members) do
  local state, _, holder, _, failed = look(prefix .. member, now)
  if failed then return failed end
  if moving and state ~= LIVE then
    return redis.error_reply('TRYAGAIN a session of this index may be elsewhere')
  end
  states[at] = state == LIVE and holder == owner
end
if token then
  redis.call('SADD', fence(idx), token)
  redis.call('PEXPIRE', fence(idx), ARGV[7])
end
local out = { 0 }
for at, member in ipairs(members) do
  if member ~= spared then
    if states[at] then
      redis.call('UNLINK', prefix .. member)
      out[#out + 1] = member
    end
    redis.call('SREM', idx, member)
  end
end
out[1] = redis.call('SCARD', idx)
if spared ~= '' then out[1] = out[1] - redis.call('SISMEMBER', idx, spared) end
return out
