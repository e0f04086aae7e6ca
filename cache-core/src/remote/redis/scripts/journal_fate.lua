#!lua flags=no-writes
-- What a partition knows of a change that was journaled: whether its entry is still there, up to where all is flushed, what is kept of
-- its key to be tried again, and the last dead letter of its key.
-- KEYS: state, journal, parked, dead   ARGV: place, key, letters from this place on
local entry = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])
local letter, from = false, ARGV[3]
while true do
  local page = redis.call('XRANGE', KEYS[4], from, '+', 'COUNT', 100)
  for _, item in ipairs(page) do
    if item[2][2] == ARGV[2] then letter = item[2][4] end
  end
  if #page < 100 then break end
  from = '(' .. page[100][1]
end
return {#entry, redis.call('HGET', KEYS[1], 'cursor') or '', redis.call('HGET', KEYS[3], ARGV[2]) or '', letter or ''}
