#!lua flags=no-writes
-- Entries behind a place, in order, the last version that was given, and whether there may be more entries.
-- KEYS: journal, state   ARGV: behind this, entries at most, bytes about
local after, left, bytes, out = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), {}
while left > 0 and bytes > 0 do
  local some = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', math.min(left, 16))
  if #some == 0 then break end
  for _, entry in ipairs(some) do
    if bytes <= 0 then break end
    out[#out + 1] = entry
    after = entry[1]
    for _, field in ipairs(entry[2]) do bytes = bytes - #field end
  end
  left = left - #some
end
return {redis.call('HGET', KEYS[2], 'last') or '0', out, (left <= 0 or bytes <= 0) and 1 or 0}
