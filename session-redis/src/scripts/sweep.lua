-- KEYS: an index, and the sessions of some of its members. ARGV: prefix of sessions.
-- Takes out the members without a record.
for at = 2, #KEYS do
  if redis.pcall('EXISTS', KEYS[at]) == 0 then redis.call('SREM', KEYS[1], string.sub(KEYS[at], #ARGV[1] + 1)) end
end
return redis.status_reply('OK')
