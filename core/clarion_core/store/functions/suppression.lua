-- Suppression and allow lists: who must not be sent to, and who alone may be. The decisions are those of
-- domain/suppression.py.
-- A list is kept in buckets by a hash of what its entries name, so that a bucket stays small whatever the list holds: it
-- grows by splitting one bucket in two (linear hashing), by the hash's first bits. So buckets are ranges of hashes, and
-- a walk in the order of hashes sees every entry once, whatever splits meanwhile.
-- A list's record: n entries, b buckets where there are more than one, d domains among the entries, w entries `*.domain`
-- among those, on (an allow list is active), at (where the walk that removes what has expired goes on).
-- A field is an address, or @domain. A value is letter, created (s), expires (s, 0: never), source, comment, with | between
-- them; or s, count, last counted (s): soft bounces of an address that is not suppressed, r in place of s where a receipt
-- told one. An allow list's letter is `a`.

local list = {}

function list.open(name)
  local found = redis.call('HMGET', key(CONTROL, 'list', name), 'n', 'b', 'd', 'w', 'on')
  local l = {name = name, n = tonumber(found[1] or 0), b = tonumber(found[2] or 1), d = tonumber(found[3] or 0),
             w = tonumber(found[4] or 0), on = found[5] == '1', level = 0}
  while 2 ^ (l.level + 1) <= l.b do
    l.level = l.level + 1
  end
  return l
end

function list.write(l)
  if l.n > 0 or l.on then
    redis.call('HSET', key(CONTROL, 'list', l.name), 'n', l.n, 'b', l.b, 'd', l.d, 'w', l.w, 'on', l.on and 1 or 0)
    redis.call('SADD', key(CONTROL, 'lists'), l.name)
  else
    redis.call('DEL', key(CONTROL, 'list', l.name))
    redis.call('SREM', key(CONTROL, 'lists'), l.name)
  end
end

local HASHES = 2 ^ 32

function list.hash(field)
  return tonumber(string.sub(redis.sha1hex(field), 1, 8), 16)
end

-- The bucket of a hash: its key, its first hash, and how many hashes are its.
function list.bucket(l, hash)
  local level = l.level
  local span = HASHES / 2 ^ level
  local prefix = math.floor(hash / span)
  if prefix < l.b - 2 ^ level then  -- split already
    level, span = level + 1, span / 2
    prefix = math.floor(hash / span)
  end
  return key(CONTROL, 'listed', l.name .. ':' .. level .. ':' .. prefix), prefix * span, span
end

function list.get(l, field)
  return redis.call('HGET', (list.bucket(l, list.hash(field))), field)
end

function list.count_domain(l, field, by)
  if string.sub(field, 1, 1) == '@' then
    l.d = l.d + by
    l.w = l.w + (string.sub(field, 2, 3) == '*.' and by or 0)
  end
end

function list.split(l)
  local hash = (l.b - 2 ^ l.level) * HASHES / 2 ^ l.level
  local name = list.bucket(l, hash)
  local flat = redis.call('HGETALL', name)
  redis.call('DEL', name)
  l.b = l.b + 1
  if l.b == 2 ^ (l.level + 1) then
    l.level = l.level + 1
  end
  for i = 1, #flat, 2 do
    redis.call('HSET', (list.bucket(l, list.hash(flat[i]))), flat[i], flat[i + 1])
  end
end

function list.put(l, field, value)
  if redis.call('HSET', (list.bucket(l, list.hash(field))), field, value) == 1 then
    l.n = l.n + 1
    list.count_domain(l, field, 1)
    if l.n > BUCKET * l.b and l.level < 30 then
      list.split(l)
    end
  end
end

function list.drop(l, field)
  if redis.call('HDEL', (list.bucket(l, list.hash(field))), field) == 1 then
    l.n = l.n - 1
    list.count_domain(l, field, -1)
  end
end

function list.entry(value)
  local letter, created, expires, source, comment = string.match(value, '^(%a)(%d+)|(%d+)|([^|]*)|(.*)$')
  return letter and {letter = letter, created = created, expires = tonumber(expires), source = source, comment = comment}
end

function list.text(e)
  return string.format('%s%d|%d|%s|%s', e.letter, e.created, e.expires, e.source, e.comment)
end

function list.counter(value)
  local letter, count, last = string.match(value, '^([sr])(%d+),(%d+)$')
  return count and {count = tonumber(count), last = tonumber(last), receipt = letter == 'r'}
end

function list.holds(e, now_s)
  return e and (e.expires == 0 or e.expires > now_s)
end

-- Whether a value means nothing any more.
function list.is_over(value, now_s)
  local counter = list.counter(value)
  if counter then
    return now_s >= counter.last + SOFT_KEPT_S
  end
  return not list.holds(list.entry(value), now_s)
end

-- domain/suppression.py: merged. The entry that stands after `new`.
function list.merged(old, new, told)
  local weaker = new.letter == 'C' and old.letter ~= 'C'
  local stronger = old.letter == 'C' and new.letter ~= 'C'
  if told and not weaker then
    local same = new.letter == old.letter and new.expires == old.expires and new.source == old.source
    return same and new.comment == old.comment and old or new
  end
  local kept = stronger and new or old
  local lasts = (old.expires == 0 or new.expires == 0) and 0 or math.max(old.expires, new.expires)
  return {letter = kept.letter, created = kept.created, expires = lasts, source = kept.source, comment = kept.comment}
end

-- Add an entry. answer: 'A' it is new, 'U' it changed what stood, 'K' what stood says as much
function list.add(l, field, new, told, now_s)
  local before = list.get(l, field)
  local old = before and list.entry(before)
  if not list.holds(old, now_s) then
    list.put(l, field, list.text(new))
    return 'A'
  end
  local after = list.text(list.merged(old, new, told))
  if after == before then
    return 'K'
  end
  list.put(l, field, after)
  return 'U'
end

-- request: list, entries {field, letter, expires (s, 0: never), source, comment}; answer: {A|U|K each}
function list.on_add(_, args)
  local r = cmsgpack.unpack(args[1])
  local l, now_s, answer = list.open(r.list), math.floor(now_ms() / 1000), {}
  for i, row in ipairs(r.entries) do
    local new = {letter = row[2], created = now_s, expires = row[3], source = row[4], comment = row[5]}
    answer[i] = list.add(l, row[1], new, true, now_s)
  end
  list.write(l)
  return answer
end

-- request: list, fields; answer: 1 or 0 each, whether it was there and in force
function list.on_remove(_, args)
  local r = cmsgpack.unpack(args[1])
  local l, now_s, answer = list.open(r.list), math.floor(now_ms() / 1000), {}
  for i, field in ipairs(r.fields) do
    local value = list.get(l, field)
    answer[i] = value and list.holds(list.entry(value), now_s) and 1 or 0
    list.drop(l, field)
  end
  list.write(l)
  return answer
end

-- request: list, on; answer: its entries
function list.on_switch(_, args)
  local r = cmsgpack.unpack(args[1])
  local l = list.open(r.list)
  l.on = r.on
  list.write(l)
  return l.n
end

-- request: list; answer: {active, entries}
function list.on_state(_, args)
  local l = list.open(cmsgpack.unpack(args[1]).list)
  return {l.on and 1 or 0, l.n}
end

-- What is in force under a field: its value, or nil. `pass_over`: complaints are not.
function list.in_force(l, field, now_s, pass_over)
  local value = list.get(l, field)
  local e = value and list.entry(value)
  return list.holds(e, now_s) and not (pass_over and e.letter == 'C') and value or nil
end

-- What is in force of a list for an address' domain: {field, value}, or nil. Each domain is looked up once a call.
function list.for_domain(l, address, now_s, pass_over, known)
  if l.d == 0 then
    return nil
  end
  local domain = string.match(address, '^https?://([^/:]+)') or string.match(address, '@([^@]*)$')
  if domain and known[domain] == nil then
    local field, rest = '@' .. domain, domain
    local value = list.in_force(l, field, now_s, pass_over)
    while l.w > 0 and rest and not value do
      rest = string.match(rest, '^[^.]+%.(.+)$')
      field = rest and '@*.' .. rest
      value = rest and list.in_force(l, field, now_s, pass_over)
    end
    known[domain] = value and {field, value} or false
  end
  return domain and known[domain] or nil
end

-- Why an address may not be sent to: {letter, field and value of the entry that forbids it, or ''}, or nil; and whether
-- soft bounces of it are counted.
function list.refusal(suppressed, allowed, address, now_s, pass_over, known)
  local value = suppressed.n > 0 and list.get(suppressed, address)
  local e = value and list.entry(value)
  if list.holds(e, now_s) and not (pass_over and e.letter == 'C') then
    return {'A', address, value}
  end
  local above = list.for_domain(suppressed, address, now_s, pass_over, known.suppressed)
  if above then
    return {'D', above[1], above[2]}
  end
  if allowed.on and not (allowed.n > 0 and list.in_force(allowed, address, now_s))
    and not list.for_domain(allowed, address, now_s, false, known.allowed) then
    return {allowed.n > 0 and allowed.d == allowed.n and 'M' or 'N', '', ''}
  end
  return nil, value and string.match(value, '^s%d+,')
end

-- request: suppressed, allowed (names of lists), fields, pass_over (complaints alone do not count)
-- answer: {position, A|D|N|M, field, value} for those that may not be sent to, {position, s, '', ''} for those that soft
-- bounces are counted of
function list.on_may_receive(_, args)
  local r = cmsgpack.unpack(args[1])
  local suppressed, allowed, answer = list.open(r.suppressed), list.open(r.allowed), {}
  if suppressed.n == 0 and not allowed.on then
    return answer
  end
  local now_s, known = math.floor(now_ms() / 1000), {suppressed = {}, allowed = {}}
  for i, field in ipairs(r.fields) do
    local refusal, counting = list.refusal(suppressed, allowed, field, now_s, r.pass_over, known)
    if refusal then
      answer[#answer + 1] = {i, unpack(refusal)}
    elseif counting then
      answer[#answer + 1] = {i, 's', '', ''}
    end
  end
  return answer
end

-- domain/suppression.py: after_soft_bounce. The counter's text, or nil where the address is to be suppressed.
function list.counted(value, at_s, threshold, receipt)
  local c = value and list.counter(value)
  if not c or at_s >= c.last + SOFT_KEPT_S then
    c = {count = 0, last = at_s - SOFT_APART_S}
  end
  if at_s >= c.last + SOFT_APART_S then
    c.count, c.last = c.count + 1, at_s
    if c.count >= threshold then
      return nil
    end
  end
  return string.format('%s%d,%d', (c.receipt or receipt) and 'r' or 's', c.count, c.last)
end

-- domain/suppression.py: after_success.
function list.hear_success(l, field, value, receipt)
  local c = value and list.counter(value)
  if c and (receipt or not c.receipt) then
    list.drop(l, field)
  end
end

-- Take a fact in. answer: the letter of the reason that the address is suppressed for from now on, or ''
function list.hear(l, field, fact, threshold, source, comment, time_s, now_s)
  local value = list.get(l, field)
  local letter = fact
  if fact == 'taken' or fact == 'reached' then
    list.hear_success(l, field, value, fact == 'reached')
    return ''
  elseif fact == 'refused' or fact == 'bounced' then
    if value and list.holds(list.entry(value), now_s) then
      return ''
    end
    local at_s = time_s > 0 and math.min(time_s, now_s) or now_s
    local counter = list.counted(value, at_s, threshold, fact == 'bounced')
    if counter then
      list.put(l, field, counter)
      return ''
    end
    letter = 'S'
  end
  local new = {letter = letter, created = now_s, expires = 0, source = source, comment = comment}
  return list.add(l, field, new, false, now_s) == 'A' and letter or ''
end

-- What is reported of addresses. request: list, facts {field, fact, threshold, source, comment, when (s, 0: now)}
-- answer: for each the letter of the reason it is suppressed for from now on, '' where nothing changed for it
function list.on_hear(_, args)
  local r = cmsgpack.unpack(args[1])
  local l, now_s, answer = list.open(r.list), math.floor(now_ms() / 1000), {}
  for i, row in ipairs(r.facts) do
    answer[i] = list.hear(l, row[1], row[2], row[3], row[4], row[5], row[6], now_s)
  end
  list.write(l)
  return answer
end

local BUCKETS_AT_ONCE, TRIM_AT_ONCE = 64, 16

-- A bucket's entries behind a place, in the order of hashes: {whole hash, field, value}
function list.in_order(name, place)
  local flat, rows = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do
    local hash = redis.sha1hex(flat[i])
    if hash > place then
      rows[#rows + 1] = {hash, flat[i], flat[i + 1]}
    end
  end
  table.sort(rows, function(a, b)
    return a[1] < b[1]
  end)
  return rows
end

-- A page of a list. A place is a hash in hexadecimal, or the beginning of one: what is behind it is still to come.
-- request: list, place, limit; answer: {next place, or '' at the end, {field, value} …}: what is in force
function list.on_page(_, args)
  local r = cmsgpack.unpack(args[1])
  local l, now_s = list.open(r.list), math.floor(now_ms() / 1000)
  local rows, place = {}, r.place
  local hash = tonumber(string.sub(place .. '00000000', 1, 8), 16)
  for _ = 1, BUCKETS_AT_ONCE do
    local name, first, span = list.bucket(l, hash)
    for _, row in ipairs(list.in_order(name, place)) do
      if list.holds(list.entry(row[3]), now_s) then
        if #rows == r.limit then
          return {place, unpack(rows)}
        end
        rows[#rows + 1] = {row[2], row[3]}
      end
      place = row[1]
    end
    hash = first + span
    if hash >= HASHES then
      return {'', unpack(rows)}
    end
    place = string.format('%08x', hash)
  end
  return {place, unpack(rows)}
end

-- Remove what is over from the next few buckets of a list. request: list; answer: how many were removed
function list.on_trim(_, args)
  local r = cmsgpack.unpack(args[1])
  local l, now_s = list.open(r.list), math.floor(now_ms() / 1000)
  local hash = tonumber(redis.call('HGET', key(CONTROL, 'list', l.name), 'at') or 0)
  local before = l.n
  for _ = 1, TRIM_AT_ONCE do
    local name, first, span = list.bucket(l, hash)
    local flat = redis.call('HGETALL', name)
    for i = 1, #flat, 2 do
      if list.is_over(flat[i + 1], now_s) then
        list.drop(l, flat[i])
      end
    end
    hash = first + span
    if hash >= HASHES then
      hash = 0
      break
    end
  end
  list.write(l)
  if l.n > 0 or l.on then
    redis.call('HSET', key(CONTROL, 'list', l.name), 'at', string.format('%d', hash))
  end
  return before - l.n
end
