-- The events that follow the place, if it is part of the log; and the receipt of who asks.
, receipt AS (
    INSERT INTO epochkey.receipts AS receipts
        (replica, received_at, max_staleness, history, position, event)
    SELECT
        $4::bytea, now, $5::bigint,
        CASE WHEN is_part THEN $1 END, CASE WHEN is_part THEN $2 END, CASE WHEN is_part THEN $3 END
    FROM state
    WHERE $6::boolean
    ON CONFLICT (replica) DO UPDATE SET
        received_at = EXCLUDED.received_at,
        max_staleness = EXCLUDED.max_staleness,
        history = EXCLUDED.history,
        position = EXCLUDED.position,
        event = EXCLUDED.event
)
SELECT
    state.*,
    following.position AS event_position,
    following.id AS event_id,
    following.time AS event_time,
    following.body AS event_body
FROM state LEFT JOIN LATERAL (
    SELECT log.position, log.id, log.time, log.body FROM epochkey.log
    WHERE state.is_part AND log.history = state.history AND log.position > $2
    ORDER BY log.position
    LIMIT $7::bigint
) AS following ON true
ORDER BY following.position
