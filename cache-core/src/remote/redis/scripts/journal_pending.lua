#!lua flags=no-writes
-- The change of a key that the sink does not have yet: in the journal, or kept to be tried again.
-- KEYS: journal, parked   ARGV: place (or *), key
if ARGV[1] ~= '*' then
  local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
  if #entry > 0 then return entry[1] end
end
return redis.call('HGET', KEYS[2], ARGV[2])
