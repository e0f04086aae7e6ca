#!lua flags=allow-oom
-- Owns a partition for a while, if nobody else does, under a fence that no owner before had; or lengthens what is owned. Fences go with
-- the time, so that one that a server gave and lost is not given again.
-- KEYS: state   ARGV: owner, how long (ms), the fence has to be above this
-- Answers the fence and the place up to which all is flushed, or nothing.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until', 'fence', 'cursor')
local owner, ends, fence, cursor = held[1], tonumber(held[2] or '0'), tonumber(held[3] or '0'), held[4] or '0-0'
if owner and owner ~= ARGV[1] and ends > now then return false end
local above = tonumber(ARGV[3])
if owner ~= ARGV[1] or ends <= now or fence <= above then
  fence = math.max(fence + 1, above + 1, now)
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])), 'fence',
  string.format('%.0f', fence))
return {string.format('%.0f', fence), cursor}
