#!lua
-- Stores what a load returned, iff nothing was evicted since. Touches nothing that hearers listen to.
-- KEYS: control, payload   ARGV: version captured before the load, payload, life (ms)
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
