-- Campaigns: the record is kept in one place, a gate in every shard says what it allows.

-- The answer of an earlier call with this request id, or nil. {REPLAYED, answer} or {REUSED}
local function answered(name, fingerprint)
  local stored = redis.call('HMGET', name, 'fp', 'answer')
  if not stored[1] then
    return nil
  end
  return stored[1] == fingerprint and {'REPLAYED', stored[2]} or {'REUSED'}
end

local function remember(name, fingerprint, answer)
  redis.call('HSET', name, 'fp', fingerprint, 'answer', answer)
  redis.call('PEXPIRE', name, REQUEST_TTL_MS)
end

-- A revision that nothing new is accepted under, with all that belongs to it.
local function let_go(revision)
  redis.call('PEXPIRE', key(CONTROL, 'revision', revision), REVISION_TTL_MS)
  redis.call('PEXPIRE', key(CONTROL, 'files', revision), REVISION_TTL_MS)
  redis.call('PEXPIRE', key(CONTROL, 'seeded', revision), REVISION_TTL_MS)
end

-- Whether a configuration comes to send a revision for the first time; asked once, it did. request: revision,
-- configuration; answer: 1 or 0
local function seed(_, args)
  local r = cmsgpack.unpack(args[1])
  local name, left = key(CONTROL, 'seeded', r.revision), redis.call('PTTL', key(CONTROL, 'revision', r.revision))
  local first = redis.call('SADD', name, r.configuration)
  if left ~= -1 then
    redis.call('PEXPIRE', name, left > 0 and left or REVISION_TTL_MS)
  end
  return first
end

-- Store a campaign, if it is still at the version that was read (0: it is not there).
-- request: campaign, workspace, id, request, fingerprint, read_version, version, revision, superseded (revision or 0);
--   blobs: record, definition (empty: unchanged), files (empty: none); answer: {OK} or {CONFLICT|REUSED} or
--   {REPLAYED, answer}
local function campaign_put(_, args)
  local r, record, definition, files = cmsgpack.unpack(args[1]), args[2], args[3], args[4]
  local request = key(CONTROL, 'request', r.workspace .. ':' .. r.request)
  local known = answered(request, r.fingerprint)
  if known then
    return known
  end
  local name = key(CONTROL, 'campaign', r.campaign)
  local stored = redis.call('HMGET', name, 'ver', 'rec')
  if (stored[2] and tonumber(stored[1]) or 0) ~= r.read_version then
    return {'CONFLICT'}
  end
  redis.call('HSET', name, 'ver', r.version, 'rev', r.revision, 'rec', record)
  redis.call('PERSIST', name)
  if definition ~= '' then
    redis.call('SET', key(CONTROL, 'revision', r.campaign .. ':' .. r.revision), definition)
  end
  if files ~= '' then
    redis.call('SET', key(CONTROL, 'files', r.campaign .. ':' .. r.revision), files)
  end
  if r.superseded > 0 then
    let_go(r.campaign .. ':' .. r.superseded)
  end
  redis.call('ZADD', key(CONTROL, 'campaigns', r.workspace), 0, r.id)
  redis.call('SADD', key(CONTROL, 'dirty'), r.campaign .. ' ' .. r.version)
  remember(request, r.fingerprint, record)
  return {'OK'}
end

-- Remove a campaign; its version and revision numbers stay, so that one of the same id goes on counting.
-- request: campaign, workspace, id, request, fingerprint, read_version, version, revision; answer: as campaign_put
local function campaign_delete(_, args)
  local r = cmsgpack.unpack(args[1])
  local request = key(CONTROL, 'request', r.workspace .. ':' .. r.request)
  local known = answered(request, r.fingerprint)
  if known then
    return known
  end
  local name = key(CONTROL, 'campaign', r.campaign)
  local stored = redis.call('HMGET', name, 'ver', 'rec')
  if not stored[2] or tonumber(stored[1]) ~= r.read_version then
    return {'CONFLICT'}
  end
  redis.call('HDEL', name, 'rec')
  redis.call('HSET', name, 'ver', r.version)
  redis.call('PEXPIRE', name, REVISION_TTL_MS)
  let_go(r.campaign .. ':' .. r.revision)
  redis.call('ZREM', key(CONTROL, 'campaigns', r.workspace), r.id)
  redis.call('HDEL', key(CONTROL, 'throttles'), 'campaign:' .. r.campaign)
  redis.call('SADD', key(CONTROL, 'dirty'), r.campaign .. ' ' .. r.version)
  remember(request, r.fingerprint, '')
  return {'OK'}
end

-- request: shard, request, fingerprint; blob: answer (empty: only look); answer: {} or {REPLAYED, answer} or {REUSED}
local function request_seen(_, args)
  local r, answer = cmsgpack.unpack(args[1]), args[2]
  local name = key(r.shard, 'request', r.request)
  local known = answered(name, r.fingerprint)
  if not known and answer ~= '' then
    remember(name, r.fingerprint, answer)
  end
  return known or {}
end

-- Set a shard's gate, unless it is newer. request: shard, campaign, version, state, revision, throttle (`rate burst` or
-- empty), kept_ms (0: for good)
local function gate(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'gate', r.campaign)
  if tonumber(redis.call('HGET', name, 'ver') or 0) > r.version then
    return 0
  end
  redis.call('HSET', name, 'ver', r.version, 'st', r.state, 'rev', r.revision)
  if r.throttle == '' then
    redis.call('HDEL', name, 'thr')
  else
    redis.call('HSET', name, 'thr', r.throttle)
  end
  local gone = r.kept_ms > 0 and redis.call('EXISTS', key(r.shard, 'counts', r.campaign)) == 0
  redis.call(gone and 'SREM' or 'SADD', key(r.shard, 'accounts'), r.campaign)
  if r.kept_ms > 0 then
    redis.call('PEXPIRE', name, r.kept_ms)
  else
    redis.call('PERSIST', name)
  end
  return 1
end

-- Give out at once what waits for its next attempt, or for permits, under a stopped campaign: it is called off now.
-- request: shard, campaign, cursor, count; answer: the next cursor, 0 at the end
local function hurry(_, args)
  local r = cmsgpack.unpack(args[1])
  if gate_state(r.shard, r.campaign) ~= 'S' then
    return 0
  end
  local now = now_ms()
  local found = redis.call('ZSCAN', key(r.shard, 'open'), r.cursor, 'COUNT', r.count)
  for i = 1, #found[2], 2 do
    local id = found[2][i]
    local ours = redis.call('HGET', key(r.shard, 'batch', id), 'c') == r.campaign
    local b = ours and batch_of(r.shard, id)
    if b and b.u == 0 and not b.k then
      hand_out(r.shard, b, now, now)
    end
  end
  return tonumber(found[1])
end

-- Give out what was parked, unless the campaign is paused. request: shard, campaign, limit; answer: how many
local function unpark(_, args)
  local r = cmsgpack.unpack(args[1])
  if gate_state(r.shard, r.campaign) == 'P' then
    return 0
  end
  local now = now_ms()
  local batches = redis.call('SPOP', key(r.shard, 'parked', r.campaign), r.limit)
  for _, id in ipairs(batches) do
    local b = batch_of(r.shard, id)
    if b and b.k then
      hand_out(r.shard, b, now, now)
    end
  end
  return #batches
end
