-- What each replica last said of itself.

return { now, redis.call('HGETALL', RECEIPTS) }
