-- A view of the state: whole if the epochs are few. Otherwise whoever asks reads the epochs
-- page by page, outside of any script, and comes back with the place at which he began, for
-- the epochs that were bumped since.

local most = tonumber(take())
local place = taken < #ARGV and take_place()
if not history then return { now, 'empty' } end

local epochs = {}
if not place then
  local count = redis.call('HLEN', EPOCHS)
  if count > most then
    return { now, 'scan', history, position, event, string.format('%.0f', count) }
  end
  epochs = redis.call('HGETALL', EPOCHS)
else
  if standing(place) ~= 'part' then return { now, 'again' } end
  local last = { position = place.position, id = place.event }
  if last.position ~= position then
    local from = '(' .. place.position .. '-0'
    for _, entry in ipairs(redis.call('XRANGE', LOG, from, '+', 'COUNT', most)) do
      last = event_of(entry)
      local epoch = last.tag and redis.call('HGET', EPOCHS, last.tag)
      if epoch then
        epochs[#epochs + 1] = last.tag
        epochs[#epochs + 1] = epoch
      end
    end
  end
  if last.position ~= position then
    return { now, 'more', history, last.position, last.id, epochs }
  end
end

local kept = redis.call('HMGET', HEAD, 'past', 'secrets', 'epochs')
if tonumber(kept[3]) ~= redis.call('HLEN', EPOCHS) then
  damaged('epochs are missing')
end
return {
  now, 'whole', history, position, event, epochs,
  kept[1], kept[2], redis.call('LRANGE', RING, 0, -1),
}
