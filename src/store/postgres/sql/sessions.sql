-- Session rows, by their id or by their user.
SELECT
    state.*,
    found.id, found.user_tag, found.version AS row_version, found.rotated_at, found.expires_at,
    found.body
FROM state LEFT JOIN (
    SELECT * FROM (
        SELECT * FROM epochkey.sessions
        WHERE line = (SELECT session_line FROM state) AND id = $4::bytea
        OFFSET 0
    ) AS by_id
    UNION ALL
    SELECT * FROM (
        SELECT * FROM epochkey.sessions
        WHERE line = (SELECT session_line FROM state) AND user_tag = $5::bytea
        OFFSET 0
    ) AS by_user
) AS found ON true
