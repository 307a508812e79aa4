-- Reading and calling off triggers.

local function flat_account(shard, trigger)
  return redis.call('HMGET', key(shard, 'trigger', trigger), 'c', 'st', 'pg', 'at', 'end', 'acc', 'fly', 'S', 'F', 'P',
    'E', 'C', 'A', 'fp')
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
-- answer: rows {ref, page/field, ledger record}, segments {page/field, blob}
local function deliveries(_, args)
  local r = cmsgpack.unpack(args[1])
  local members = {}
  for number = math.floor(r.first / PAGE), math.floor(r.last / PAGE) do
    local page = r.base .. '.' .. number
    local segments, ledger = page_rows(r.shard, page)
    table.sort(segments, function(x, y) return x.offset < y.offset end)
    for _, segment in ipairs(segments) do
      for index = segment.offset, segment.offset + segment.count - 1 do
        local at = number * PAGE + index
        if at >= r.first and at <= r.last then
          members[#members + 1] = {ref = ref_of(page, index), page = page, segment = segment,
                                   rec = parse(ledger[tostring(index)])}
        end
      end
    end
  end
  local rows, segments = load_members(r.shard, members)
  return {rows, segments}
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
  if state ~= 'R' and state ~= 'X' then
    return {account[4] == r.call and 'X' or state}  -- ended by this very call, sent twice
  end
  redis.call('HSET', name, 'st', 'X', 'off', r.call)
  local base, start, count = string.match(account[3], '^(.-):(%d+):(%d+)$')
  local first, last = math.floor(start / PAGE), math.floor((start + count - 1) / PAGE)
  local ch = changes(r.shard, account[1], r.retention_s)
  for number = first + r.from, math.min(last, first + r.from + r.pages - 1) do
    local page = base .. '.' .. number
    local segments, ledger = page_rows(r.shard, page)
    for _, segment in ipairs(segments) do
      for index = segment.offset, segment.offset + segment.count - 1 do
        local rec = parse(ledger[tostring(index)])
        if segment.trigger == r.trigger and (rec.state == 'Q' or rec.state == 'R') then
          local from = rec.state
          rec.state, rec.reason, rec.detail, rec.batch = 'C', 'TRIGGER_CANCELLED', '', ''
          move(ch, r.trigger, ref_of(page, index), from, rec)
        end
      end
    end
  end
  flush(ch)
  return {state}
end
