-- Channel configurations: one record each with its last versions, and a count of changes that workers watch.

-- Store a configuration, if nothing happened since it was read: the counter of versions is the same, which one that is
-- removed leaves behind, and it is there or not as before.
-- request: configuration, workspace, id, request, fingerprint, read_version, new (it was not there), version, kept
-- (versions); blob: record
-- answer: {OK} or {TAKEN|CONFLICT|REUSED} or {REPLAYED, answer}
local function configuration_put(_, args)
  local r, record = cmsgpack.unpack(args[1]), args[2]
  local request = key(CONTROL, 'request', r.workspace .. ':' .. r.request)
  local known = answered(request, r.fingerprint)
  if known then
    return known
  end
  local name = key(CONTROL, 'configuration', r.configuration)
  local stored = redis.call('HMGET', name, 'ver', 'rec')
  if r.new and stored[2] then
    return {'TAKEN'}
  end
  if (tonumber(stored[1] or 0)) ~= r.read_version or not (r.new or stored[2]) then
    return {'CONFLICT'}
  end
  redis.call('HSET', name, 'ver', r.version, 'rec', record, r.version, record)
  redis.call('HDEL', name, r.version - r.kept)
  redis.call('PERSIST', name)
  redis.call('ZADD', key(CONTROL, 'configurations', r.workspace), 0, r.id)
  redis.call('SADD', key(CONTROL, 'configured'), r.configuration)
  redis.call('INCR', key(CONTROL, 'configuring'))
  remember(request, r.fingerprint, record)
  return {'OK'}
end

-- A configuration's limits that were set at runtime go with it, and those of its providers.
local function drop_throttles(configuration)
  local throttles, within = key(CONTROL, 'throttles'), 'provider:' .. configuration .. '/'
  redis.call('HDEL', throttles, 'configuration:' .. configuration)
  for _, limit in ipairs(redis.call('HKEYS', throttles)) do
    if string.sub(limit, 1, #within) == within then
      redis.call('HDEL', throttles, limit)
    end
  end
end

-- Remove a configuration; its version stays, so that one of the same id goes on counting.
-- request: as configuration_put, without a record; answer: {OK} or {CONFLICT|REUSED} or {REPLAYED, answer}
local function configuration_delete(_, args)
  local r = cmsgpack.unpack(args[1])
  local request = key(CONTROL, 'request', r.workspace .. ':' .. r.request)
  local known = answered(request, r.fingerprint)
  if known then
    return known
  end
  local name = key(CONTROL, 'configuration', r.configuration)
  local stored = redis.call('HMGET', name, 'ver', 'rec')
  if not stored[2] or tonumber(stored[1]) ~= r.read_version then
    return {'CONFLICT'}
  end
  redis.call('HDEL', name, 'rec')
  redis.call('PEXPIRE', name, REVISION_TTL_MS)
  redis.call('ZREM', key(CONTROL, 'configurations', r.workspace), r.id)
  redis.call('SREM', key(CONTROL, 'configured'), r.configuration)
  drop_throttles(r.configuration)
  redis.call('INCR', key(CONTROL, 'configuring'))
  remember(request, r.fingerprint, '')
  return {'OK'}
end
