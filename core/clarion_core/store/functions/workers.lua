-- Looking after workers and lanes: signs of life, commands that workers follow, and what lies in the queues.

-- A sign of life. request: worker, fields {name, value, …}; answer: 1 if the worker was told to end, paused lanes
local function heartbeat(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, name = now_ms(), key(CONTROL, 'worker', r.worker)
  redis.call('HSET', name, 'at', now, unpack(r.fields))
  redis.call('PEXPIRE', name, WORKER_TTL_MS)
  redis.call('ZADD', key(CONTROL, 'workers'), now, r.worker)
  redis.call('ZREMRANGEBYSCORE', key(CONTROL, 'workers'), '-inf', now - WORKER_TTL_MS)
  return {redis.call('EXISTS', key(CONTROL, 'drain', r.worker)), redis.call('SMEMBERS', key(CONTROL, 'paused'))}
end

-- The last word of a worker that ends. request: worker
local function farewell(_, args)
  local r = cmsgpack.unpack(args[1])
  redis.call('DEL', key(CONTROL, 'worker', r.worker), key(CONTROL, 'drain', r.worker))
  redis.call('ZREM', key(CONTROL, 'workers'), r.worker)
  return 'OK'
end

-- Do something once a request id: {OK}, {REPLAYED, …}, {REUSED}, or {MISSING} where there is nothing to do it to.
local function once(r, is_there, act)
  local request = key(CONTROL, 'request', r.request)
  local known = answered(request, r.fingerprint)
  if known then
    return known
  end
  if not is_there then
    return {'MISSING'}
  end
  act()
  remember(request, r.fingerprint, '')
  return {'OK'}
end

-- Tell a worker to end. request: worker, request, fingerprint; answer: see `once`
local function worker_drain(_, args)
  local r = cmsgpack.unpack(args[1])
  local is_there = redis.call('EXISTS', key(CONTROL, 'worker', r.worker)) == 1
  return once(r, is_there, function()
    redis.call('SET', key(CONTROL, 'drain', r.worker), 1, 'PX', REQUEST_TTL_MS)
  end)
end

-- Have nobody take from a lane, or everybody again. request: lane, paused, request, fingerprint; answer: see `once`
local function lane_pause(_, args)
  local r = cmsgpack.unpack(args[1])
  return once(r, true, function()
    redis.call(r.paused and 'SADD' or 'SREM', key(CONTROL, 'paused'), r.lane)
  end)
end

-- Whether what a limit is for is there: a record, and in a channel configuration's the provider
local function is_kept(kind, name, provider)
  local record = redis.call('HGET', key(CONTROL, kind, name), 'rec')
  if not record or provider == '' then
    return record
  end
  for _, each in ipairs(cmsgpack.unpack(record).settings.providers) do
    if each.name == provider then
      return true
    end
  end
end

-- Set a limit, or clear it. request: limit, value (empty: clear), needs {kind of record, its name, provider or ''} or {},
--   request, fingerprint; answer: see `once`
local function throttle_put(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(CONTROL, 'throttles')
  if r.value == '' then
    return once(r, redis.call('HEXISTS', name, r.limit) == 1, function() redis.call('HDEL', name, r.limit) end)
  end
  local is_there = #r.needs == 0 or is_kept(unpack(r.needs))
  return once(r, is_there, function() redis.call('HSET', name, r.limit, r.value) end)
end

-- Open batches behind (ms, id) in the order in which the sweep looks at them. request: shard, ms, id, limit
-- answer: rows {ms, id, campaign, lane, deliveries, epoch, lease end, claim, crashes, parked, due or -1}, now
local function open_batches(_, args)
  local r = cmsgpack.unpack(args[1])
  local rows, offset, now = {}, 0, now_ms()
  repeat
    local found = redis.call('ZRANGEBYSCORE', key(r.shard, 'open'), r.ms, '+inf', 'WITHSCORES', 'LIMIT', offset, r.limit)
    for i = 1, #found, 2 do
      local id, ms = found[i], tonumber(found[i + 1])
      local b = (ms > r.ms or id > r.id) and #rows < r.limit and redis.call('HMGET', key(r.shard, 'batch', id), 'c',
        'l', 'n', 'e', 'u', 'w', 'crash', 'k', 'j', 'v')
      if b and b[1] then
        local job, name = job_id(r.shard, b[10], id, b[9]), key(r.shard, 'queue', queue_of(b[2], b[10]))
        local due = redis.call('EXISTS', 'arq:job:' .. job) == 1 and redis.call('ZSCORE', name, job)
        rows[#rows + 1] = {ms, id, b[1], b[2], tonumber(b[3]), tonumber(b[4]), tonumber(b[5]), b[6] or '',
          tonumber(b[7] or 0), b[8] and 1 or 0, tonumber(due or -1)}
      end
    end
    offset = offset + r.limit
  until #rows >= r.limit or #found < 2 * r.limit
  return {rows, now}
end
