-- Circuit breakers: what all workers together know of the providers. States and policy are those of domain/breaker.py.
-- A breaker's record: u when its pause is over (0: CLOSED), p how long the pause is, c when it closed last, n openings
-- so far, t who probes and l until when, r failures in a row, w tallies of the last seconds {second, well, badly},
-- hw, hb and ht the health score's decaying sums and their time. A provider without a record is CLOSED.

local breaker = {}

function breaker.read(name)
  local packed = redis.call('GET', key(CONTROL, 'breaker', name))
  if packed then
    return cmsgpack.unpack(packed)
  end
  return {u = 0, p = 0, c = 0, n = 0, t = '', l = 0, r = 0, w = {}, hw = 0, hb = 0, ht = 0}
end

function breaker.write(name, b)
  redis.call('SET', key(CONTROL, 'breaker', name), cmsgpack.pack(b), 'PX', BREAKER_TTL_MS)
end

-- The health score now, and how much of its sums is left.
function breaker.health(b, now, policy)
  local left = 0.5 ^ (math.max(0, now - b.ht) / policy.half_life_ms)
  return (b.hw * left + 1) / ((b.hw + b.hb) * left + 1), left
end

-- Add to the tallies; whether a failure in it was one too many.
function breaker.tally(b, report, now, policy)
  local second, last = math.floor(now / 1000), b.w[#b.w]
  if last and last[1] >= second then
    last[2], last[3] = last[2] + report.well, last[3] + report.badly
  else
    b.w[#b.w + 1] = {second, report.well, report.badly}
  end
  while b.w[1][1] * 1000 <= now - policy.window_ms do
    table.remove(b.w, 1)
  end
  local well, badly = 0, 0
  for _, tally in ipairs(b.w) do
    well, badly = well + tally[2], badly + tally[3]
  end
  b.r = report.well > 0 and 0 or b.r + report.badly
  local too_many = well + badly >= policy.judged and badly >= policy.share * (well + badly)
  return report.badly > 0 and (too_many or b.r >= policy.in_a_row)
end

-- A pause that follows another closely is twice as long: the provider is not well yet.
function breaker.open(b, now, policy)
  local again = b.u > 0 or (b.n > 0 and now - b.c < policy.pause_max_ms)
  b.p = again and math.min(2 * b.p, policy.pause_max_ms) or policy.pause_ms
  b.u, b.n, b.t, b.l, b.r, b.w = now + b.p, b.n + 1, '', 0, 0, {}
end

function breaker.close(b, now)
  b.u, b.c, b.t, b.l, b.r, b.w = 0, now, '', 0, 0, {}
end

-- Take a report in; whether it opened or closed the breaker. While it is not CLOSED, only a probe's report moves it:
-- all others are of messages that were handed over before it opened.
function breaker.report(b, report, now, policy)
  local _, left = breaker.health(b, now, policy)
  b.hw, b.hb, b.ht = b.hw * left + report.well, b.hb * left + report.badly, now
  if b.u == 0 then
    if breaker.tally(b, report, now, policy) then
      breaker.open(b, now, policy)
      return true
    end
  elseif report.opening == b.n and report.well > 0 then
    breaker.close(b, now)  -- also the probe of one who was taken for dead: the provider did work
    return true
  elseif report.opening == b.n and report.probe == b.t then
    if report.badly > 0 then
      breaker.open(b, now, policy)
      return true
    end
    b.t, b.l = '', 0  -- it told nothing: the next message probes
  end
  return false
end

-- Its state, when to ask again (0: it is CLOSED), and whether the asker may probe.
function breaker.standing(b, now, policy, asker)
  if b.u == 0 then
    return 'C', 0, false
  end
  if b.u > now then
    return 'O', b.u, false
  end
  if asker ~= '' and (b.l <= now or b.t == asker) then
    b.t, b.l = asker, now + policy.probe_ms
    return 'H', now + policy.look_ms, true
  end
  return 'H', b.l > now and math.min(b.l, now + policy.look_ms) or now, false
end

-- request: shard, channel, policy, asker (who would probe; '': nobody), providers {name, well, badly, probe, opening},
-- where probe and opening name the probe that the report is of. One probe at most is granted.
-- answer: the time, then for each provider {state, when to ask again, openings, granted, health, moved}
local function breakers(_, args)
  local r = cmsgpack.unpack(args[1])
  local now, asker = now_ms(), r.asker
  local answer = {now}
  for _, report in ipairs(r.providers) do
    local name = r.channel .. '/' .. report.name
    local b = breaker.read(name)
    local told, moved = report.well + report.badly > 0 or report.probe ~= '', false
    if told then
      moved = breaker.report(b, report, now, r.policy)
    end
    local state, again, granted = breaker.standing(b, now, r.policy, asker)
    if granted then
      asker = ''
    end
    if told or granted then
      breaker.write(name, b)
    end
    local health = string.format('%.4f', (breaker.health(b, now, r.policy)))
    answer[#answer + 1] = {state, again, b.n, granted and 1 or 0, health, moved and 1 or 0}
  end
  return answer
end
