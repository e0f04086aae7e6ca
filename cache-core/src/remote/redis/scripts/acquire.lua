#!lua flags=allow-oom
-- The version of a record, created if there is none. Silent: hearers ignore `incrby` and `expire`. Of a record that lists
-- versions which it left softly, all that it says. Of a key it says, too, by which mark a change is found that the journal has and
-- the origin does not.
-- KEYS: record [, marks]   ARGV: version to create, life it needs (ms, 0 = for ever), life to give (ms) [, key]
local mark = KEYS[2] and redis.pcall('HGET', KEYS[2], ARGV[4])
if type(mark) ~= 'string' then mark = false end
local record = redis.pcall('GET', KEYS[1])
local version = record
if type(record) == 'string' and string.find(record, ' ', 1, true) then
  version = string.match(record, '^([1-9]%d*)[ %d]*$') or record
end
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
local said = version == record and tonumber(version) or record
return mark and {said, mark} or said
