-- Throttles, shared by all workers: the generic cell rate algorithm (ITU-T I.371), so that no second sees more than the
-- rate and one burst. A limit's record holds t, when all permits taken so far are paid for (microseconds), and s, where
-- the slots end that were booked by batches that wait for permits.

-- The limits that a hand-over of the campaign is under: the channel's, the configuration's and the provider's, which the
-- worker knows; the campaign's own, kept with its gate; whatever an operator set instead of them.
-- wanted {name, rate a second, burst}, rate 0: none of its own
local function limits_of(shard, campaign, wanted)
  local found, names = {}, {}
  local own = redis.call('HGET', key(shard, 'gate', campaign), 'thr')
  local rate, burst = string.match(own or '0 0', '^(%S+) (%S+)$')
  found[1] = {name = 'campaign:' .. campaign, rate = tonumber(rate), burst = tonumber(burst)}
  for _, want in ipairs(wanted) do
    found[#found + 1] = {name = want[1], rate = want[2], burst = want[3]}
  end
  for i, limit in ipairs(found) do
    names[i] = limit.name
  end
  local set = redis.call('HMGET', key(CONTROL, 'throttles'), unpack(names))
  local limits = {}
  for i, limit in ipairs(found) do
    if set[i] then
      rate, burst = string.match(set[i], '^(%S+) (%S+)$')
      limit.rate, limit.burst = tonumber(rate), tonumber(burst)
    end
    if limit.rate > 0 then
      limit.interval = 1000000 / limit.rate
      limit.burst = limit.burst > 0 and limit.burst or math.max(1, math.floor(limit.rate / 10))
      limits[#limits + 1] = limit
    end
  end
  return limits
end

-- How many permits are free now: of the scarcest limit.
local function room(limits, now)
  local free = math.huge
  for _, limit in ipairs(limits) do
    local stored = redis.call('HMGET', key(CONTROL, 'throttle', limit.name), 't', 's')
    -- No further ahead than permits can be taken: the clock may have been set back.
    limit.paid = math.min(math.max(tonumber(stored[1] or 0), now), now + (limit.burst + PAGE) * limit.interval)
    limit.booked = math.max(tonumber(stored[2] or 0), now)
    free = math.min(free, math.floor(limit.burst - (limit.paid - now) / limit.interval + 0.000001))
  end
  return math.max(free, 0)
end

-- How many are free when none was taken for a while.
local function full(limits)
  local least = math.huge
  for _, limit in ipairs(limits) do
    least = math.min(least, limit.burst)
  end
  return least
end

local function keep(limit, field, value, now)
  local name = key(CONTROL, 'throttle', limit.name)
  redis.call('HSET', name, field, string.format('%.0f', value))
  redis.call('PEXPIRE', name, math.floor((math.max(limit.paid, limit.booked) - now) / 1000) + THROTTLE_TTL_MS)
end

local function take_permits(limits, count, now)
  for _, limit in ipairs(limits) do
    limit.paid = limit.paid + count * limit.interval
    keep(limit, 't', limit.paid, now)
  end
end

-- Milliseconds until a batch of `count` is worth another claim: half a burst is free, or what it needs; but no less than
-- the permits that its next delivery takes (`least`), as far as a burst goes.
local function wait_for(limits, count, now, least)
  local wait = 0
  for _, limit in ipairs(limits) do
    local wanted = math.min(count, math.max(1, math.floor(limit.burst / 2)))
    wanted = math.max(wanted, math.min(least or 1, limit.burst))
    wait = math.max(wait, limit.paid + (wanted - limit.burst) * limit.interval - now)
  end
  return math.max(1, math.ceil(wait / 1000))
end

-- The limit that is booked the furthest.
local function most_booked(limits)
  local found
  for _, limit in ipairs(limits) do
    if not found or limit.booked > found.booked then
      found = limit
    end
  end
  return found
end

-- For how long a batch must wait (milliseconds), or false; second, the free permits, -1 without limits. It books a slot
-- once, behind those that wait already, so that what came later does not overtake. It is called two batches early, so that
-- the slot of one that a dead worker holds is not left empty, and looks now and then whether those before it are gone.
local function must_wait(limits, b, now)
  if #limits == 0 then
    return false, -1
  end
  local free, limit, slot = room(limits, now), most_booked(limits), tonumber(b.bk or nil)
  local early = 2 * PAGE * limit.interval
  local idle = free > 0 and limit.paid <= now
  if idle and limit.booked > now then  -- those who booked were called off, or the limit was raised
    limit.booked = now
    keep(limit, 's', now, now)
  end
  if free > 0 and (idle or (slot and slot - early or limit.booked) <= now) then
    return false, free
  end
  if not slot then
    slot = limit.booked
    limit.booked = slot + b.n * limit.interval
    keep(limit, 's', limit.booked, now)
    b.bk = string.format('%.0f', slot)
  end
  local wait = math.max(wait_for(limits, b.n, now), math.ceil((slot - early - now) / 1000))
  return math.min(wait, SLOT_LOOK_MS), free
end
