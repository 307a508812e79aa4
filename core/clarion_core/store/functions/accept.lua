-- Accepting triggers: request id, records, deliveries, counts and jobs in one step.

-- A blob is an argument of its own (cmsgpack knows no binary type); the request holds its position.

-- Write pages of a large trigger ahead of it. They mean nothing until `accept` names them, and vanish if it never does.
-- request: shard, base, segments {page number, offset, count, trigger, blob}
local function stage(_, args)
  local r = cmsgpack.unpack(args[1])
  for _, segment in ipairs(r.segments) do
    local name = key(r.shard, 'payload', r.base .. '.' .. segment[1])
    redis.call('HSET', name, segment[2] .. ':' .. segment[3] .. ':' .. segment[4], args[segment[5]])
    redis.call('PEXPIRE', name, STAGED_TTL_MS)
  end
  return 'OK'
end

-- Whether an item may be written. CREATED again for our own repeat: redis-py may send a function twice.
local function verdict(r, item, seen, gates)
  local stored = redis.call('HMGET', key(r.shard, 'trigger', item.trigger), 'fp', 'pg', 'at')
  local print, placed, at = stored[1], stored[2], stored[3]
  if seen[item.trigger] then
    print, placed = seen[item.trigger], nil
  end
  if print then
    if print ~= item.fingerprint then
      return {'REUSED'}
    end
    return {placed == item.placement and 'CREATED' or 'REPLAYED', tonumber(at or 0)}
  end
  local gate = gates[item.campaign] or redis.call('HMGET', key(r.shard, 'gate', item.campaign), 'st', 'rev')
  gates[item.campaign] = gate
  if gate[1] ~= 'L' or tonumber(gate[2]) ~= item.revision then
    return {'GATE'}
  end
  for _, part in ipairs(item.parts) do
    for _, page in ipairs(part.staged) do
      if redis.call('EXISTS', key(r.shard, 'payload', part.base .. '.' .. page[1])) == 0 then
        return {'UNSTAGED'}
      end
    end
  end
  return nil
end

local function write_account(r, item, args, now)
  redis.call('SET', key(r.shard, 'head', item.trigger), args[item.head])
  redis.call('HSET', key(r.shard, 'trigger', item.trigger), 'fp', item.fingerprint, 'pg', item.placement, 'c',
    item.campaign, 'st', 'R', 'at', now, 'acc', item.count, 'fly', item.count)
  redis.call('ZADD', key(r.shard, 'index', item.campaign), now, item.trigger)
  local expire = math.min(item.expire > 0 and item.expire or math.huge, item.ttl > 0 and now + item.ttl or math.huge)
  if expire < math.huge then
    redis.call('HSET', key(r.shard, 'trigger', item.trigger), 'x', expire)
    redis.call('ZADD', key(r.shard, 'expiring'), expire, item.trigger)
  end
end

-- The deliveries of a trigger with an ordering key stand in line; all but the first of a line wait for their turn. Pages
-- are written whole: there may be thousands of deliveries.
local function stand_in_line(r, item, part, pages)
  local turns, ledger, behind, waiting = {}, {}, 0, parse(nil)
  waiting.batch = BEHIND
  waiting = format(waiting)
  for i, line in ipairs(part.lines) do
    local number = part.start + i - 1
    local page, index = part.base .. '.' .. math.floor(number / PAGE), number % PAGE
    local lines, rows = turns[page] or {}, ledger[page] or {'w', 1}
    turns[page], ledger[page] = lines, rows
    lines[#lines + 1] = index
    lines[#lines + 1] = line
    if redis.call('RPUSH', key(r.shard, 'line', line), part.base .. '-' .. number .. ' ' .. item.trigger) > 1 then
      rows[#rows + 1] = index
      rows[#rows + 1] = waiting
      pages[page].behind = pages[page].behind + 1
      behind = behind + 1
    end
  end
  for page, lines in pairs(turns) do
    redis.call('HSET', key(r.shard, 'turns', page), unpack(lines))
    redis.call('HSET', key(r.shard, 'ledger', page), unpack(ledger[page]))
  end
  if behind > 0 then
    keep_terms(r.shard, item.trigger,
      {c = item.campaign, rev = item.revision, l = item.lane, pol = item.policy, v = part.via})
  end
end

local function write_pages(r, item, part, args, pages)
  local function onto(number, count)
    local page = part.base .. '.' .. number
    pages[page] = pages[page] or {count = 0, behind = 0, item = item, via = part.via}
    pages[page].count = pages[page].count + count
  end
  for _, segment in ipairs(part.segments) do
    redis.call('HSET', key(r.shard, 'payload', part.base .. '.' .. segment[1]),
      segment[2] .. ':' .. segment[3] .. ':' .. item.trigger, args[segment[4]])
    onto(segment[1], segment[3])
  end
  for _, page in ipairs(part.staged) do
    redis.call('PERSIST', key(r.shard, 'payload', part.base .. '.' .. page[1]))
    onto(page[1], page[2])
  end
  stand_in_line(r, item, part, pages)
end

-- request: shard, items {trigger, campaign, revision, lane, policy, fingerprint, head, placement, count, expire (ms, 0:
--   never), ttl (ms, 0: none), parts {base, start, via, segments {page number, offset, count, blob}, staged {page number,
--   count}, lines (of each delivery in order; empty: not ordered)}}
-- answer: a verdict an item {CREATED|REPLAYED, accepted at} or {REUSED|GATE|UNSTAGED}
local function accept(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, verdicts, seen, gates, pages, accepted = now_ms(), {}, {}, {}, {}, {}
  for i, item in ipairs(r.items) do
    verdicts[i] = verdict(r, item, seen, gates) or {'NEW', now}
    if verdicts[i][1] == 'NEW' then
      seen[item.trigger] = item.fingerprint
    elseif verdicts[i][1] == 'REPLAYED' and verdicts[i][2] == 0 then
      verdicts[i][2] = now
    end
  end
  for i, item in ipairs(r.items) do
    if verdicts[i][1] == 'NEW' then
      verdicts[i][1] = 'CREATED'
      write_account(r, item, args, now)
      for _, part in ipairs(item.parts) do
        write_pages(r, item, part, args, pages)
      end
      accepted[item.campaign] = (accepted[item.campaign] or 0) + item.count
    end
  end
  for campaign, count in pairs(accepted) do
    redis.call('HINCRBY', key(r.shard, 'counts', campaign), 'acc', count)
    redis.call('HINCRBY', key(r.shard, 'counts', campaign), 'fly', count)
  end
  for page, what in pairs(pages) do
    local item = what.item
    redis.call('HSET', key(r.shard, 'ledger', page), 'o', what.count)
    if what.count > what.behind then
      redis.call('HSET', key(r.shard, 'batch', page), 'c', item.campaign, 'rev', item.revision, 'l', item.lane, 'v',
        what.via, 'pol', item.policy, 'n', what.count - what.behind, 'e', 0, 'j', 1, 'u', 0)
      enqueue(r.shard, item.lane, what.via, page, 1, now, now)
      look_at(r.shard, page, now + LOOK_MS)
    end
  end
  return verdicts
end
