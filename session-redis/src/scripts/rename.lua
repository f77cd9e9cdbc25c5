-- KEYS: the old key and the new one. ARGV: prefix of sessions, prefix of indexes, '1' while the slot moves, the expected
-- version, the ttl in milliseconds, the change of the owner, the version and the data.
-- Replies the time and: 1 renamed, 2 if the new key is taken, false if nothing was live, the record in the way, -1 for a wrong
-- type, or an error.
local prefix, owners = ARGV[1], ARGV[2]
local now = clock()

local function rename(old, new, expected, ttl, change, version, data)
  local raw = redis.pcall('GET', old)
  if type(raw) == 'table' then
    if wrong_type(raw) then return CORRUPT end
    return raw
  end
  local state, current, owner = parse(raw, raw and #raw, now)
  if state < 0 then return raw end
  local taken, other, _, _, failed = look(new, now)
  if failed then return failed end
  if state ~= LIVE or current ~= expected then
    -- This very call, delivered again.
    if state ~= LIVE and taken == LIVE and other == version then return 1 end
    return state == LIVE and raw
  end
  if taken ~= ABSENT then return 2 end
  local after = owner_after(change, owner)
  if (owner ~= '' and undeclared(owners .. owner)) or (after ~= '' and undeclared(owners .. after)) then
    return redis.error_reply('NEEDINDEX ' .. owner)
  end
  local expires = now + ttl * 1000
  if after ~= '' then
    failed = index(owners .. after, sub(new, #prefix + 1), true, expires, ttl)
    if failed then return failed end
  end
  if owner ~= '' then redis.pcall('SREM', owners .. owner, sub(old, #prefix + 1)) end
  redis.call('SET', new, record(after, data, expires, version), 'PXAT', millis(expires))
  redis.call('UNLINK', old)
  return 1
end

local outcome = rename(KEYS[1], KEYS[2], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
if type(outcome) == 'table' then return outcome end
return { now, outcome }
