#!lua flags=allow-oom
-- Notes what was flushed, for whoever owns the partition under this fence and nobody else.
-- KEYS: state, journal, marks, parked, dead
-- ARGV: owner, fence, cursor, the next place, name of the journal,
--       flushed (count, then key and place each), parked (count, then key and text each), unparked (count, then keys),
--       dead (count, then key and text each)
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
local at = 6
local function next()
  local word = ARGV[at]
  at = at + 1
  return word
end
for _ = 1, tonumber(next()) do
  local key, place = next(), next()
  local mark = redis.call('HGET', KEYS[3], key)
  if mark == ARGV[5] .. '|' .. place or mark == ARGV[5] .. '|*' then redis.call('HDEL', KEYS[3], key) end
end
for _ = 1, tonumber(next()) do
  local key, text = next(), next()
  redis.call('HSET', KEYS[4], key, text)
  -- Its entry is about to be trimmed. A later one keeps its mark.
  local mark = redis.call('HGET', KEYS[3], key)
  local ms, n = string.match(mark or '', '|(%d+)%-(%d+)$')
  local cms, cn = string.match(ARGV[3], '^(%d+)%-(%d+)$')
  if ms and (tonumber(ms) < tonumber(cms) or (tonumber(ms) == tonumber(cms) and tonumber(n) <= tonumber(cn))) then
    redis.call('HSET', KEYS[3], key, ARGV[5] .. '|*')
  end
end
for _ = 1, tonumber(next()) do redis.call('HDEL', KEYS[4], next()) end
for _ = 1, tonumber(next()) do
  local key, text = next(), next()
  redis.call('XADD', KEYS[5], '*', 'k', key, 'b', text)
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[3])
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[4])
return 1
