-- Session rows, by their id or by their user.
SELECT
    state.*,
    found.id, found.user_tag, found.version AS row_version, found.rotated_at, found.expires_at,
    found.body
FROM state LEFT JOIN (
    SELECT * FROM epochkey.sessions
    WHERE sessions.line = (SELECT session_line FROM state)
        AND (sessions.id = $4::bytea OR sessions.user_tag = $5::bytea)
) AS found ON true
