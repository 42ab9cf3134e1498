-- Appending to the log.

local function take_event()
  return { id = take(), effect = take(), name = take(), value = take(), body = take() }
end

-- The ids of the ring keys, in the order of their positions.
local function ring_ids()
  local ids = {}
  for i, key in ipairs(redis.call('LRANGE', RING, 0, -1)) do
    ids[i] = key:sub(1, 12)
  end
  return ids
end

-- Whether an event may do what it does to a ring of these keys, which is then changed.
local function ring_allows(ids, event)
  local effect = event.effect
  if effect == 'epoch' then return true end
  if effect == 'remove' then
    return #ids > 1 and table.remove(ids, 1) == event.name
  end
  for _, id in ipairs(ids) do
    if id == event.name then return false end
  end
  if effect == 'replace' then
    for i = #ids, 1, -1 do ids[i] = nil end
  end
  ids[#ids + 1] = event.name
  return true
end

-- Appends events behind the head, each with its effect.
local function append(events)
  local epochs = 0
  for _, new in ipairs(events) do
    position, event = plus(position, '1'), new.id
    local entry = { position .. '-0', 'id', new.id, 'time', now, 'body', new.body }
    if new.effect == 'epoch' then
      epochs = epochs + redis.call('HSET', EPOCHS, new.name, new.value .. position)
      entry[8], entry[9] = 'tag', new.name
    elseif new.effect == 'remove' then
      redis.call('LPOP', RING)
    else
      if new.effect == 'replace' then redis.call('DEL', RING) end
      redis.call('RPUSH', RING, new.name .. position .. ' ' .. now .. ' ' .. new.value)
    end
    redis.call('XADD', LOG, unpack(entry))
  end
  redis.call('HSET', HEAD, 'position', position, 'event', event)
  redis.call('HINCRBY', HEAD, 'epochs', epochs)
end
