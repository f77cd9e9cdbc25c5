-- ARGV: prefix of sessions, prefix of indexes, '1' while the slot moves (then, of one item, an error is the whole reply); then for each item the condition ('' any, 'A'
-- absent, 'F' the same but not behind a fence, or a version), the ttl in milliseconds, the change of the owner, the version and the data.
-- Replies the time, and for each item: 1 written, false if nothing was live, the record in the way, -1 for a wrong type, an
-- error.
local prefix, owners, moving = ARGV[1], ARGV[2], ARGV[3] == '1'
local now = clock()
local out = { string.format('%.0f', now) }

local function write(key, condition, ttl, change, version, data)
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then
    if wrong_type(raw) then return CORRUPT end
    return raw
  end
  local state, current, owner = parse(raw, raw and #raw, now)
  if state < 0 then return raw end
  local live = state == LIVE
  if live and current == version then return 1 end
  if condition == 'A' or condition == 'F' then
    if live then return raw end
  elseif condition ~= '' and current ~= condition then
    return live and raw
  end
  owner = owner or ''
  local after = owner_after(change, owner)
  local gone, kept = owner ~= '' and owner ~= after, after ~= ''
  if moving and ((gone and unnamed(moving, owners .. owner)) or (kept and unnamed(moving, owners .. after))) then
    return redis.error_reply('NEEDINDEX ' .. owner)
  end
  if kept and condition == 'F' and redis.call('EXISTS', fence(owners .. after)) == 1 then
    return redis.error_reply('FENCED the sessions of this owner are being ended')
  end
  local expires = now + ttl * 1000
  local member = sub(key, #prefix + 1)
  if kept then
    local failed = index(owners .. after, prefix, member, after ~= owner, expires, ttl, moving)
    if failed then return failed end
  end
  if gone then redis.pcall('SREM', owners .. owner, member) end
  redis.call('SET', key, record(after, data, expires, version), 'PXAT', millis(expires))
  return 1
end

local items = (#ARGV - 3) / 5
for item = 1, items do
  local at = 5 * item - 1
  out[item + 1] = write(KEYS[item], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end
if items == 1 and type(out[2]) == 'table' then return out[2] end
return out
