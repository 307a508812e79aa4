-- Dead letters: deliveries that ended FAILED or AMBIGUOUS. The index names their triggers; they are sent again, or discarded.

local DEAD = {F = true, A = true}

-- Why a delivery can't be sent again or discarded, or nil.
local function not_dead(shard, page, index, rec)
  if not DEAD[rec.state] then
    return 'NOT_DEAD'
  end
  return redis.call('HEXISTS', key(shard, 'discarded', page), index) == 1 and 'DISCARDED' or nil
end

-- A call that is sent twice is answered twice. The answer of the first, or nil.
local function answered_call(shard, trigger, call)
  local kept = redis.call('HGET', key(shard, 'trigger', trigger), 'rd')
  local by, count = string.match(kept or '', '^(%S+) (%d+)$')
  return by == call and tonumber(count) or nil
end

-- Send dead letters of a trigger again, with their attempts counted anew.
-- request: shard, trigger, call, refs, like {c, rev, l, pol}, vias {letter of a medium: via}, retention_s
-- answer: how many will be sent again; or -1 where the trigger is gone, called off, or its time is over
local function redrive(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'trigger', r.trigger)
  local known = answered_call(r.shard, r.trigger, r.call)
  if known then
    return known
  end
  local account = redis.call('HMGET', name, 'st', 'x')
  local ch = changes(r.shard, r.like.c, r.retention_s)
  local over = account[2] and tonumber(account[2]) <= ch.now
  if not account[1] or account[1] == 'X' or account[1] == 'C' or over then
    return -1
  end
  local done = 0
  for _, ref in ipairs(r.refs) do
    local page, index, base = locate(ref)
    local rec = parse(redis.call('HGET', key(r.shard, 'ledger', page), index))
    if not not_dead(r.shard, page, index, rec) then
      local from, via = rec.state, r.vias[letter_of(base)]
      rec.state, rec.attempts, rec.since, rec.reason, rec.detail = 'Q', 0, ch.stamp, '', ''
      regroup(ch, {c = r.like.c, rev = r.like.rev, l = r.like.l, pol = r.like.pol, v = via}, ref, rec, ch.now)
      move(ch, r.trigger, ref, from, rec)
      done = done + 1
    end
  end
  flush(ch)
  if account[2] and done > 0 then
    redis.call('ZADD', key(r.shard, 'expiring'), account[2], r.trigger)
  end
  redis.call('HSET', name, 'rd', r.call .. ' ' .. done)
  return done
end

-- Take dead letters out of the list, with a reason; their state stays. A fact is time|reason.
-- request: shard, campaign, trigger, call, refs, reason; answer: how many were discarded
local function discard(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'trigger', r.trigger)
  local known = answered_call(r.shard, r.trigger, r.call)
  if known then
    return known
  end
  local now, done = now_ms(), 0
  for _, ref in ipairs(r.refs) do
    local page, index = locate(ref)
    local rec = parse(redis.call('HGET', key(r.shard, 'ledger', page), index))
    if not not_dead(r.shard, page, index, rec) then
      redis.call('HSET', key(r.shard, 'discarded', page), index, now .. '|' .. r.reason)
      local left_ms = redis.call('PTTL', key(r.shard, 'ledger', page))
      if left_ms > 0 then
        redis.call('PEXPIRE', key(r.shard, 'discarded', page), left_ms)
      end
      done = done + 1
    end
  end
  if done > 0 then
    local discarded = redis.call('HINCRBY', name, 'dc', done)
    local dead = redis.call('HMGET', name, 'F', 'A')
    index_dead({shard = r.shard, campaign = r.campaign, now = now}, r.trigger,
      tonumber(dead[1] or 0) + tonumber(dead[2] or 0), discarded)
    redis.call('HSET', name, 'rd', r.call .. ' ' .. done)
  end
  return done
end
