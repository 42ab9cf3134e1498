-- Events and session changes, together or not at all.

local known, newest, count = take_place(), take(), tonumber(take())

if not is_since(known) then return { now, 'refused', 'place' } end

local events, ids = {}, ring_ids()
if newest ~= '' and newest ~= ids[#ids] then return { now, 'refused', 'key' } end
for i = 1, count do
  events[i] = take_event()
  if not ring_allows(ids, events[i]) then return { now, 'refused', 'key' } end
end

local function take_row()
  return { id = take(), user = take(), version = take(), expires = take(), body = take() }
end

local function take_change()
  local change = { kind = take() }
  if change.kind == 'start' then
    change.row = take_row()
  elseif change.kind == 'replace' then
    change.row, change.expected, change.rotates = take_row(), take(), take() == '1'
  elseif change.kind == 'end' then
    change.id, change.expected = take(), take()
  elseif change.kind == 'end_of_user' then
    change.user, change.except = take(), take()
  elseif change.kind == 'no_others' then
    change.user, change.allowed = take(), {}
    for _ = 1, tonumber(take()) do change.allowed[take()] = true end
  else
    error({ err = 'ERR an unknown change' })
  end
  return change
end

-- Whether what a change expects is there. Reads all that the change will read.
local function holds(change)
  if change.kind == 'start' then
    return not row_of(change.row.id)
  elseif change.kind == 'replace' then
    local before = row_of(change.row.id)
    return before and before.version == change.expected
  elseif change.kind == 'end' then
    local before = row_of(change.id)
    return change.expected == '' or before and before.version == change.expected
  elseif change.kind == 'no_others' then
    for _, id in ipairs(rows_of_user(change.user)) do
      if not change.allowed[id] then return false end
    end
  else
    for _, id in ipairs(rows_of_user(change.user)) do row_of(id) end
  end
  return true
end

local changes = {}
while taken < #ARGV do
  local change = take_change()
  if not holds(change) then return { now, 'refused', 'session' } end
  changes[#changes + 1] = change
end

if count > 0 then
  local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
  if last and last[1] ~= position .. '-0' then
    damaged('the log does not end at its head')
  end
  append(events)
end
for _, change in ipairs(changes) do
  if change.kind == 'start' then
    put_row(change.row, now)
  elseif change.kind == 'replace' then
    local before = row_of(change.row.id)
    put_row(change.row, before and not change.rotates and before.rotated or now)
  elseif change.kind == 'end' then
    remove_row(change.id)
  elseif change.kind == 'end_of_user' then
    for _, id in ipairs(rows_of_user(change.user)) do
      if id ~= change.except then remove_row(id) end
    end
  end
end
return { now, 'done', history, position, event }
