-- Reading and calling off triggers.

local function flat_account(shard, trigger)
  return redis.call('HMGET', key(shard, 'trigger', trigger), 'c', 'st', 'pg', 'at', 'end', 'acc', 'fly', 'S', 'F', 'P',
    'E', 'C', 'A', 'fp', 'x', 'fD', 'fB', 'fC')
end

-- A trigger and the place in the event stream it stands at, read in one step.
-- request: shard, trigger; answer: account, head, gate state, last event id; or {} where there is none
local function snapshot(_, args)
  local r = cmsgpack.unpack(args[1])
  local account = flat_account(r.shard, r.trigger)
  if not account[1] then
    return {}
  end
  local last = redis.call('XREVRANGE', key(r.shard, 'events'), '+', '-', 'COUNT', 1)
  return {account, redis.call('GET', key(r.shard, 'head', r.trigger)), gate_state(r.shard, account[1]),
          last[1] and last[1][1] or '0-0'}
end

-- A slice of a trigger's deliveries, by number. request: shard, base, first, last
-- answer: rows {ref, page/field, ledger record}, segments {page/field, blob}, discarded {ref, time|reason},
--   facts {ref, facts, one a line}, sent as {ref, its provider's id}
local function deliveries(_, args)
  local r = cmsgpack.unpack(args[1])
  local members, discarded, facts, sent = {}, {}, {}, {}
  for number = math.floor(r.first / PAGE), math.floor(r.last / PAGE) do
    local page = r.base .. '.' .. number
    local segments, ledger = page_rows(r.shard, page)
    local dropped = redis.call('HGETALL', key(r.shard, 'discarded', page))
    for i = 1, #dropped, 2 do
      discarded[#discarded + 1] = {ref_of(page, dropped[i]), dropped[i + 1]}
    end
    local heard = redis.call('HGETALL', key(r.shard, 'facts', page))
    for i = 1, #heard, 2 do
      local id_of = string.match(heard[i], '^p(%d+)$')
      local rows = id_of and sent or facts
      rows[#rows + 1] = {ref_of(page, id_of or heard[i]), heard[i + 1]}
    end
    for _, segment in ipairs(segments) do
      for index = segment.offset, segment.offset + segment.count - 1 do
        local at = number * PAGE + index
        if at >= r.first and at <= r.last then
          members[#members + 1] = member_of(ref_of(page, index), page, segment, ledger[tostring(index)])
        end
      end
    end
  end
  local rows, segments = load_members(r.shard, members)
  return {rows, segments, discarded, facts, sent}
end

-- Every delivery of a trigger on some of its pages, until visit(ref, page, index, rec) is true. Pages on which nothing is
-- open are not read: a large trigger has hundreds, and is visited a few hundred deliveries a call.
local function each_open(shard, trigger, pages, first, last, visit)
  for at = first, last do
    local page = pages[at]
    if tonumber(redis.call('HGET', key(shard, 'ledger', page), 'o') or 0) > 0 then
      local segments, ledger = page_rows(shard, page)
      for _, segment in ipairs(segments) do
        if segment.trigger == trigger then
          for index = segment.offset, segment.offset + segment.count - 1 do
            if visit(ref_of(page, index), page, index, parse(ledger[tostring(index)])) then
              return
            end
          end
        end
      end
    end
  end
end

-- End what waits of a trigger: on some of its pages, at most `limit`. How many ended.
local function end_waiting(ch, trigger, pages, first, last, limit, fate)
  local ended = 0
  each_open(ch.shard, trigger, pages, first, last, function(ref, _, _, rec)
    if rec.state == 'Q' or rec.state == 'R' then
      local from = rec.state
      meet(rec, fate)
      move(ch, trigger, ref, from, rec)
      ended = ended + 1
    end
    return ended >= limit
  end)
  return ended
end

-- Call a trigger off: what waits becomes CANCELLED here, what is being handed over keeps its outcome.
-- request: shard, trigger, call (names this call), retention_s, from (a page, 0 first), pages
-- answer: {state before} or {} where there is none
local function cancel(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'trigger', r.trigger)
  local account = redis.call('HMGET', name, 'c', 'st', 'pg', 'off')
  if not account[1] then
    return {}
  end
  local state = account[2]
  if not OPEN[state] then
    return {account[4] == r.call and 'X' or state}  -- ended by this very call, sent twice
  end
  redis.call('HSET', name, 'st', 'X', 'off', r.call)
  local pages = pages_of(account[3])
  local ch = changes(r.shard, account[1], r.retention_s)
  local last = math.min(#pages, r.from + r.pages)
  end_waiting(ch, r.trigger, pages, r.from + 1, last, math.huge, CALLED_OFF)
  flush(ch)
  return {state}
end

-- Expire triggers whose time is over: what waits becomes EXPIRED, in whatever batch or line it waits. A trigger stays
-- in the index until nothing of it waits. request: shard, limit (deliveries), retention_s
-- answer: whether there is more to do, how many expired
local function expire(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, ended = now_ms(), 0
  for _, trigger in ipairs(redis.call('ZRANGEBYSCORE', key(r.shard, 'expiring'), '-inf', now, 'LIMIT', 0, r.limit)) do
    local account = redis.call('HMGET', key(r.shard, 'trigger', trigger), 'c', 'pg')
    local done = 0
    if account[1] then
      local pages = pages_of(account[2])
      local ch = changes(r.shard, account[1], r.retention_s)
      done = end_waiting(ch, trigger, pages, 1, #pages, r.limit - ended, EXPIRED)
      flush(ch)
    end
    ended = ended + done
    if ended >= r.limit then
      return {1, ended}
    end
    if tonumber(redis.call('HGET', key(r.shard, 'trigger', trigger), 'fly') or 0) > 0 then
      redis.call('ZADD', key(r.shard, 'expiring'), now + LOOK_MS, trigger)  -- what is handed over may come back
    else
      redis.call('ZREM', key(r.shard, 'expiring'), trigger)
    end
  end
  return {0, ended}
end

-- Pause a running trigger: its deliveries leave their batches when somebody comes for them.
-- request: shard, trigger; answer: {state before} or {}
local function pause(_, args)
  local r = cmsgpack.unpack(args[1])
  local state = redis.call('HGET', key(r.shard, 'trigger', r.trigger), 'st')
  if state == 'R' then
    redis.call('HSET', key(r.shard, 'trigger', r.trigger), 'st', 'P')
  end
  return {state}
end

-- Put what was set aside of a trigger into batches that are due now, a few pages a call. True where nothing is left.
local function unhold(ch, trigger, limit)
  local account = redis.call('HGET', key(ch.shard, 'trigger', trigger), 'pg')
  local moved, likes = 0, {}
  if account then
    local pages = pages_of(account)
    each_open(ch.shard, trigger, pages, 1, #pages, function(ref, page, index, rec)
      if rec.batch == HELD then
        local base = start_of(page)
        likes[base] = likes[base] or terms_of(ch.shard, trigger, base)
        regroup(ch, likes[base], ref, rec, num(rec.due))
        put(ch, page, index, rec)
        moved = moved + 1
      end
      return moved >= limit
    end)
  end
  if moved < limit then
    redis.call('SREM', key(ch.shard, 'held'), ch.campaign .. ' ' .. trigger)
  end
  return moved < limit
end

-- Let a paused trigger go on. Called until it answers that nothing is left; the sweep ends what was cut off.
-- request: shard, trigger, first (call), limit, retention_s; answer: {state before, whether nothing is left} or {}
local function resume(_, args)
  local r = cmsgpack.unpack(args[1])
  local name = key(r.shard, 'trigger', r.trigger)
  local account = redis.call('HMGET', name, 'st', 'c')
  if not account[1] then
    return {}
  end
  if account[1] == 'P' and not r.first then
    return {account[1], 1}  -- paused again meanwhile
  end
  if account[1] == 'P' then
    redis.call('HSET', name, 'st', 'R')
  end
  local ch = changes(r.shard, account[2], r.retention_s)
  local done = unhold(ch, r.trigger, r.limit)
  flush(ch)
  return {account[1], done and 1 or 0}
end

-- Give out what is set aside and need not be: of triggers resumed or called off, and of stopped campaigns.
-- request: shard, limit, retention_s; answer: whether there is more to do
local function unhold_all(_, args)
  local r = cmsgpack.unpack(args[1])
  for _, entry in ipairs(redis.call('SRANDMEMBER', key(r.shard, 'held'), r.limit)) do
    local campaign, trigger = string.match(entry, '^(%S+) (%S+)$')
    local paused = redis.call('HGET', key(r.shard, 'trigger', trigger), 'st') == 'P'
    if not paused or gate_state(r.shard, campaign) == 'S' then
      local ch = changes(r.shard, campaign, r.retention_s)
      local done = unhold(ch, trigger, r.limit)
      flush(ch)
      if not done then
        return 1
      end
    end
  end
  return 0
end
