#!lua flags=allow-oom
-- Puts a row that has a version. Of two writers that looked at the key at the same time, the one with the newer row wins, whoever
-- comes first, as long as nobody else moved the record: every other move says that what was put may not be true any more. Beside the
-- payload stands which row was put, at which version of the record, under which tags, and the versions before it that only such
-- puts came after. Under other tags, or other generations of them, something was evicted: an older row is not believed to be older then.
-- KEYS: control, payload, row
-- ARGV: version, life of a new record (ms), raise, captured, payload, life (ms), version of the row, its tags, versions that are listed
-- Answers the version of the record, and: 1 it is stored, 0 it is not and the record has moved, 2 nothing was done, because the row
-- that is there is newer, 3 nothing was done, because the version has to be above this one.
local function above(one, other)
  return #one > #other or (#one == #other and one > other)
end
local old = redis.pcall('GET', KEYS[1])
local current = type(old) == 'string' and string.match(old, '^([1-9]%d*)[ %d]*$')
if current and not (#current < 17 and tonumber(current) < 9007199254740991) then current = false end
local put = redis.pcall('GET', KEYS[3])
local at, row, tags, listed
if type(put) == 'string' then at, row, tags, listed = string.match(put, '^(%d+) (%d+) (%d+)([ %d]*)$') end
local captured = current and current == ARGV[4]
local stores, before = captured, ''
if current and at == current then
  local follows = captured or string.find(listed .. ' ', ' ' .. ARGV[4] .. ' ', 1, true)
  if follows and tags == ARGV[8] then
    if above(row, ARGV[7]) then return {tonumber(current), 2} end
    stores, before = captured or above(ARGV[7], row), listed
  elseif captured then
    stores = not above(row, ARGV[7])
  end
end
if stores then
  if not above(ARGV[1], current) then return {tonumber(current), 3} end
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
  redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
  local list, count = current, 1
  for one in string.gmatch(before, '%d+') do
    if count < tonumber(ARGV[9]) then list, count = list .. ' ' .. one, count + 1 end
  end
  redis.call('SET', KEYS[3], ARGV[1] .. ' ' .. ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. list, 'PX', ARGV[6])
  return {tonumber(ARGV[1]), 1}
end
local version = ARGV[1]
if current and not above(version, current) then
  version = string.format('%.0f', math.min(tonumber(current) + tonumber(ARGV[3]), 9007199254740991))
end
if type(old) == 'string' then
  redis.call('SET', KEYS[1], version, 'KEEPTTL')
elseif type(old) == 'table' then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
else
  redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
end
return {tonumber(version), 0}
