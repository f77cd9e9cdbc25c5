-- KEYS: an index. ARGV: the token that the fence was put up with. Others may hold it up.
return redis.call('SREM', fence(KEYS[1]), ARGV[1])
