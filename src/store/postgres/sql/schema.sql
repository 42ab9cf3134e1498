-- The tables of a store. Everything but the log's head belongs to a history: what is of another
-- than the head's is garbage, which tidying removes.

CREATE TABLE epochkey.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    history bytea NOT NULL,
    position bigint NOT NULL,
    event bytea NOT NULL,
    predecessors bytea[] NOT NULL,
    secrets bytea NOT NULL,
    -- Session rows belong to a line of histories over which they were kept.
    session_line bytea NOT NULL,
    -- How many ring keys and epochs there are: a restored part is not taken for the whole.
    ring_keys bigint NOT NULL,
    epochs bigint NOT NULL,
    -- Up to which position epochs have been looked through.
    swept bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE epochkey.log (
    history bytea NOT NULL,
    position bigint NOT NULL,
    id bytea NOT NULL,
    -- Times are milliseconds since 1970.
    time bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (history, position)
);

CREATE TABLE epochkey.ring_keys (
    history bytea NOT NULL,
    position bigint NOT NULL,
    id bytea NOT NULL,
    introduced_at bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (history, position)
);

CREATE TABLE epochkey.epochs (
    history bytea NOT NULL,
    tag bytea NOT NULL,
    position bigint NOT NULL,
    secret bytea NOT NULL,
    PRIMARY KEY (history, tag)
);

CREATE TABLE epochkey.sessions (
    line bytea NOT NULL,
    id bytea NOT NULL,
    user_tag bytea NOT NULL,
    version bytea NOT NULL,
    rotated_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (line, id)
);
CREATE INDEX sessions_of_user ON epochkey.sessions (line, user_tag);
CREATE INDEX sessions_by_expiry ON epochkey.sessions (expires_at);

CREATE TABLE epochkey.receipts (
    replica bytea PRIMARY KEY,
    received_at bigint NOT NULL,
    max_staleness bigint NOT NULL,
    history bytea,
    position bigint,
    event bytea
) WITH (fillfactor = 50);

CREATE TABLE epochkey.schema_version (
    version integer NOT NULL
);
INSERT INTO epochkey.schema_version VALUES (1);
