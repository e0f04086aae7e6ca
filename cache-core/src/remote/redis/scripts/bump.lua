#!lua flags=allow-oom
-- Moves a record to a new version, always audibly, whatever it held. Of a put, stores the payload iff the record was
-- where the writer saw it.
-- KEYS: record [, payload]   ARGV: version, life of a new record (ms, 0 = for ever) [, captured, payload, life (ms)]
local old = redis.pcall('SET', KEYS[1], ARGV[1], 'KEEPTTL', 'GET')
if type(old) == 'table' then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[1])
  old = false
end
local version = ARGV[1]
if not old then
  if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
elseif #old < 17 and string.match(old, '^[1-9]%d*$') and tonumber(old) < 9007199254740991 and tonumber(old) >= tonumber(version) then
  version = string.format('%.0f', tonumber(old) + 1)
  redis.call('SET', KEYS[1], version, 'KEEPTTL')
end
local stored = 0
if KEYS[2] and old == ARGV[3] then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
  stored = 1
end
return {tonumber(version), stored}
