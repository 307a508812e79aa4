-- Moves of deliveries, gathered in one call and written together: ledger, page counts, retry batches, trigger and
-- campaign counts, one event. A call makes one set of changes, for one campaign.

local function changes(shard, campaign, retention_s)
  return {shard = shard, campaign = campaign, retention_s = retention_s, now = now_ms(), ledger = {}, left = {},
          retries = {}, triggers = {}, order = {}, totals = {}}
end

local function trigger_changes(ch, trigger)
  local t = ch.triggers[trigger]
  if not t then
    t = {delta = {}, moves = {}, base = nil}
    ch.triggers[trigger] = t
    ch.order[#ch.order + 1] = trigger
  end
  return t
end

local function put(ch, page, index, rec)
  local rows = ch.ledger[page]
  if not rows then
    rows = {}
    ch.ledger[page] = rows
  end
  rows[#rows + 1] = index
  rows[#rows + 1] = format(rec)
end

local function add(map, name, by)
  map[name] = (map[name] or 0) + by
end

-- Note a move: the record is written, counts change where a final state is entered (or an AMBIGUOUS resolved).
local function move(ch, trigger, ref, from, rec)
  local page, index = locate(ref)
  rec.time = ch.now
  if rec.state ~= 'R' then
    rec.due = 0
  end
  put(ch, page, index, rec)
  local t = trigger_changes(ch, trigger)
  local base, number = string.match(ref, '^(.-)%-(%d+)$')
  t.base = base
  t.moves[#t.moves + 1] = number .. ':' .. rec.state .. ':' .. rec.attempts .. ':' .. rec.reason
  if FINAL[rec.state] then
    add(t.delta, rec.state, 1)
    add(ch.totals, rec.state, 1)
    if FINAL[from] then
      add(t.delta, from, -1)
      add(ch.totals, from, -1)
    else
      add(t.delta, 'fly', -1)
      add(ch.totals, 'fly', -1)
      add(ch.left, page, 1)
    end
  end
end

-- The retry batch of the campaign and revision that is due in the same second and not yet claimed; its id.
local function retry_batch(ch, b, due)
  local second = math.max(math.ceil(due / 1000), math.floor(ch.now / 1000) + 1)
  local slot = 0
  while true do
    local id = 'r:' .. b.c .. ':' .. b.rev .. ':' .. second .. ':' .. slot
    local known = ch.retries[id]
    if not known then
      local stored = redis.call('HMGET', key(ch.shard, 'batch', id), 'e', 'n', 'm')
      known = {id = id, due = second * 1000, e = tonumber(stored[1] or 0), n = tonumber(stored[2] or 0),
               members = stored[3] or '', fresh = not stored[1], like = b}
      ch.retries[id] = known
    end
    if known.e == 0 and known.n < PAGE then
      return known
    end
    slot = slot + 1
  end
end

local function retry_at(ch, b, ref, due)
  local batch = retry_batch(ch, b, due)
  batch.n = batch.n + 1
  batch.members = batch.members == '' and ref or (batch.members .. ' ' .. ref)
  return batch.id, batch.due
end

local function write_retries(ch)
  for id, batch in pairs(ch.retries) do
    if batch.e == 0 and batch.members ~= '' then
      local like = batch.like
      redis.call('HSET', key(ch.shard, 'batch', id), 'c', like.c, 'rev', like.rev, 'l', like.l, 'pol', like.pol,
        'n', batch.n, 'm', batch.members, 'e', 0, 'j', 1, 'u', 0)
      if batch.fresh then
        enqueue(ch.shard, like.l, id, 1, batch.due, ch.now)
        look_at(ch.shard, id, batch.due + LOOK_MS)
      end
    end
  end
end

-- Every recipient is accounted for: the trigger ends, and its records get the lifetime they have from now on. A page
-- may be shared by several triggers; the last one to end finds it empty of open deliveries.
local function finish(ch, trigger, state, placement)
  local base, start, count = string.match(placement, '^(.-):(%d+):(%d+)$')
  redis.call('HSET', key(ch.shard, 'trigger', trigger), 'st', state, 'end', ch.now)
  redis.call('EXPIRE', key(ch.shard, 'trigger', trigger), ch.retention_s)
  redis.call('EXPIRE', key(ch.shard, 'head', trigger), ch.retention_s)
  redis.call('ZADD', key(ch.shard, 'ended'), ch.now + 1000 * ch.retention_s, ch.campaign .. ' ' .. trigger)
  for number = math.floor(start / PAGE), math.floor((start + count - 1) / PAGE) do
    local page = base .. '.' .. number
    if tonumber(redis.call('HGET', key(ch.shard, 'ledger', page), 'o') or 0) == 0 then
      redis.call('EXPIRE', key(ch.shard, 'payload', page), ch.retention_s)
      redis.call('EXPIRE', key(ch.shard, 'ledger', page), ch.retention_s)
    end
  end
end

local ACCOUNT = {'st', 'pg', 'acc', 'fly', 'S', 'F', 'P', 'E', 'C', 'A'}

local function write_trigger(ch, trigger, event)
  local t = ch.triggers[trigger]
  local name = key(ch.shard, 'trigger', trigger)
  for field, by in pairs(t.delta) do
    redis.call('HINCRBY', name, field, by)
  end
  local account = redis.call('HMGET', name, unpack(ACCOUNT))
  local state = account[1] or 'R'
  if t.delta.fly and tonumber(account[4]) == 0 and (state == 'R' or state == 'X') then
    state = (state == 'X' or ch.stopped) and 'C' or 'D'
    finish(ch, trigger, state, account[2])
  end
  local counts = {}
  for i = 3, #account do
    counts[#counts + 1] = account[i] or '0'
  end
  event[#event + 1] = trigger
  event[#event + 1] = state .. ';' .. ch.now .. ';' .. table.concat(counts, ',') .. ';' .. t.base .. ';'
    .. table.concat(t.moves, ' ')
end

-- Write everything that was noted.
local function flush(ch)
  for page, rows in pairs(ch.ledger) do
    redis.call('HSET', key(ch.shard, 'ledger', page), unpack(rows))
  end
  for page, by in pairs(ch.left) do
    redis.call('HINCRBY', key(ch.shard, 'ledger', page), 'o', -by)
  end
  write_retries(ch)
  for field, by in pairs(ch.totals) do
    redis.call('HINCRBY', key(ch.shard, 'counts', ch.campaign), field, by)
  end
  if #ch.order == 0 then
    return
  end
  local event = {}
  for _, trigger in ipairs(ch.order) do
    write_trigger(ch, trigger, event)
  end
  redis.call('XADD', key(ch.shard, 'events'), 'MAXLEN', '~', EVENTS_MAX, '*', unpack(event))
end
