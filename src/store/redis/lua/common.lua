-- What every script begins with: the keys, the time, and the head of the log.
--
-- A script that fails half-way leaves what it has written by then. So all that can fail is
-- looked at before the first write.
--
-- Positions and times are decimal strings: Lua's numbers are exact only up to 2^53.

local SCHEMA = '1'
local HEAD, RING, LOG, EPOCHS, ROWS, OF_USER, EXPIRES, RECEIPTS = unpack(KEYS)

local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))

local function damaged(what)
  error({ err = 'EPOCHKEY_DAMAGED ' .. what })
end

local taken = 0

local function take()
  taken = taken + 1
  return ARGV[taken]
end

local function take_place()
  return { history = take(), position = take(), event = take() }
end

local function below(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function plus(a, b)
  if #a < 16 and #b < 16 then return string.format('%.0f', a + b) end
  local digits, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local sum = carry + (a:byte(-i) or 48) + (b:byte(-i) or 48) - 96
    carry = sum > 9 and 1 or 0
    digits[i] = sum % 10
  end
  if carry > 0 then digits[#digits + 1] = 1 end
  return table.concat(digits):reverse()
end

local schema, history, position, event
do
  local head = redis.call('HMGET', HEAD, 'schema', 'history', 'position', 'event')
  schema, history, position, event = head[1], head[2], head[3], head[4]
  if schema and schema ~= SCHEMA then
    error({ err = 'EPOCHKEY_NEWER ' .. schema })
  end
  if schema and not (history and position and event) then
    damaged('the head is not whole')
  end
end

-- The position of an entry of the log, and its fields by name.
local function event_of(entry)
  local fields = { position = entry[1]:match('^%d+') }
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  return fields
end

-- How a place stands to the log: 'part', 'trimmed', 'before' or 'unknown'.
local function standing(place)
  if not history then return 'unknown' end
  if place.history ~= history then
    local past = redis.call('HGET', HEAD, 'past')
    for i = 1, #past, 16 do
      if past:sub(i, i + 15) == place.history then return 'before' end
    end
    return 'unknown'
  end
  if place.position == position then
    return place.event == event and 'part' or 'unknown'
  end
  if below(position, place.position) then return 'unknown' end
  local id = place.position .. '-0'
  local found = redis.call('XRANGE', LOG, id, id)[1]
  if found then
    return event_of(found).id == place.event and 'part' or 'unknown'
  end
  local oldest = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
  if oldest and below(event_of(oldest).position, place.position) then
    damaged('the log has a gap')
  end
  return 'trimmed'
end

-- Whether the log is a later state of one in which this was the head.
local function is_since(place)
  local stands = standing(place)
  return stands == 'part' or stands == 'trimmed'
end
