-- What all functions share: keys, time, the ledger's records, and the arq job.
-- KEY and the constants in capitals come from store/keys.py; see there for every key and its lifetime.

local function key(shard, kind, id)
  return 'clarion:{' .. shard .. '}:' .. KEY[kind] .. (id or '')
end

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

-- A ledger record is state|attempts|ambiguous|time|due|batch|since|provider|reason|detail. `batch` names the batch that
-- carries the delivery; empty, its own page does; HELD and BEHIND are no batch's. `since` is when its attempts
-- began to count anew. An absent record is a delivery that nothing has happened to. Here the three times are text,
-- empty for none: each is written as it was read, and numbers cost Lua a printf.

local HELD, BEHIND = 'h', 'o'  -- its trigger is paused; an earlier one of its ordering key comes first

local function num(text)
  return text == '' and 0 or tonumber(text)
end

local function parse(text)
  if not text then
    return {state = 'Q', attempts = 0, ambiguous = 0, time = '', due = '', batch = '', since = '', provider = '',
            reason = '', detail = ''}
  end
  local state, attempts, ambiguous, time, due, batch, since, provider, reason, detail =
    string.match(text, '^(%u)|(%d*)|(%d*)|(%d*)|(%d*)|([^|]*)|(%d*)|([^|]*)|([^|]*)|(.*)$')
  return {state = state, attempts = num(attempts), ambiguous = num(ambiguous), time = time, due = due, batch = batch,
          since = since, provider = provider, reason = reason, detail = detail}
end

local function dash(number)
  return number == 0 and '' or number
end

local function stamp(ms)
  return string.format('%d', ms)
end

local function format(rec)
  return rec.state .. '|' .. dash(rec.attempts) .. '|' .. dash(rec.ambiguous) .. '|' .. rec.time .. '|'
    .. rec.due .. '|' .. rec.batch .. '|' .. rec.since .. '|' .. rec.provider .. '|' .. rec.reason .. '|' .. rec.detail
end

local UNTOUCHED = format(parse(nil))

local FINAL = {S = true, F = true, P = true, E = true, C = true, A = true}
local COUNTED = {'S', 'F', 'P', 'E', 'C', 'A'}

-- A delivery's id is base-number; its page is base.floor(number / PAGE). A base ends with the letter of its medium.
local function locate(ref)
  local base, number = string.match(ref, '^([^-]*)%-(%d+)$')
  return base .. '.' .. math.floor(number / PAGE), number % PAGE, base, number
end

-- A page's base, and the number of its first delivery.
local function start_of(page)
  local base, number = string.match(page, '^([^.]*)%.(%d+)$')
  return base, number * PAGE
end

local function ref_of(page, index)
  local base, first = start_of(page)
  return base .. '-' .. (first + index)
end

local function letter_of(base)
  return string.sub(base, -1)
end

-- A payload field is offset:count:trigger; its value the recipients, opaque here.
local function segment_of(field)
  local offset, count, trigger = string.match(field, '^(%d+):(%d+):(.+)$')
  return {field = field, offset = tonumber(offset), count = tonumber(count), trigger = trigger}
end

-- arq's record of a job, as arq 0.28 reads it with a JSON deserialiser; clarion_core/queue.py is the other half.
-- What a batch leaves by is its via, medium/workspace/configuration: a job names it, so that whoever starts one knows which
-- limits to ask about. Each via of a lane has a queue: one that is slow holds up none of the others.
local function job_id(shard, via, batch, epoch)
  return '{' .. shard .. '}:' .. via .. ':' .. batch .. ':' .. epoch
end

local function queue_of(lane, via)
  return lane .. '.' .. via
end

local function enqueue(shard, lane, via, batch, epoch, due, now)
  local id, queue = job_id(shard, via, batch, epoch), queue_of(lane, via)
  local record = string.format('{"t":null,"f":"deliver","a":["%s","%s","%s",%d],"k":{},"et":%d}', shard, via, batch,
    epoch, now)
  redis.call('SET', 'arq:job:' .. id, record, 'PX', math.max(0, due - now) + JOB_TTL_MS)
  -- What is due at once is so also for a worker whose clock is behind; it goes before retries due since then.
  redis.call('ZADD', key(shard, 'queue', queue), due <= now and now - CLOCKS_DIFFER_MS or due, id)
  local was_empty = redis.call('SADD', key(shard, 'queues', lane), via) == 1
  if due <= now then
    -- A queue that was empty is known to nobody: whoever serves its medium is woken.
    local wake = key(shard, 'wake', was_empty and queue_of(lane, string.match(via, '^[^/]*')) or queue)
    redis.call('LPUSH', wake, '1')
    redis.call('LTRIM', wake, 0, WAKE_MAX - 1)
  end
end

local function dequeue(shard, lane, via, batch, epoch)
  local id, queue = job_id(shard, via, batch, epoch), queue_of(lane, via)
  redis.call('ZREM', key(shard, 'queue', queue), id)
  redis.call('DEL', 'arq:job:' .. id)
  if redis.call('EXISTS', key(shard, 'queue', queue)) == 0 then
    redis.call('SREM', key(shard, 'queues', lane), via)
    redis.call('DEL', key(shard, 'wake', queue))
  end
end

-- A batch record: c campaign, rev revision, l lane, v via, n open deliveries, e epoch of the last claim, j epoch its job
-- carries, u lease's end (0: nobody's), w the claim that holds it, pol ambiguity policy and attempts (L8, M8), m members
-- where it is not a page, crash claims lost before a window opened, solo the delivery that is worked on alone, k parked, bk the slot
-- it booked with a throttle.
local function batch_of(shard, id)
  local flat = redis.call('HGETALL', key(shard, 'batch', id))
  if #flat == 0 then
    return nil
  end
  local b = {id = id}
  for i = 1, #flat, 2 do
    b[flat[i]] = flat[i + 1]
  end
  for _, field in ipairs({'n', 'e', 'j', 'u', 'crash'}) do
    b[field] = tonumber(b[field] or 0)
  end
  return b
end

local function look_at(shard, batch, ms)
  redis.call('ZADD', key(shard, 'open'), ms, batch)
end

local function close(shard, b)
  dequeue(shard, b.l, b.v, b.id, b.j)
  redis.call('DEL', key(shard, 'batch', b.id))
  redis.call('ZREM', key(shard, 'open'), b.id)
end

local function gate_state(shard, campaign)
  return redis.call('HGET', key(shard, 'gate', campaign), 'st') or 'S'
end

-- Give a batch that is nobody's to whoever comes, under a new epoch; parked while its campaign is paused.
local function hand_out(shard, b, due, now)
  dequeue(shard, b.l, b.v, b.id, b.j)
  if gate_state(shard, b.c) == 'P' then
    redis.call('SADD', key(shard, 'parked', b.c), b.id)
    redis.call('HSET', key(shard, 'batch', b.id), 'u', 0, 'k', 1)
    look_at(shard, b.id, now + PARKED_LOOK_MS)
    return
  end
  redis.call('HSET', key(shard, 'batch', b.id), 'u', 0, 'j', b.e + 1)
  redis.call('HDEL', key(shard, 'batch', b.id), 'k')
  b.j = b.e + 1
  enqueue(shard, b.l, b.v, b.id, b.j, due, now)
  look_at(shard, b.id, due + LOOK_MS)
end
