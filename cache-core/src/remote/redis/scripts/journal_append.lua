#!lua
-- Journals a change under a version above all that the partition gave: the time, in microseconds, or the last one and a little more, so
-- that versions stay with the time however many there are. It is the time of the server as it does this: what a caller took along may
-- be older than what the server gave and lost meanwhile. A put or a delete moves the record, audibly, and leaves a mark by which
-- readers find it here for as long as the sink does not have it. A full Redis refuses it.
-- KEYS: journal, state, marks, control, and where somebody waits for the sink: witness, dead
-- ARGV: room (entries), raise of a version, raise of the record, life of a new record (ms), key, letter, body, name of the journal,
--       life of the witness (ms)
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {0} end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local function above(old, raise)
  -- Nearly always: nothing there, or numbers of as many digits, which compare as text.
  if not old or (#old == #now and old < now) then return now end
  -- Of a record that lists what it left softly, the first.
  local text = string.match(old, '^[^ ]*')
  local number = #text < 17 and string.match(text, '^[1-9]%d*$') and tonumber(text)
  if not number or number >= 9007199254740991 or number < tonumber(now) then return now end
  return string.format('%.0f', math.min(number + tonumber(raise), 9007199254740991))
end
local version = above(redis.call('HGET', KEYS[2], 'last'), ARGV[2])
local id = redis.call('XADD', KEYS[1], '*', 'k', ARGV[5], 'v', version, 'o', ARGV[6], 'b', ARGV[7])
redis.call('HSET', KEYS[2], 'last', version)
if ARGV[6] ~= 'i' then
  redis.call('HSET', KEYS[3], ARGV[5], ARGV[8] .. '|' .. id)
  local old = redis.pcall('GET', KEYS[4])
  if type(old) == 'string' then
    redis.call('SET', KEYS[4], above(old, ARGV[3]), 'KEEPTTL')
  else
    redis.call('SET', KEYS[4], now, 'PX', ARGV[4])
  end
end
if KEYS[5] then
  -- As long as it is there the server has not lost the change either. It says which letter was the last one by then.
  local letter = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
  redis.call('SET', KEYS[5], letter and letter[1] or '0-0', 'PX', ARGV[9])
end
return {1, version, id}
