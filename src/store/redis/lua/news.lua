-- What follows a place; and the receipt of who asks.

local replica, max_staleness, keeps_receipt, most = take(), take(), take(), take()
local place = taken < #ARGV and take_place()
local stands = place and standing(place)

if keeps_receipt == '1' then
  local applied = '-'
  if stands == 'part' then
    applied = place.position .. ' ' .. place.history .. place.event
  end
  redis.call('HSET', RECEIPTS, replica, now .. ' ' .. max_staleness .. ' ' .. applied)
end

if stands == 'part' then
  local entries = {}
  if place.position ~= position then
    entries = redis.call('XRANGE', LOG, '(' .. place.position .. '-0', '+', 'COUNT', most)
  end
  return { now, 'events', position, entries }
elseif stands == 'unknown' then
  return { now, 'unknown' }
else
  return { now, 'snapshot' }
end
