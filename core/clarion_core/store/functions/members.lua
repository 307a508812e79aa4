-- What a batch carries, and what awaits it: read in one place for claims, take-overs and whoever calls off.

-- The segments of a page as the caller listed them, and its records by index.
local function page_rows(shard, page)
  local segments, ledger = {}, {}
  for _, field in ipairs(redis.call('HKEYS', key(shard, 'payload', page))) do
    segments[#segments + 1] = segment_of(field)
  end
  table.sort(segments, function(a, b) return a.offset < b.offset end)
  local flat = redis.call('HGETALL', key(shard, 'ledger', page))
  for i = 1, #flat, 2 do
    ledger[flat[i]] = flat[i + 1]
  end
  return segments, ledger
end

local function carried(rec, batch)
  return not FINAL[rec.state] and rec.batch == batch
end

-- A delivery with its record, as text too.
local function member_of(ref, page, segment, text)
  return {ref = ref, page = page, segment = segment, text = text or UNTOUCHED, rec = parse(text)}
end

-- The deliveries a batch carries and nobody has settled.
local function own_members(shard, b)
  local members = {}
  local segments, ledger = page_rows(shard, b.id)
  local base, first = start_of(b.id)
  for _, segment in ipairs(segments) do
    for index = segment.offset, segment.offset + segment.count - 1 do
      local member = member_of(base .. '-' .. (first + index), b.id, segment, ledger[tostring(index)])
      if carried(member.rec, '') then
        members[#members + 1] = member
      end
    end
  end
  return members
end

local function retry_members(shard, b)
  local members, pages = {}, {}
  for ref in string.gmatch(b.m, '%S+') do
    local page, index = locate(ref)
    if not pages[page] then
      pages[page] = {page_rows(shard, page)}
    end
    local segments, ledger = pages[page][1], pages[page][2]
    for _, segment in ipairs(segments) do
      if index >= segment.offset and index < segment.offset + segment.count then
        local member = member_of(ref, page, segment, ledger[tostring(index)])
        if carried(member.rec, b.id) then
          members[#members + 1] = member
        end
      end
    end
  end
  return members
end

local function members_of(shard, b)
  return b.m and retry_members(shard, b) or own_members(shard, b)
end

-- What awaits a trigger's deliveries instead of a hand-over: an end, HOLD, or false. Second, when it expires, or nil.
local CALLED_OFF = {state = 'C', reason = 'TRIGGER_CANCELLED'}
local STOPPED = {state = 'C', reason = 'CAMPAIGN_STOPPED'}
local EXPIRED = {state = 'E', reason = 'EXPIRED'}
local HOLD = {}

local function fates(shard, gate, now)
  local known, expires = {}, {}
  return function(trigger)
    if gate == 'S' then
      return STOPPED
    end
    if known[trigger] == nil then
      local t = redis.call('HMGET', key(shard, 'trigger', trigger), 'st', 'x')
      expires[trigger] = tonumber(t[2] or nil)
      known[trigger] = t[1] == 'X' and CALLED_OFF or expires[trigger] and expires[trigger] <= now and EXPIRED
        or t[1] == 'P' and HOLD
    end
    return known[trigger], expires[trigger]
  end
end

local function meet(rec, fate)
  rec.state, rec.reason, rec.batch = fate.state, fate.reason, ''
  if fate ~= EXPIRED then
    rec.detail = ''  -- the provider's last words tell why it took so long
  end
end

-- A delivery of a paused trigger leaves its batch until the trigger is resumed.
local function set_aside(ch, like, trigger, ref, rec)
  rec.batch = HELD
  local place = place_of(ch, ref)
  put(ch, place.page, place.index, rec)
  keep_terms(ch.shard, trigger, like)
  redis.call('SADD', key(ch.shard, 'held'), ch.campaign .. ' ' .. trigger)
end
