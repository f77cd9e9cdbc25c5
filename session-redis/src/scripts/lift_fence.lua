-- KEYS: a fence. ARGV: the token that it was put up with. Others may hold it up.
return redis.call('SREM', KEYS[1], ARGV[1])
