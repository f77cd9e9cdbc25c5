-- KEYS: an index, and the sessions of its members as far as they are known. ARGV: prefix of
-- sessions, '1' while the slot moves, the owner. Replies the members whose records are live and
-- this owner's, and frees the others; or false and all members, if one of them is not among KEYS.
local prefix, moving, owner = ARGV[1], ARGV[2] == '1', ARGV[3]
local now = clock()
local live, dead = {}, {}
local members = redis.call('SMEMBERS', KEYS[1])
for _, member in ipairs(members) do
  if undeclared(prefix .. member) then
    table.insert(members, 1, false)
    return members
  end
end
for _, member in ipairs(members) do
  local state, _, holder, _, failed = look(prefix .. member, now)
  if failed then return failed end
  if state == LIVE and holder == owner then
    live[#live + 1] = member
  elseif moving then
    return redis.error_reply('TRYAGAIN a session of this index may be elsewhere')
  else
    dead[#dead + 1] = member
  end
end
for _, member in ipairs(dead) do redis.call('SREM', KEYS[1], member) end
return live
