#!lua
-- Takes the lease of a load, or renews it. It is worth nothing once the record has moved on. Whoever does not get it is noted
-- in it, to be told of its end.
-- KEYS: control, lease   ARGV: node, life (ms), 1 to renew what is held and no more
-- The lease: version, the node that loads (or `-`, where nobody may for a while), then the nodes that wait.
-- Answers 0 for a lease, how long another still has it (ms), or less than 0 for how long nobody may.
local version = redis.pcall('GET', KEYS[1])
if type(version) ~= 'string' then return 0 end
version = string.match(version, '^(%d+)[ %d]*$') or version
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'string' then
  local at, owner = string.match(held, '^(%d+) (%S+)')
  if at == version then
    if owner == ARGV[1] then
      redis.call('PEXPIRE', KEYS[2], ARGV[2])
      return 0
    end
    local left = math.max(1, redis.call('PTTL', KEYS[2]))
    if owner == '-' then return -left end
    if ARGV[3] == '0' and #held < 2048 and not string.find(held, ARGV[1], 1, true) then
      redis.call('SET', KEYS[2], held .. ' ' .. ARGV[1], 'KEEPTTL')
    end
    return left
  end
end
if ARGV[3] == '0' then redis.call('SET', KEYS[2], version .. ' ' .. ARGV[1], 'PX', ARGV[2]) end
return 0
