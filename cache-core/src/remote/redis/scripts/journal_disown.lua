#!lua flags=allow-oom
-- Ends an ownership. The fence stays.
-- KEYS: state   ARGV: owner, fence
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'until')
return 1
