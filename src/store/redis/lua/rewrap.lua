-- The same secrets under another wrapping.

local known, secrets, count = take_place(), take(), tonumber(take())
if not is_since(known) then return { now, 'refused', 'place' } end

local ring = redis.call('LRANGE', RING, 0, -1)
if #ring ~= count then return { now, 'refused', 'key' } end
for i, key in ipairs(ring) do
  local id, record = take(), take()
  if key:sub(1, 12) ~= id then return { now, 'refused', 'key' } end
  local introduced = key:match('^%d+ %d+ ', 13)
  if not introduced then damaged('a ring key') end
  ring[i] = id .. introduced .. record
end

redis.call('HSET', HEAD, 'secrets', secrets)
redis.call('DEL', RING)
for _, key in ipairs(ring) do redis.call('RPUSH', RING, key) end
return { now, 'done', history, position, event }
