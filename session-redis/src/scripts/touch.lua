-- ARGV: prefix of sessions, prefix of indexes, '1' while the slot moves; then for each item the ttl
-- in milliseconds. Of one item, an error is the whole reply. Replies for each item: 1 touched, 0
-- nothing was live, -1 corrupt, -2 unsupported, or an error.
local prefix, owners, alone = ARGV[1], ARGV[2], #ARGV == 4
local now = clock()
local out = {}

local function touch(key, ttl)
  local state, _, owner, _, failed = look(key, now)
  if failed then return failed end
  if state ~= LIVE then return state end
  local expires = now + ttl * 1000
  if owner ~= '' then
    local idx = owners .. owner
    if undeclared(idx) then return redis.error_reply('NEEDINDEX ' .. owner) end
    failed = index(idx, sub(key, #prefix + 1), false, expires, ttl)
    if failed then return failed end
  end
  redis.call('SETRANGE', key, 3, '\1')
  redis.call('SETRANGE', key, 8, pack('>I8', expires))
  redis.call('PEXPIREAT', key, millis(expires))
  return 1
end

for item = 1, #ARGV - 3 do
  out[item] = touch(KEYS[item], ARGV[item + 3])
end
if alone and type(out[1]) == 'table' then return out[1] end
return out
