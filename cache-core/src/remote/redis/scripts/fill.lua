#!lua
-- Stores what a load returned, iff nothing was evicted since. Touches nothing that hearers listen to. Ends the load's lease, if
-- it had one, and tells those who wait.
-- KEYS: control, payload [, lease]
-- ARGV: version captured before the load, payload, life (ms) [, what the channels of nodes begin with, what they are told]
local version = redis.pcall('GET', KEYS[1])
if type(version) == 'string' and string.find(version, ' ', 1, true) then version = string.match(version, '^(%d+)[ %d]*$') end
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
if KEYS[3] then
  local held = redis.pcall('GETDEL', KEYS[3])
  local waiting = type(held) == 'string' and string.match(held, '^%d+ %S+(.*)$')
  if waiting then
    for node in string.gmatch(waiting, '%S+') do redis.pcall('PUBLISH', ARGV[4] .. node, ARGV[5]) end
  end
end
return 1
