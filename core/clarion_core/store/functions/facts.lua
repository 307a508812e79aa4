-- Facts: what is heard of a delivery after it was sent. They are kept beside the ledger and move nothing.
-- A page's facts are a hash: index → the delivery's facts, one a line; `p` and index → its provider's own id.
-- A fact is letter, hardness|time|provider|category|code|detail; see domain/feedback.py.

local FACT_KINDS = 'DWBCOK'
local FACT_COUNTED = {D = 'fD', B = 'fB', C = 'fC'}

local function facts_of(ch, page, index)
  local known = ch.facts[page]
  if not known then
    known = {}
    ch.facts[page] = known
  end
  if known[index] == nil then
    known[index] = redis.call('HGET', key(ch.shard, 'facts', page), index) or ''
  end
  return known
end

-- Whether the first of two facts of a kind is the one to keep; whatever order they come in, it is the same one.
local function outranks(one, other)
  local hard, time = string.match(one, '^%u(%d)|(%d+)|')
  local other_hard, other_time = string.match(other, '^%u(%d)|(%d+)|')
  if hard ~= other_hard then
    return hard > other_hard
  end
  time, other_time = tonumber(time), tonumber(other_time)
  if time ~= other_time then
    return time < other_time
  end
  return one < other
end

-- The time of a fact: not later than now, and now where it has none.
local function timed(ch, line)
  local head, time, rest = string.match(line, '^(%u%d)|(%d+)(|.*)$')
  time = tonumber(time)
  if time == 0 or time > ch.now then
    time = ch.now
  end
  return head .. '|' .. stamp(time) .. rest
end

-- Note a fact of a delivery whose record is `rec`. NEW where it is the first of its kind; CHANGED where it is a harder
-- bounce than the one that was known; else KNOWN, also where it is earlier.
local function learn(ch, trigger, ref, rec, line)
  local place = place_of(ch, ref)
  local page, index = place.page, tostring(place.index)
  local known = facts_of(ch, page, index)
  line = timed(ch, line)
  local letter, kept, lines = string.sub(line, 1, 1), nil, {}
  for text in string.gmatch(known[index], '[^\n]+') do
    lines[string.sub(text, 1, 1)] = text
  end
  kept = lines[letter]
  if kept and not outranks(line, kept) then
    return 'KNOWN'
  end
  lines[letter] = line
  local rows = {}
  for kind in string.gmatch(FACT_KINDS, '.') do
    rows[#rows + 1] = lines[kind]
  end
  known[index] = table.concat(rows, '\n')
  if kept and string.sub(kept, 2, 2) == string.sub(line, 2, 2) then
    return 'KNOWN'
  end
  local t = trigger_changes(ch, trigger)
  if not kept and FACT_COUNTED[letter] then
    count(ch, t, FACT_COUNTED[letter], 1)
  end
  told(t, place, rec, string.match(line, '^(.-|.-|.-|.-|.-)|'))
  return kept and 'CHANGED' or 'NEW'
end

-- Facts may be the first that is kept of a page whose lifetime has begun.
local function keep_as_long(ch)
  for page in pairs(ch.facts) do
    local left_ms = redis.call('PTTL', key(ch.shard, 'payload', page))
    if left_ms > 0 then
      redis.call('PEXPIRE', key(ch.shard, 'facts', page), left_ms)
    end
  end
end

-- The trigger that a delivery is of, and its campaign; nil where one of them is gone.
local function owner_of(shard, page, index)
  for _, field in ipairs(redis.call('HKEYS', key(shard, 'payload', page))) do
    local segment = segment_of(field)
    if index >= segment.offset and index < segment.offset + segment.count then
      local campaign = redis.call('HGET', key(shard, 'trigger', segment.trigger), 'c')
      return campaign and segment.trigger, campaign
    end
  end
end

local function note_one(shard, ref, line, retention_s)
  local page, index = locate(ref)
  local trigger, campaign = owner_of(shard, page, index)
  local text = trigger and redis.call('HGET', key(shard, 'ledger', page), index)
  if not trigger or redis.call('EXISTS', key(shard, 'ledger', page)) == 0 then
    return 'GONE'
  end
  local ch = changes(shard, campaign, retention_s)
  local verdict = learn(ch, trigger, ref, parse(text), line)
  flush(ch)
  keep_as_long(ch)
  return verdict
end

-- request: shard, facts {ref, fact}, retention_s; answer: NEW, CHANGED, KNOWN or GONE for each
local function note(_, args)
  local r = cmsgpack.unpack(args[1])
  local verdicts = {}
  for i, fact in ipairs(r.facts) do
    verdicts[i] = note_one(r.shard, fact[1], fact[2], r.retention_s)
  end
  return verdicts
end

-- The same for a receipt that knows nothing but the provider's id of the message. One that comes before the outcome
-- that tells whose id it is waits for it. request: shard, sent_as (provider:id), fact, retention_s
-- answer: {verdict, delivery}, or {WAITING, ''}
local function note_sent_as(_, args)
  local r = cmsgpack.unpack(args[1])
  local ref = redis.call('GET', key(r.shard, 'sent_as', r.sent_as))
  if ref then
    return {note_one(r.shard, ref, r.fact, r.retention_s), ref}
  end
  local early = key(r.shard, 'early', r.sent_as)
  redis.call('RPUSH', early, r.fact)
  redis.call('LTRIM', early, -EARLY_MAX, -1)
  redis.call('PEXPIRE', early, EARLY_TTL_MS)
  return {'WAITING', ''}
end

-- A message was taken by a provider, which calls it `id`. Where its receipts say no more than that (`scope` is
-- what makes its name unique, or false), they are led to the delivery; what overtook us is noted.
local function sent_as(ch, trigger, ref, rec, id, scope)
  if not id or id == '' then
    return
  end
  local place = place_of(ch, ref)
  ch.facts[place.page] = ch.facts[place.page] or {}
  ch.facts[place.page]['p' .. place.index] = id
  if not scope then
    return
  end
  for each in string.gmatch(id, '%S+') do
    local name = scope .. rec.provider .. ':' .. each
    redis.call('SET', key(ch.shard, 'sent_as', name), ref, 'PX', SENT_AS_TTL_MS)
    for _, line in ipairs(redis.call('LRANGE', key(ch.shard, 'early', name), 0, -1)) do
      learn(ch, trigger, ref, rec, line)
    end
    redis.call('DEL', key(ch.shard, 'early', name))
  end
end

-- A delivery, whose it is, and what it was accepted with. request: shard, delivery
-- answer: {ref, page/field, record, blob, head} or {}
local function delivery_of(_, args)
  local r = cmsgpack.unpack(args[1])
  local page, index = locate(r.delivery)
  for _, field in ipairs(redis.call('HKEYS', key(r.shard, 'payload', page))) do
    local segment = segment_of(field)
    if index >= segment.offset and index < segment.offset + segment.count then
      local head = redis.call('GET', key(r.shard, 'head', segment.trigger))
      local text = redis.call('HGET', key(r.shard, 'ledger', page), index) or UNTOUCHED
      return head and {r.delivery, page .. '/' .. field, text, redis.call('HGET', key(r.shard, 'payload', page), field),
                       head} or {}
    end
  end
  return {}
end
