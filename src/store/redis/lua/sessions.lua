-- Session rows, by their id or by their user.

local known, by, id = take_place(), take(), take()
if not is_since(known) then return { now, 'refused', 'place' } end

local rows = {}
for _, found in ipairs(by == 'user' and rows_of_user(id) or { id }) do
  local value = redis.call('HGET', ROWS, found)
  if value then
    rows[#rows + 1] = found
    rows[#rows + 1] = value
  elseif by == 'user' then
    damaged('a session is missing')
  end
end
return { now, 'rows', rows }
