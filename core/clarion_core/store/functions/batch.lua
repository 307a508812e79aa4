-- A worker's way with a batch: claim it, open windows and record outcomes, hand it back or close it.

-- A worker died or was fenced out with windows open. What was in them may have been handed over: AT_LEAST_ONCE sends
-- it again unless it is to end, AT_MOST_ONCE ends AMBIGUOUS. What was being worked on alone is the poison. How many
-- there were.
local function settle_open(ch, b)
  local policy, attempts = string.sub(b.pol, 1, 1), tonumber(string.sub(b.pol, 2))
  local gate = gate_state(ch.shard, b.c)
  local fate_of = fates(ch.shard, gate, ch.now)
  ch.stopped = gate == 'S'
  local found = 0
  for _, member in ipairs(members_of(ch.shard, b)) do
    local rec = member.rec
    if rec.state == 'G' then
      found = found + 1
      local fate = fate_of(member.segment.trigger)
      rec.ambiguous = rec.ambiguous + 1
      rec.reason, rec.detail = 'HANDOVER_UNKNOWN', ''
      if b.solo == member.ref then
        rec.state, rec.reason = 'F', 'POISON'
      elseif policy == 'L' and rec.attempts < attempts and (not fate or fate == HOLD) then
        rec.state = 'Q'
      else
        rec.state = 'A'
      end
      if FINAL[rec.state] then
        rec.batch = ''
      end
      move(ch, member.segment.trigger, member.ref, 'G', rec)
    end
  end
  return found
end

-- Until when nobody takes over: a lease after the store was away for half of one, since its workers could not renew.
-- Whoever comes first after that notices it.
local function grace_until(shard, lease_ms, now)
  local beat = tonumber(redis.call('GET', key(shard, 'beat')) or 0)
  redis.call('SET', key(shard, 'beat'), now)
  if beat > 0 and now - beat > lease_ms / 2 then
    redis.call('SET', key(shard, 'grace'), now + lease_ms, 'PX', lease_ms)
  end
  return tonumber(redis.call('GET', key(shard, 'grace')) or 0)
end

local function recover(shard, b, lease_ms, retention_s)
  local now = now_ms()
  local grace = b.u > 0 and grace_until(shard, lease_ms, now) or 0
  if grace > now then
    redis.call('ZADD', key(shard, 'queue', queue_of(b.l, b.v)), 'XX', grace, job_id(shard, b.v, b.id, b.j))
    look_at(shard, b.id, grace)
    return 'GRACE'
  end
  local ch = changes(shard, b.c, retention_s)
  local unsure = settle_open(ch, b)
  flush(ch)
  if b.u > 0 and unsure == 0 then  -- else the suspects are known, and the next worker takes them one by one
    redis.call('HINCRBY', key(shard, 'batch', b.id), 'crash', 1)
  end
  redis.call('HDEL', key(shard, 'batch', b.id), 'solo')
  hand_out(shard, b, now, now)
  return 'RECOVERED'
end

-- Deliveries that are not to be handed over leave here: called off, expired, or held.
local function sort_out(ch, b, members, fate_of)
  local kept = {}
  for _, member in ipairs(members) do
    local trigger, rec = member.segment.trigger, member.rec
    local fate, expire = fate_of(trigger)
    member.expire = expire
    if fate == HOLD then
      set_aside(ch, b, trigger, member.ref, rec)
    elseif fate then
      local from = rec.state
      meet(rec, fate)
      move(ch, trigger, member.ref, from, rec)
    else
      kept[#kept + 1] = member
    end
  end
  return kept
end

local function load_members(shard, members)
  local rows, segments, heads, seen = {}, {}, {}, {}
  for _, member in ipairs(members) do
    local segment = member.segment
    local name = member.page .. '/' .. segment.field
    rows[#rows + 1] = {member.ref, name, member.text}
    if not seen[name] then
      seen[name] = true
      segments[#segments + 1] = {name, redis.call('HGET', key(shard, 'payload', member.page), segment.field)}
    end
    if not seen[segment.trigger] then
      seen[segment.trigger] = true
      heads[#heads + 1] = {segment.trigger, redis.call('GET', key(shard, 'head', segment.trigger)),
        redis.call('HGET', key(shard, 'trigger', segment.trigger), 'at'), member.expire or 0}
    end
  end
  return rows, segments, heads
end

local function take(shard, b, lease_ms, now)
  redis.call('HSET', key(shard, 'batch', b.id), 'u', now + lease_ms)
  redis.call('ZADD', key(shard, 'queue', queue_of(b.l, b.v)), 'XX', now + lease_ms, job_id(shard, b.v, b.id, b.j))
  look_at(shard, b.id, now + lease_ms + LOOK_MS)
end

-- Nobody's again under a new epoch, due then: the running job's id must not come again.
local function give_up(shard, b, epoch, due, now)
  redis.call('HSET', key(shard, 'batch', b.id), 'e', epoch)
  b.e = epoch
  hand_out(shard, b, due, now)
end

-- request: shard, lane, via, batch, epoch, claim (names this call: sent twice, it is answered twice), lease_ms, retention_s,
--   limits {name, rate, burst}
-- answer: {CLAIMED, campaign, revision, crashes, now, rows, segments, heads {trigger, blob, accepted at, expires at or 0},
--   free permits or -1}
--   or {GONE|STALE|PARKED|THROTTLED|EMPTY|…}
local function claim(_, args)
  local r = cmsgpack.unpack(args[1])
  local b = batch_of(r.shard, r.batch)
  if not b then
    dequeue(r.shard, r.lane, r.via, r.batch, r.epoch)
    return {'GONE'}
  end
  local now = now_ms()
  if r.epoch < b.j then
    dequeue(r.shard, r.lane, r.via, r.batch, r.epoch)
    return {'STALE'}
  end
  if r.epoch == b.e and b.u > 0 and b.u <= now then
    return {recover(r.shard, b, r.lease_ms, r.retention_s)}
  end
  local again = r.epoch == b.e and b.u > 0 and b.w == r.claim
  if not again and (r.epoch ~= b.e + 1 or b.k) then
    return {'STALE'}
  end
  local gate = gate_state(r.shard, b.c)
  if gate == 'P' then
    give_up(r.shard, b, r.epoch, now, now)
    return {'PARKED'}
  end
  local wait, free = false, -1
  if not again and gate ~= 'S' then
    wait, free = must_wait(limits_of(r.shard, b.c, r.limits), b, now_us())
  end
  if wait then
    redis.call('HSET', key(r.shard, 'batch', b.id), 'bk', b.bk)
    give_up(r.shard, b, r.epoch, now + wait, now)
    return {'THROTTLED'}
  end
  local ch = changes(r.shard, b.c, r.retention_s)
  ch.stopped = gate == 'S'
  local members = sort_out(ch, b, members_of(r.shard, b), fates(r.shard, gate, now))
  flush(ch)
  if #members == 0 then
    close(r.shard, b)
    return {'EMPTY'}
  end
  take(r.shard, b, r.lease_ms, now)
  redis.call('HSET', key(r.shard, 'batch', b.id), 'e', r.epoch, 'w', r.claim, 'n', #members)
  local rows, segments, heads = load_members(r.shard, members)
  return {'CLAIMED', b.c, tonumber(b.rev), b.crash, now, rows, segments, heads, free}
end

-- A worker that lost its batch knows how an attempt of its own ended that we had to call ambiguous: believe it where
-- the delivery was not sent again since.
local function resolve(ch, results)
  for _, result in ipairs(results) do
    local ref, trigger, state, attempts, opened = result[1], result[2], result[3], result[4], result[9]
    local id, scope = result[10], result[11]
    local rec = parse(place_of(ch, ref).text)
    local unsure = rec.reason == 'HANDOVER_UNKNOWN' and (rec.state == 'A' or rec.state == 'Q')
    if opened and unsure and rec.attempts == attempts and (state == 'S' or state == 'F') then
      local from = rec.state
      rec.state, rec.reason, rec.detail, rec.batch = state, result[5], result[6], ''
      rec.ambiguous = math.max(0, rec.ambiguous - 1)
      move(ch, trigger, ref, from, rec)
      sent_as(ch, trigger, ref, rec, id, scope)
    end
  end
end

-- Record one outcome, if the delivery, whose record was read, is still where the worker believes it is. True if it
-- left the batch.
local function record(ch, b, result, fate_of)
  local ref, trigger, state, attempts, reason, detail, due, ambiguous, _, id, scope = unpack(result)
  local rec = parse(place_of(ch, ref).text)
  if not carried(rec, b.m and b.id or '') or rec.attempts ~= attempts then
    return false
  end
  local from = rec.state
  if state == 'Q' and reason == '' then  -- opened, and certainly not handed over; with a reason another provider is tried
    rec.attempts = rec.attempts - 1
    if rec.reason == 'HANDOVER_UNKNOWN' then  -- a suspect stays one
      reason, detail = rec.reason, rec.detail
    end
  end
  rec.state, rec.reason, rec.detail = state, reason, detail
  if ambiguous then
    rec.ambiguous = rec.ambiguous + 1
  end
  if state == 'R' then
    local fate, expire = fate_of(trigger)
    if not fate and expire and due >= expire then
      fate = EXPIRED
    end
    if not fate or fate == HOLD then
      regroup(ch, b, ref, rec, due)
    elseif ambiguous then
      rec.state = 'A'
    else
      meet(rec, fate)
    end
  end
  if FINAL[rec.state] then
    rec.batch = ''
  end
  move(ch, trigger, ref, from, rec)
  sent_as(ch, trigger, ref, rec, id, scope)
  return rec.state ~= 'Q'
end

-- Open a window: what is marked SENDING here may be handed over from now on. 1 or 0 for each wanted delivery, 2 for
-- those that the permits did not reach to, in order; `weight` permits each. Third, the weight of the first of those.
local function open(ch, b, r, recorded, fate_of, permits, whole)
  local allowed, taken, lacking = {}, 0, nil
  for i, want in ipairs(r.open) do
    local ref, trigger, attempt, weight = want[1], want[2], want[3], want[4]
    local place = place_of(ch, ref)
    local rec = parse(place.text)
    local ours = carried(rec, b.m and b.id or '') and not recorded[ref]
    local again = rec.state == 'G' and rec.attempts == attempt
    local fate = ours and not again and fate_of(trigger)
    allowed[i] = 0
    if fate == HOLD then
      set_aside(ch, b, trigger, ref, rec)
    elseif fate then
      local from = rec.state
      meet(rec, fate)
      move(ch, trigger, ref, from, rec)
    elseif ours and again then
      allowed[i] = 1  -- this very call, sent twice
    elseif ours and rec.attempts + 1 == attempt then
      if taken + weight > permits and not (taken == 0 and whole) then  -- what is heavier than a burst has to go, too
        permits, whole = taken, false  -- nothing overtakes
        allowed[i], lacking = 2, lacking or weight
      else
        taken = taken + weight
        rec.state, rec.attempts, rec.time, rec.due, rec.provider = 'G', attempt, ch.stamp, '', r.provider
        put(ch, place.page, place.index, rec)
        allowed[i] = 1
      end
    end
  end
  return allowed, taken, lacking
end

-- Open the wanted window as far as permits reach. answer: allowed, and the milliseconds to wait for more, or 0
local function open_throttled(ch, b, r, recorded, fate_of)
  local limits, now = {}, 0
  if #r.open > 0 then
    limits, now = limits_of(r.shard, b.c, r.limits), now_us()
  end
  if #limits == 0 then
    return (open(ch, b, r, recorded, fate_of, math.huge)), 0
  end
  local free = room(limits, now)
  local allowed, taken, lacking = open(ch, b, r, recorded, fate_of, free, free == full(limits))
  take_permits(limits, taken, now)
  return allowed, lacking and wait_for(limits, b.n, now, lacking) or 0
end

-- request: shard, campaign, batch, epoch, lease_ms, retention_s, results {ref, trigger, state, attempts, reason, detail,
--   due, ambiguous, opened by this claim, the provider's id or '', whether its receipts say no more}, open {ref, trigger, attempt, weight}, provider, limits {name, rate, burst}, solo,
--   finish, wait_ms (until a batch that is handed back is due), booked (it waits for permits)
-- answer: {OPENED, now, allowed, wait_ms} or {FENCED|PAUSED|CLOSED|HANDED_BACK}
local function advance(_, args)
  local r = cmsgpack.unpack(args[1])
  local b = batch_of(r.shard, r.batch)
  if not b or b.e ~= r.epoch or b.u == 0 then
    local ch = changes(r.shard, r.campaign, r.retention_s)
    read_records(ch, r.results)
    resolve(ch, r.results)
    flush(ch)
    keep_as_long(ch)  -- its trigger may have ended
    return {'FENCED'}
  end
  local ch = changes(r.shard, b.c, r.retention_s)
  local gate = gate_state(r.shard, b.c)
  ch.stopped = gate == 'S'
  local fate_of = fates(r.shard, gate, ch.now)
  if gate == 'P' then
    r.open = {}
  end
  read_records(ch, r.results)
  read_records(ch, r.open)
  local left, recorded = 0, {}
  for _, result in ipairs(r.results) do
    if not recorded[result[1]] then  -- what a call notes is read by the next one
      left = left + (record(ch, b, result, fate_of) and 1 or 0)
      recorded[result[1]] = true
    end
  end
  local allowed, wait_ms = open_throttled(ch, b, r, recorded, fate_of)
  flush(ch)
  local name = key(r.shard, 'batch', b.id)
  if #r.results > 0 then
    redis.call('HSET', name, 'crash', 0, 'n', b.n - left)
    redis.call('HDEL', name, 'solo')
  end
  if r.finish then
    if #members_of(r.shard, b) == 0 then
      close(r.shard, b)
      return {'CLOSED'}
    end
    local wait_ms = r.wait_ms
    if r.booked then
      redis.call('HSET', name, 'bk', 1)
      wait_ms = math.min(wait_ms, SLOT_LOOK_MS)  -- the limit may be raised or cleared meanwhile
    end
    hand_out(r.shard, b, ch.now + wait_ms, ch.now)
    return {'HANDED_BACK'}
  end
  take(r.shard, b, r.lease_ms, ch.now)
  if r.solo and allowed[1] == 1 then
    redis.call('HSET', name, 'solo', r.open[1][1])
  end
  if gate == 'P' then
    return {'PAUSED'}
  end
  return {'OPENED', ch.now, allowed, wait_ms}
end

-- A sign of life for the batches in hand. request: shard, lease_ms, batches {batch, epoch}
-- answer: the batches that are no longer this worker's
local function renew(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, lost = now_ms(), {}
  grace_until(r.shard, r.lease_ms, now)
  for _, mine in ipairs(r.batches) do
    local b = batch_of(r.shard, mine[1])
    if b and b.e == mine[2] and b.u > 0 then
      take(r.shard, b, r.lease_ms, now)
    else
      lost[#lost + 1] = mine[1]
    end
  end
  return lost
end
