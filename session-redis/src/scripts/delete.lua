-- ARGV: prefix of sessions, prefix of indexes, '1' while the slot moves; then for each item the version, or '' for any.
-- Replies for each item: 1 deleted, 0 nothing was live, 2 another version, -1 corrupt, -2 unsupported, or an error.
local prefix, owners = ARGV[1], ARGV[2]
local now = clock()
local out = {}

local function delete(key, expected)
  local state, version, owner, _, failed = look(key, now)
  if failed then return failed end
  if state == LIVE and expected ~= '' and version ~= expected then return 2 end
  if state < 0 and expected ~= '' then return state end
  -- What has expired may go as well, and a foreign value where any is meant.
  redis.call('UNLINK', key)
  -- A member without a record is harmless, so that this one may stay where its index was not
  -- declared.
  if owner and owner ~= '' and not undeclared(owners .. owner) then redis.pcall('SREM', owners .. owner, sub(key, #prefix + 1)) end
  return state == ABSENT and 0 or 1
end

for item = 1, #ARGV - 3 do
  out[item] = delete(KEYS[item], ARGV[item + 3])
end
return out
