-- Session rows, found by their id and by their user.

local function row_of(id)
  local value = redis.call('HGET', ROWS, id)
  if not value then return nil end
  local rotated, expires = value:match('^(%d+) (%d+) ', 33)
  if not rotated then damaged('a session') end
  return {
    version = value:sub(1, 16),
    user = value:sub(17, 32),
    rotated = rotated,
    expires = expires,
  }
end

local function rows_of_user(user)
  if redis.call('HLEN', ROWS) ~= redis.call('ZCARD', OF_USER) then
    damaged('sessions are missing')
  end
  local last = user .. ('\255'):rep(17)
  local members = redis.call('ZRANGEBYLEX', OF_USER, '[' .. user, '[' .. last)
  for i, member in ipairs(members) do
    members[i] = member:sub(17)
  end
  return members
end

local function remove_row(id)
  local row = row_of(id)
  if row then
    redis.call('HDEL', ROWS, id)
    redis.call('ZREM', OF_USER, row.user .. id)
  end
  redis.call('ZREM', EXPIRES, id)
end

local function put_row(row, rotated)
  remove_row(row.id)
  local times = rotated .. ' ' .. row.expires .. ' '
  redis.call('HSET', ROWS, row.id, row.version .. row.user .. times .. row.body)
  redis.call('ZADD', OF_USER, 0, row.user .. row.id)
  redis.call('ZADD', EXPIRES, row.expires, row.id)
end
