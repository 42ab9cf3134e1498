-- Forgets some of what may be forgotten, and tells whether there is more of it.

local known = take_place()
local epochs_up_to, events_up_to, events_before = take(), take(), take()
local sessions_before, receipts_before, most = take(), take(), tonumber(take())
if not is_since(known) then return { now, 'refused', 'place' } end
local more = false

-- Epochs. One scan at a time goes over all of them, by whoever takes the next step.
local oldest = redis.call('LINDEX', RING, 0)
oldest = oldest and oldest:match('^%d+', 13)
if not oldest then damaged('a ring key') end
if below(oldest, epochs_up_to) then epochs_up_to = oldest end
local sweep = redis.call('HMGET', HEAD, 'swept', 'target', 'cursor')
local swept, target, cursor = sweep[1], sweep[2], sweep[3]
if below(swept, epochs_up_to) then
  if target == '' then target, cursor = epochs_up_to, '0' end
  local page = redis.call('HSCAN', EPOCHS, cursor, 'COUNT', most)
  local gone = 0
  for i = 1, #page[2], 2 do
    if not below(target, page[2][i + 1]:sub(17)) then
      gone = gone + redis.call('HDEL', EPOCHS, page[2][i])
    end
  end
  cursor = page[1]
  if cursor == '0' then swept, target = target, '' end
  redis.call('HSET', HEAD, 'swept', swept, 'target', target, 'cursor', cursor)
  if gone > 0 then redis.call('HINCRBY', HEAD, 'epochs', -gone) end
  more = below(swept, epochs_up_to)
end

-- Events, from the oldest on, and never the newest.
local function may_go(entry)
  local at = event_of(entry)
  return at.position ~= position and not below(events_up_to, at.position)
    and below(at.time, events_before)
end

local first = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
if first and may_go(first) then
  local entries, kept = redis.call('XRANGE', LOG, '-', '+', 'COUNT', most), 1
  while kept < #entries and may_go(entries[kept]) do kept = kept + 1 end
  redis.call('XTRIM', LOG, 'MINID', entries[kept][1])
  more = more or kept == #entries
end

-- Sessions. The order of their scores is exact only up to 2^53.
local expired = redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', sessions_before, 'LIMIT', 0, most)
local ended = 0
for _, id in ipairs(expired) do
  local row = row_of(id)
  if not row or below(row.expires, sessions_before) then
    remove_row(id)
    ended = ended + 1
  end
end
more = more or ended == most

local receipts = redis.call('HGETALL', RECEIPTS)
for i = 1, #receipts, 2 do
  if below(receipts[i + 1]:match('^%d+'), receipts_before) then
    redis.call('HDEL', RECEIPTS, receipts[i])
  end
end

return { now, 'done', history, position, event, more and '1' or '0' }
