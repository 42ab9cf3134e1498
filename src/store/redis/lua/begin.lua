-- A history begins, in an empty store or in place of another.

local id, kind = take(), take()
local highest, lost = position or '0', {}
local may = false
if kind == 'empty' then
  may = not history
elseif kind == 'instead_of' then
  may = history == take()
else
  local place = take_place()
  may = standing(place) == 'unknown'
  if below(highest, place.position) then highest = place.position end
  local before = take()
  for i = 1, #before, 16 do lost[#lost + 1] = before:sub(i, i + 15) end
  lost[#lost + 1] = place.history
end
if not may then return { now, 'refused', 'beginning' } end

local secrets, keeps_sessions, first = take(), take() == '1', take_event()

local past = history and redis.call('HGET', HEAD, 'past') .. history or ''
local named = {}
for i = 1, #past, 16 do named[past:sub(i, i + 15)] = true end
for _, other in ipairs(lost) do
  if not named[other] then
    named[other], past = true, past .. other
  end
end

redis.call('UNLINK', HEAD, RING, LOG, EPOCHS)
if not keeps_sessions then redis.call('UNLINK', ROWS, OF_USER, EXPIRES) end

history = id
-- The first event of all is at 1, that of a later history 2^32 above all that is known.
position = kind == 'empty' and '0' or plus(highest, '4294967295')
redis.call('HSET', HEAD, 'schema', SCHEMA, 'history', id, 'past', past, 'secrets', secrets,
  'swept', position, 'target', '', 'cursor', '0')
append({ first })
return { now, 'done', history, position, event }
