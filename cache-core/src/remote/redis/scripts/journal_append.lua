#!lua
-- Journals a change under a version above all that the partition gave: the one proposed, which is made from the time, or the last one
-- and a little more, so that versions stay with the time however many there are. A put or a delete moves the record, audibly, and
-- leaves a mark by which readers find it here for as long as the sink does not have it. A full Redis refuses it.
-- KEYS: journal, state, marks, control, and where somebody waits for the sink: witness, dead
-- ARGV: room (entries), version proposed, raise of a version, raise of the record, life of a new record (ms), key, letter, body, name of
--       the journal, life of the witness (ms)
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {0} end
local function above(old, raise)
  -- Nearly always: nothing there, or numbers of as many digits, which compare as text.
  if not old or (#old == #ARGV[2] and old < ARGV[2]) then return ARGV[2] end
  -- Of a record that lists what it left softly, the first.
  local text = string.match(old, '^[^ ]*')
  local number = #text < 17 and string.match(text, '^[1-9]%d*$') and tonumber(text)
  if not number or number >= 9007199254740991 or number < tonumber(ARGV[2]) then return ARGV[2] end
  return string.format('%.0f', math.min(number + tonumber(raise), 9007199254740991))
end
local version = above(redis.call('HGET', KEYS[2], 'last'), ARGV[3])
local id = redis.call('XADD', KEYS[1], '*', 'k', ARGV[6], 'v', version, 'o', ARGV[7], 'b', ARGV[8])
redis.call('HSET', KEYS[2], 'last', version)
if ARGV[7] ~= 'i' then
  redis.call('HSET', KEYS[3], ARGV[6], ARGV[9] .. '|' .. id)
  local old = redis.pcall('GET', KEYS[4])
  if type(old) == 'string' then
    redis.call('SET', KEYS[4], above(old, ARGV[4]), 'KEEPTTL')
  else
    redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[5])
  end
end
if KEYS[5] then
  -- As long as it is there the server has not lost the change either. It says which letter was the last one by then.
  local letter = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
  redis.call('SET', KEYS[5], letter and letter[1] or '0-0', 'PX', ARGV[10])
end
return {1, version, id}
