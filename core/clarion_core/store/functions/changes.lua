-- Moves of deliveries, gathered in one call and written together: ledger, page counts, new batches, trigger and
-- campaign counts, turns of ordering keys, one event. A call makes one set of changes, for one campaign.

local function changes(shard, campaign, retention_s)
  local now = now_ms()
  return {shard = shard, campaign = campaign, retention_s = retention_s, now = now, stamp = stamp(now), ledger = {},
          left = {}, batches = {}, triggers = {}, order = {}, totals = {}, ended = {}, places = {}, facts = {}}
end

-- Where a delivery's record is: {page, index, base, number}; with `text` once `read_records` was asked for it.
local function place_of(ch, ref)
  local place = ch.places[ref]
  if not place then
    local page, index, base, number = locate(ref)
    place = {page = page, index = index, base = base, number = number}
    ch.places[ref] = place
  end
  return place
end

-- Read the records of rows that begin with a ref, a page at once.
local function read_records(ch, rows)
  local asked = {}
  for _, row in ipairs(rows) do
    local place = place_of(ch, row[1])
    local here = asked[place.page]
    if not here then
      here = {places = {}, indexes = {}}
      asked[place.page] = here
    end
    here.places[#here.places + 1] = place
    here.indexes[#here.indexes + 1] = place.index
  end
  for page, here in pairs(asked) do
    local texts = redis.call('HMGET', key(ch.shard, 'ledger', page), unpack(here.indexes))
    for i, place in ipairs(here.places) do
      place.text = texts[i]
    end
  end
end

local function trigger_changes(ch, trigger)
  local t = ch.triggers[trigger]
  if not t then
    t = {delta = {}, moves = {}, bases = {}}
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

local function count(ch, t, name, by)
  add(t.delta, name, by)
  add(ch.totals, name, by)
end

-- What the event says of a delivery: where it stands, and a fact that was learned of it, if that is what it tells.
local function told(t, place, rec, fact)
  local moves = t.moves[place.base]
  if not moves then
    moves = {}
    t.moves[place.base] = moves
    t.bases[#t.bases + 1] = place.base
  end
  moves[#moves + 1] = place.number .. ':' .. rec.state .. ':' .. rec.attempts .. ':' .. rec.reason .. ':' .. rec.provider
    .. (fact and ':' .. fact or '')
end

-- Note a move: the record is written; counts change where a final state is entered, corrected, or left for a redrive.
local function move(ch, trigger, ref, from, rec)
  local place = place_of(ch, ref)
  local page, index = place.page, place.index
  rec.time = ch.stamp
  if rec.state ~= 'R' then
    rec.due = ''
  end
  put(ch, page, index, rec)
  local t = trigger_changes(ch, trigger)
  told(t, place, rec)
  if FINAL[from] then
    count(ch, t, from, -1)
  elseif FINAL[rec.state] then
    count(ch, t, 'fly', -1)
    add(ch.left, page, 1)
    ch.ended[#ch.ended + 1] = {ref = ref, trigger = trigger, page = page, index = index}
  end
  if FINAL[rec.state] then
    count(ch, t, rec.state, 1)
  elseif FINAL[from] then
    count(ch, t, 'fly', 1)
    add(ch.left, page, -1)
  end
end

-- What a new batch has of the one its deliveries were in: like = {c, rev, l, pol, v}; see batch_of.

-- The retry batch of the campaign and revision that is due in the same second and not yet claimed.
local function retry_batch(ch, like, due)
  local second = math.max(math.ceil(due / 1000), math.floor(ch.now / 1000) + 1)
  local slot = 0
  while true do
    local id = 'r:' .. like.v .. ':' .. like.c .. ':' .. like.rev .. ':' .. second .. ':' .. slot
    local known = ch.batches[id]
    if not known then
      local stored = redis.call('HMGET', key(ch.shard, 'batch', id), 'e', 'n', 'm')
      known = {id = id, due = second * 1000, e = tonumber(stored[1] or 0), n = tonumber(stored[2] or 0),
               members = stored[3] or '', fresh = not stored[1], like = like}
      ch.batches[id] = known
    end
    if known.e == 0 and known.n < PAGE then
      return known
    end
    slot = slot + 1
  end
end

-- A batch of this call's own, due at once: nobody can claim it before it is complete.
local function batch_now(ch, like)
  local slot = 'now:' .. like.v .. ':' .. like.c .. ':' .. like.rev
  local known = ch[slot]
  if not known or known.n == PAGE then
    local id = 'i:' .. like.c .. ':' .. like.rev .. ':' .. redis.call('INCR', key(ch.shard, 'serial'))
    known = {id = id, due = ch.now, e = 0, n = 0, members = '', fresh = true, like = like}
    ch[slot], ch.batches[id] = known, known
  end
  return known
end

local function join(batch, ref)
  batch.n = batch.n + 1
  batch.members = batch.members == '' and ref or (batch.members .. ' ' .. ref)
  return batch.id
end

-- Put a delivery into a batch that is due then: sets its batch, and when it is due where that is later than now.
local function regroup(ch, like, ref, rec, due)
  local batch = due > ch.now and retry_batch(ch, like, due) or batch_now(ch, like)
  rec.batch = join(batch, ref)
  rec.due = rec.state == 'R' and stamp(batch.due) or ''
end

local function write_batches(ch)
  for id, batch in pairs(ch.batches) do
    if batch.e == 0 and batch.members ~= '' then
      local like = batch.like
      redis.call('HSET', key(ch.shard, 'batch', id), 'c', like.c, 'rev', like.rev, 'l', like.l, 'v', like.v,
        'pol', like.pol, 'n', batch.n, 'm', batch.members, 'e', 0, 'j', 1, 'u', 0)
      if batch.fresh then
        enqueue(ch.shard, like.l, like.v, id, 1, batch.due, ch.now)
        look_at(ch.shard, id, batch.due + LOOK_MS)
      end
    end
  end
end

-- What batches of a trigger's deliveries are like, kept while some of them are in none; nil where it is not. Those of
-- a medium, named by the base's letter, leave by the same via.
local function terms_of(shard, trigger, base)
  local kept = redis.call('HMGET', key(shard, 'terms', trigger), 'c', 'rev', 'l', 'pol', letter_of(base))
  return kept[5] and {c = kept[1], rev = kept[2], l = kept[3], pol = kept[4], v = kept[5]}
end

local function keep_terms(shard, trigger, like)
  redis.call('HSET', key(shard, 'terms', trigger), 'c', like.c, 'rev', like.rev, 'l', like.l, 'pol', like.pol,
    LETTER[string.match(like.v, '^[^/]*')], like.v)
end

-- Give the first of a line a batch of its own, if it was behind another. entry: `delivery trigger`
local function release(ch, entry)
  local ref, trigger = string.match(entry, '^(%S+) (%S+)$')
  local page, index, base = locate(ref)
  local rec = parse(redis.call('HGET', key(ch.shard, 'ledger', page), index))
  if rec.batch == BEHIND then
    regroup(ch, terms_of(ch.shard, trigger, base), ref, rec, ch.now)
    redis.call('HSET', key(ch.shard, 'ledger', page), index, format(rec))
  end
end

-- Those that ended leave the lines of their ordering keys; whoever is first now, and was not, may go. The ledger of
-- this call is written before.
local function pass_turns(ch)
  local ordered, waiting = {}, {}
  for _, ended in ipairs(ch.ended) do
    local page = ended.page
    if ordered[page] == nil then
      ordered[page] = redis.call('HGET', key(ch.shard, 'ledger', page), 'w') or false
    end
    local line = ordered[page] and redis.call('HGET', key(ch.shard, 'turns', page), ended.index)
    if line then
      redis.call('LREM', key(ch.shard, 'line', line), 1, ended.ref .. ' ' .. ended.trigger)
      waiting[line] = true
    end
  end
  for line in pairs(waiting) do
    local first = redis.call('LINDEX', key(ch.shard, 'line', line), 0)
    if first then
      release(ch, first)
    end
  end
end

local PAGED = {'payload', 'ledger', 'turns', 'discarded', 'facts'}

local function pages_of(placement)
  local pages = {}
  for base, start, count in string.gmatch(placement, '([^: ]+):(%d+):(%d+)') do
    for number = math.floor(start / PAGE), math.floor((start + count - 1) / PAGE) do
      pages[#pages + 1] = base .. '.' .. number
    end
  end
  return pages
end

local OPEN = {R = true, P = true, X = true}

-- Whether any trigger on a page is not ended. Of a page without open deliveries that is so where a trigger goes on
-- on its next pages.
local function is_in_use(shard, page)
  for _, field in ipairs(redis.call('HKEYS', key(shard, 'payload', page))) do
    if OPEN[redis.call('HGET', key(shard, 'trigger', segment_of(field).trigger), 'st')] then
      return true
    end
  end
  return false
end

-- Every recipient is accounted for: the trigger ends, and its records get the lifetime they have from now on. A page
-- may be shared by several triggers; the last one to end finds it empty of open deliveries.
local function finish(ch, trigger, state, placement)
  redis.call('HSET', key(ch.shard, 'trigger', trigger), 'st', state, 'end', ch.now)
  redis.call('EXPIRE', key(ch.shard, 'trigger', trigger), ch.retention_s)
  redis.call('EXPIRE', key(ch.shard, 'head', trigger), ch.retention_s)
  redis.call('DEL', key(ch.shard, 'terms', trigger))
  redis.call('ZADD', key(ch.shard, 'ended'), ch.now + 1000 * ch.retention_s, ch.campaign .. ' ' .. trigger)
  for _, page in ipairs(pages_of(placement)) do
    if tonumber(redis.call('HGET', key(ch.shard, 'ledger', page), 'o') or 0) == 0 and not is_in_use(ch.shard, page) then
      for _, kind in ipairs(PAGED) do
        redis.call('EXPIRE', key(ch.shard, kind, page), ch.retention_s)
      end
    end
  end
end

-- An ended trigger has deliveries to send again: what was to vanish stays.
local function reopen(ch, trigger, placement)
  redis.call('HSET', key(ch.shard, 'trigger', trigger), 'st', 'R')
  redis.call('HDEL', key(ch.shard, 'trigger', trigger), 'end')
  redis.call('PERSIST', key(ch.shard, 'trigger', trigger))
  redis.call('PERSIST', key(ch.shard, 'head', trigger))
  redis.call('ZREM', key(ch.shard, 'ended'), ch.campaign .. ' ' .. trigger)
  for _, page in ipairs(pages_of(placement)) do
    for _, kind in ipairs(PAGED) do
      redis.call('PERSIST', key(ch.shard, kind, page))
    end
  end
end

-- The index of dead letters names triggers that have some.
local function index_dead(ch, trigger, dead, discarded)
  local name = key(ch.shard, 'dead', ch.campaign)
  if dead > discarded then
    redis.call('ZADD', name, 'NX', ch.now, trigger)
  else
    redis.call('ZREM', name, trigger)
  end
end

local ACCOUNT = {'st', 'pg', 'acc', 'fly', 'S', 'F', 'P', 'E', 'C', 'A', 'x', 'dc', 'fD', 'fB', 'fC'}
local function write_trigger(ch, trigger, event)
  local t = ch.triggers[trigger]
  local name = key(ch.shard, 'trigger', trigger)
  for field, by in pairs(t.delta) do
    redis.call('HINCRBY', name, field, by)
  end
  local account = redis.call('HMGET', name, unpack(ACCOUNT))
  local state = account[1] or 'R'
  if t.delta.F or t.delta.A then
    index_dead(ch, trigger, tonumber(account[6] or 0) + tonumber(account[10] or 0), tonumber(account[12] or 0))
  end
  if t.delta.fly and tonumber(account[4]) == 0 and OPEN[state] then
    state = (state == 'X' or ch.stopped) and 'C' or 'D'
    finish(ch, trigger, state, account[2])
    if account[11] then
      redis.call('ZREM', key(ch.shard, 'expiring'), trigger)
    end
  elseif t.delta.fly and t.delta.fly > 0 and not OPEN[state] then
    state = 'R'
    reopen(ch, trigger, account[2])
  end
  local counts = {}
  for i = 3, 15 do
    if i <= 10 or i >= 13 then
      counts[#counts + 1] = account[i] or '0'
    end
  end
  event[#event + 1] = trigger
  local text = {state, ch.now, table.concat(counts, ',')}
  for _, base in ipairs(t.bases) do
    text[#text + 1] = base
    text[#text + 1] = table.concat(t.moves[base], ' ')
  end
  event[#event + 1] = table.concat(text, ';')
end

local function write_facts(ch)
  for page, known in pairs(ch.facts) do
    for field, text in pairs(known) do
      if text ~= '' then
        redis.call('HSET', key(ch.shard, 'facts', page), field, text)
      end
    end
  end
end

-- Write everything that was noted.
local function flush(ch)
  for page, rows in pairs(ch.ledger) do
    redis.call('HSET', key(ch.shard, 'ledger', page), unpack(rows))
  end
  write_facts(ch)
  for page, by in pairs(ch.left) do
    redis.call('HINCRBY', key(ch.shard, 'ledger', page), 'o', -by)
    if by < 0 then  -- a redrive
      for _, kind in ipairs(PAGED) do
        redis.call('PERSIST', key(ch.shard, kind, page))
      end
    end
  end
  pass_turns(ch)
  write_batches(ch)
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
