#!lua flags=allow-oom
-- Ends the lease of a load that stored nothing, and tells those who wait. For a while, if so asked, nobody gets it.
-- KEYS: lease   ARGV: node, how long nobody gets it (ms), what the channels of nodes begin with, what they are told
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then return 0 end
local at, owner, waiting = string.match(held, '^(%d+) (%S+)(.*)$')
if owner ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], at .. ' -', 'PX', ARGV[2])
end
for node in string.gmatch(waiting, '%S+') do redis.pcall('PUBLISH', ARGV[3] .. node, ARGV[4]) end
return 1
