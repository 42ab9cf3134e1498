-- How a place stands to the log.

return { now, standing(take_place()) }
