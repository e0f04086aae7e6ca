#!lua
-- Journals a change under a version above all that the partition gave and above the record's. A put or a delete moves the record,
-- audibly, and leaves a mark by which readers find it here for as long as the sink does not have it. A full Redis refuses it.
-- KEYS: journal, state, marks, control, and where somebody waits for the sink: witness, dead
-- ARGV: room (entries), version proposed, raise, life of a new record (ms), key, letter, body, name of the journal,
--       life of the witness (ms)
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {0} end
local version = ARGV[2]
local last, old = redis.call('HGET', KEYS[2], 'last'), redis.pcall('GET', KEYS[4])
-- Nearly always: nothing there, or numbers of as many digits, which compare as text.
local is_above = not last or (#last == #version and last < version)
is_above = is_above and (not old or (type(old) == 'string' and #old == #version and old < version))
if not is_above then
  local highest = 0
  for _, text in pairs({last or '', type(old) == 'string' and old or ''}) do
    -- Of a record that lists what it left softly, the first.
    text = string.match(text, '^[^ ]*')
    local number = #text < 17 and string.match(text, '^[1-9]%d*$') and tonumber(text)
    if number and number < 9007199254740991 and number > highest then highest = number end
  end
  if highest >= tonumber(version) then
    version = string.format('%.0f', math.min(highest + tonumber(ARGV[3]), 9007199254740991))
  end
end
local id = redis.call('XADD', KEYS[1], '*', 'k', ARGV[5], 'v', version, 'o', ARGV[6], 'b', ARGV[7])
redis.call('HSET', KEYS[2], 'last', version)
if ARGV[6] ~= 'i' then
  redis.call('HSET', KEYS[3], ARGV[5], ARGV[8] .. '|' .. id)
  if type(old) == 'string' then
    redis.call('SET', KEYS[4], version, 'KEEPTTL')
  else
    redis.call('SET', KEYS[4], version, 'PX', ARGV[4])
  end
end
if KEYS[5] then
  -- As long as it is there the server has not lost the change either. It says which letter was the last one by then.
  local letter = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
  redis.call('SET', KEYS[5], letter and letter[1] or '0-0', 'PX', ARGV[9])
end
return {1, version, id}
