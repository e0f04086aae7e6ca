#!lua flags=allow-oom
-- The beat's write: a full server still echoes. Answers what stood there, which is the beat of eight beats ago, unless the
-- server has lost it.
-- KEYS: probe   ARGV: number of the beat, life (ms)
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'GET')
