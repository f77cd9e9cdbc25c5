-- ARGV: prefix of sessions, prefix of indexes, '1' while the slot moves; then for each item the
-- condition ('' any, 'A' absent, 'F' the same but not behind a fence, or a version), the ttl in
-- milliseconds, the change of the owner, the version and the data. Of one item, an error is the
-- whole reply. Replies the time, and for each item: 1 written, false if nothing was live, the
-- record in the way, -1 for a wrong type, an error.
local KEYS, ARGV, call, sub, LIVE_HEAD = KEYS, ARGV, redis.call, string.sub, 96
local prefix, owners = ARGV[1], ARGV[2]
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local out = { now }
local write_any

-- The usual case with the fewest steps: the version is the expected one and changes, and the owner stays. Arguments are texts, because Redis writes a number out with all its
-- decimals; the data is not read. Changes nothing and returns nothing unless this is that case.
local function write_expected(key, expected, ttl, change, version, data)
  local raw = redis.pcall('GETRANGE', key, '0', '95')
  if type(raw) ~= 'string' or sub(raw, 17, 32) ~= expected or change ~= '=' or version == expected then return end
  local magic, format, owner_len, data_len, expires = struct.unpack('>BBBxI4I8', raw)
  if magic ~= 83 or format ~= 1 or owner_len > LIVE_HEAD - 32 or expires <= now then return end
  if call('STRLEN', key) ~= 32 + owner_len + data_len then return end
  local owner = ''
  expires = now + ttl * 1000
  if owner_len > 0 then
    owner = sub(raw, 33, 32 + owner_len)
    if undeclared(owners .. owner) then return end
    local ends = redis.pcall('PEXPIRETIME', owners .. owner)
    if type(ends) == 'table' or ends ~= -1 and ends < math.ceil(expires / 1000) then return end
  end
  call('SET', key, struct.pack('>BBBBI4I8', 83, 1, owner_len, 0, #data, expires) .. version .. owner .. data, 'PX', ttl)
  return 1
end

local items = (#ARGV - 3) / 5
for item = 1, items do
  local at = 5 * item - 1
  local key, condition, ttl, change, version, data = KEYS[item], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local done = #condition == 16 and write_expected(key, condition, ttl, change, version, data)
  if not done then
    write_any = write_any or any_case()
    done = write_any(now, prefix, owners, key, condition, ttl, change, version, data)
  end
  out[item + 1] = done
end
if items == 1 and type(out[2]) == 'table' then return out[2] end
return out
