#!lua flags=allow-oom
-- Moves a record to a new version, always audibly, whatever it held. Of a put, stores the payload iff the record was
-- where the writer saw it. A version that has to be raised is raised by some number of chance: where a server lost the last
-- ones, the same must not be given again.
-- KEYS: record [, payload]   ARGV: version, life of a new record (ms, 0 = for ever), raise [, captured, payload, life (ms)]
local old = redis.pcall('SET', KEYS[1], ARGV[1], 'KEEPTTL', 'GET')
if type(old) == 'table' then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[1])
  old = false
end
-- Of a record that lists versions which it left softly: the one that it was at. None of them is left softly any more.
if old and string.find(old, ' ', 1, true) then old = string.match(old, '^([1-9]%d*)[ %d]*$') or old end
if KEYS[2] and old == ARGV[4] then
  -- What the writer saw, and nothing newer than what it proposes.
  redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
  return {tonumber(ARGV[1]), 1}
end
local version = ARGV[1]
if not old then
  if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
elseif (#old ~= #version or old >= version) and #old < 17 and string.match(old, '^[1-9]%d*$') and tonumber(old) < 9007199254740991 and tonumber(old) >= tonumber(version) then
  version = string.format('%.0f', math.min(tonumber(old) + tonumber(ARGV[3]), 9007199254740991))
  redis.call('SET', KEYS[1], version, 'KEEPTTL')
end
return {tonumber(version), 0}
