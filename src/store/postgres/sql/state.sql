-- What every question begins with: the state of the log, and how it stands to a place, which is
-- that of the event $3 at position $2 of history $1.

WITH state AS (
    SELECT
        found.*,
        coalesce(found.history = $1::bytea AND found.event_there = $3::bytea, false) AS is_part
    FROM (
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
            ) AS oldest
        FROM (VALUES (1)) AS always
        LEFT JOIN epochkey.schema_version ON true
        LEFT JOIN epochkey.head ON true
    ) AS found
)
