#!lua flags=no-writes
-- Whose a partition is: nobody's, that of an owner who is not heard of any more, that of who asks, or another's.
-- KEYS: state   ARGV: who asks
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if not held[1] then return 'free' end
if held[1] == ARGV[1] then return 'own' end
local now = redis.call('TIME')
if tonumber(held[2] or '0') > now[1] * 1000 + math.floor(now[2] / 1000) then return 'foreign' end
return 'ended'
