-- What all scripts share. A record is one string:
--   1 'S', 2 format, 3 length of the owner, 4 whether it was touched since it was written, 5-8 length of the data, 9-16 expiry, 17-32 version, owner, data
-- Numbers are big-endian; the expiry is in microseconds since 1970 by the clock of the server, and is what counts: that of
-- the key is the same, rounded up to milliseconds, and frees the space.
local byte, sub, pack, unpack_struct = string.byte, string.sub, struct.pack, struct.unpack
local HEAD, MOST = 32, 286 -- of a record without data

local LIVE, ABSENT, CORRUPT, UNSUPPORTED = 1, 0, -1, -2

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- What these bytes are, with the version and the owner of what is live.
local function parse(raw, len, now)
  if not raw or len == 0 then return ABSENT end
  if len < HEAD or byte(raw, 1) ~= 83 then return CORRUPT end
  if byte(raw, 2) ~= 1 then return UNSUPPORTED end
  local owner_len = byte(raw, 3)
  local data_len, expires = unpack_struct('>I4I8', raw, 5)
  if len ~= HEAD + owner_len + data_len then return CORRUPT end
  if expires <= now then return ABSENT end
  return LIVE, sub(raw, 17, 32), sub(raw, 33, HEAD + owner_len)
end

local function wrong_type(reply)
  return string.find(reply['err'], 'WRONGTYPE', 1, true) ~= nil
end

-- Reads what comes before the data. An error reply is the fifth result.
local function look(key, now)
  local raw = redis.pcall('GETRANGE', key, 0, MOST)
  if type(raw) == 'table' then
    if wrong_type(raw) then return CORRUPT, nil, nil, true end
    return nil, nil, nil, nil, raw
  end
  return parse(raw, #raw > 0 and redis.call('STRLEN', key) or 0, now)
end

local function record(owner, data, expires, version)
  return pack('>BBBBI4I8', 83, 1, #owner, 0, #data, expires) .. version .. owner .. data
end

local function millis(expires)
  return math.ceil(expires / 1000)
end

-- The owner after a change: '=' keeps, '-' clears, '+' sets.
local function owner_after(change, current)
  local kind = byte(change, 1)
  if kind == 61 then return current end
  if kind == 45 then return '' end
  return sub(change, 2)
end

-- Makes sure that the index holds the member, and outlives its record. To be called before anything is changed: returns the
-- error if that cannot be. With its expiry half a ttl ahead, the index needs no change at most renewals.
local function index(idx, member, fresh, expires, ttl)
  local ends = redis.pcall('PEXPIRETIME', idx)
  if type(ends) == 'table' then return ends end
  if fresh or ends == -2 then
    local added = redis.pcall('SADD', idx, member)
    if type(added) == 'table' then return added end
  end
  local least = millis(expires)
  if ends ~= -1 and ends < least then
    redis.call('PEXPIREAT', idx, least + math.floor(ttl / 2))
  end
end

-- While the sessions of an owner are being ended shard by shard, a session must not slip from one
-- that is still to come into one that was done: a rename across shards waits while this key is
-- there. No owner holds a NUL, so it is no index.
local function fence(idx)
  return idx .. '\0'
end
