#!lua flags=allow-oom
-- Evicts softly: a record goes to a new version, and lists the one that it leaves and those that it left before, newest first.
-- What was stored under one of them is old, and not gone. Where there is no version to leave, nothing was stored either.
-- KEYS: record   ARGV: version, life of a new record (ms, 0 = for ever), raise, how many it lists
local old = redis.pcall('GET', KEYS[1])
local current, left
if type(old) == 'string' then current, left = string.match(old, '^([1-9]%d*)([ %d]*)$') end
if not (current and #current < 17 and tonumber(current) < 9007199254740991) then
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
  if type(old) ~= 'string' and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return {tonumber(ARGV[1]), 0}
end
local version = ARGV[1]
if tonumber(current) >= tonumber(version) then
  version = string.format('%.0f', math.min(tonumber(current) + tonumber(ARGV[3]), 9007199254740991))
end
local listed, most = {version, current}, 1 + tonumber(ARGV[4])
for one in string.gmatch(left, '%d+') do
  if #listed < most then table.insert(listed, one) end
end
redis.call('SET', KEYS[1], table.concat(listed, ' '), 'KEEPTTL')
return {tonumber(version), 0}
