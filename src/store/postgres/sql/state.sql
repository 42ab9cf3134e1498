-- What every question begins with: the state of the log, and what it has at a place.

WITH state AS (
    SELECT
        schema_version.version,
        pg_is_in_recovery() AS is_standby,
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
        head.history,
        head.position,
        head.event,
        head.predecessors,
        head.session_line,
        (
            SELECT log.id FROM epochkey.log
            WHERE log.history = head.history AND log.position = $2::bigint
        ) AS event_there,
        (
            SELECT min(log.position) FROM epochkey.log WHERE log.history = head.history
        ) AS oldest,
        -- Of the place asked from, which is of the history $1.
        coalesce(head.history = $1::bytea, false) AS is_of_history
    FROM (VALUES (1)) AS always
    LEFT JOIN epochkey.schema_version ON true
    LEFT JOIN epochkey.head ON true
)
