#!lua flags=no-writes
-- What a partition knows of a change that was journaled with a witness: whether its entry is still there, what is kept of
-- its key to be tried again, and the letters of its key among those that were given up since. Nothing without the witness: the server
-- has lost both.
-- KEYS: journal, parked, dead, witness   ARGV: place, key, the last letter that was looked at (or nothing)
local after = redis.call('GET', KEYS[4])
if not after then return false end
if ARGV[3] ~= '' then after = ARGV[3] end
local entry, letters = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]), {}
repeat
  local page = redis.call('XRANGE', KEYS[3], '(' .. after, '+', 'COUNT', 100)
  for _, letter in ipairs(page) do
    if letter[2][2] == ARGV[2] then letters[#letters + 1] = letter[2][4] end
    after = letter[1]
  end
until #page < 100
return {#entry, redis.call('HGET', KEYS[2], ARGV[2]) or '', after, letters}
