#!lua flags=allow-oom
-- Moves the generation of the namespace, once for each incident, whichever node comes first.
-- KEYS: record, mark of the incident   ARGV: version, life of the mark (ms), raise
local fresh = redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2])
local old = redis.pcall('GET', KEYS[1])
old = type(old) == 'string' and string.match(old, '^([1-9]%d*)[ %d]*$')
local known = old and #old < 17 and tonumber(old) < 9007199254740991
if known and not fresh then return {tonumber(old), 0} end
if not known then redis.call('DEL', KEYS[1]) end
local version = ARGV[1]
if known and tonumber(old) >= tonumber(version) then
  version = string.format('%.0f', math.min(tonumber(old) + tonumber(ARGV[3]), 9007199254740991))
end
redis.call('SET', KEYS[1], version)
return {tonumber(version), 0}
