-- Finding and repairing what got lost. The sweep reads the open batches whose next look is due, and nothing else.

-- Close a batch of a stopped campaign that nobody came to claim: there may be no provider any more that serves it.
local function call_off(shard, b, now, retention_s)
  local ch = changes(shard, b.c, retention_s)
  ch.stopped = true
  local kept = sort_out(ch, b, members_of(shard, b), fates(shard, 'S', now))
  flush(ch)
  if #kept == 0 then
    close(shard, b)
  end
end

local function look(shard, b, now, lease_ms, retention_s)
  -- What waits for long, parked or for its next attempt, needs its superseded revision for as long.
  redis.call('PEXPIRE', key(CONTROL, 'revision', b.c .. ':' .. b.rev), REVISION_TTL_MS, 'GT')
  if b.k then
    if gate_state(shard, b.c) == 'P' then
      look_at(shard, b.id, now + PARKED_LOOK_MS)
      return nil
    end
    redis.call('SREM', key(shard, 'parked', b.c), b.id)
    hand_out(shard, b, now, now)
    return 'UNPARKED'
  end
  if b.u > now then
    look_at(shard, b.id, b.u + LOOK_MS)
    return nil
  end
  local id = job_id(shard, b.v, b.id, b.j)
  local score = tonumber(redis.call('ZSCORE', key(shard, 'queue', queue_of(b.l, b.v)), id) or -1)
  local lost = score < 0 or redis.call('EXISTS', 'arq:job:' .. id) == 0
  if lost or b.u > 0 then
    return recover(shard, b, lease_ms, retention_s)
  end
  look_at(shard, b.id, math.max(score, now) + WAITING_LOOK_MS)
  if score <= now and gate_state(shard, b.c) == 'S' then
    call_off(shard, b, now, retention_s)
  end
  return nil
end

-- request: shard, limit, lease_ms, retention_s; answer: how many were looked at, then {batch, what was done} of those repaired
local function sweep(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, repaired = now_ms(), {}
  local due = redis.call('ZRANGEBYSCORE', key(r.shard, 'open'), '-inf', now, 'LIMIT', 0, r.limit)
  for _, id in ipairs(due) do
    local b = batch_of(r.shard, id)
    if not b then
      redis.call('ZREM', key(r.shard, 'open'), id)
    else
      local done = look(r.shard, b, now, r.lease_ms, r.retention_s)
      if done then
        repaired[#repaired + 1] = {id, done}
      end
    end
  end
  return {#due, repaired}
end

-- Recount a page's deliveries of one trigger from the ledger. request: shard, trigger, page
-- answer: numbers of Q, G, R, S, F, P, E, C, A
local function recount(_, args)
  local r = cmsgpack.unpack(args[1])
  local segments, ledger = page_rows(r.shard, r.page)
  local counts = {}
  for _, segment in ipairs(segments) do
    if segment.trigger == r.trigger then
      for index = segment.offset, segment.offset + segment.count - 1 do
        add(counts, parse(ledger[tostring(index)]).state, 1)
      end
    end
  end
  local answer = {}
  for i, state in ipairs({'Q', 'G', 'R', 'S', 'F', 'P', 'E', 'C', 'A'}) do
    answer[i] = counts[state] or 0
  end
  return answer
end

-- Take triggers whose lifetime is over out of their campaign's index, unless a request id came again and made a new one
-- of the same id. request: shard, limit; answer: how many were looked at
local function trim(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'ended')
  local over = redis.call('ZRANGEBYSCORE', name, '-inf', now_ms(), 'LIMIT', 0, r.limit)
  for _, entry in ipairs(over) do
    local campaign, trigger = string.match(entry, '^(%S+) (%S+)$')
    if redis.call('EXISTS', key(r.shard, 'trigger', trigger)) == 0 then
      redis.call('ZREM', key(r.shard, 'index', campaign), trigger)
      redis.call('ZREM', key(r.shard, 'dead', campaign), trigger)
    end
    redis.call('ZREM', name, entry)
  end
  return #over
end
