-- Looking into queues: for workers, which take from them, and for people.

-- What comes first in each queue of a lane that holds something.
-- request: shard, lane, limit (jobs of a queue), limits {via: how many of that one; 0: it is left out}
-- answer: now, then {via, {job, due, …}} each
local function queues(_, args)
  local r = cmsgpack.unpack(args[1])
  local found = {}
  for _, via in ipairs(redis.call('SMEMBERS', key(r.shard, 'queues', r.lane))) do
    local limit = r.limits[via] or r.limit
    if limit > 0 then
      local jobs = redis.call('ZRANGE', key(r.shard, 'queue', queue_of(r.lane, via)), 0, limit - 1, 'WITHSCORES')
      found[#found + 1] = {via, jobs}
    end
  end
  return {now_ms(), found}
end

local function batch_in(job)
  return string.match(job, '^{%d+}:[^:]*:(.+):%d+$')
end

-- What lies in a queue of a shard; of the batches that are some worker's, those among `limit` jobs from `offset` on.
-- request: shard, queue, offset, limit
-- answer: jobs, of which due, since when the first of them is due (0: none is), jobs looked at, of which leased, now
local function queue(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, name, since, leased = now_ms(), key(r.shard, 'queue', r.queue), 0, 0
  local first = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')
  if first[1] and tonumber(first[2]) <= now then
    -- What was due at once is queued early, see `enqueue`; arq's record says since when it is there.
    local since_at_least = string.match(redis.call('GET', 'arq:job:' .. first[1]) or '', '"et":(%d+)')
    since = math.min(now, math.max(tonumber(first[2]), tonumber(since_at_least or 0)))
  end
  -- A claimed batch's job is due when its lease ends.
  local jobs = redis.call('ZRANGEBYSCORE', name, '(' .. now, now + LEASE_MAX_MS, 'LIMIT', r.offset, r.limit)
  for _, job in ipairs(jobs) do
    if tonumber(redis.call('HGET', key(r.shard, 'batch', batch_in(job)), 'u') or 0) > 0 then
      leased = leased + 1
    end
  end
  return {redis.call('ZCARD', name), redis.call('ZCOUNT', name, '-inf', now), since, #jobs, leased, now}
end
