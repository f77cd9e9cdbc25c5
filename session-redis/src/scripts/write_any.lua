-- Writes one item, whatever is there. Follows the prelude, inside of a function: see write.lua.
local function write(now, prefix, owners, key, condition, ttl, change, version, data)
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
  if (gone and undeclared(owners .. owner)) or (kept and undeclared(owners .. after)) then
    return redis.error_reply('NEEDINDEX ' .. owner)
  end
  if kept and condition == 'F' and redis.call('EXISTS', fence(owners .. after)) == 1 then
    return redis.error_reply('FENCED the sessions of this owner are being ended')
  end
  local expires = now + ttl * 1000
  local member = sub(key, #prefix + 1)
  if kept then
    local failed = index(owners .. after, member, after ~= owner, expires, ttl)
    if failed then return failed end
  end
  if gone then redis.pcall('SREM', owners .. owner, member) end
  redis.call('SET', key, record(after, data, expires, version), 'PXAT', millis(expires))
  return 1
end
return write
