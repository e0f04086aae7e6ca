#!lua flags=allow-oom
-- The version of a record, created if there is none. Silent: hearers ignore `incrby` and `expire`.
-- Of a key it says, too, by which mark a change is found that the journal has and the origin does not.
-- KEYS: record [, marks]   ARGV: version to create, life it needs (ms, 0 = for ever), life to give (ms) [, key]
local mark = KEYS[2] and redis.call('HGET', KEYS[2], ARGV[4])
local version = redis.pcall('GET', KEYS[1])
if type(version) == 'table' or (version and not (#version < 17 and string.match(version, '^[1-9]%d*$') and tonumber(version) < 9007199254740992)) then
  redis.call('DEL', KEYS[1])
  version = false
end
if not version then
  version = redis.call('INCRBY', KEYS[1], ARGV[1])
  if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
  return mark and {version, mark} or version
end
if ARGV[2] ~= '0' then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return mark and {tonumber(version), mark} or tonumber(version)
