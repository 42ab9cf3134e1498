//! What the server is told, for the schema that the tables are in.

use std::time::Duration;

/// One statement.
pub(super) struct Statement {
    pub(super) name: &'static str,
    /// Begins with its name, for those who look at what the server does.
    pub(super) text: String,
}

impl Statement {
    fn new(name: &'static str, text: &str) -> Self {
        let text = format!("/* epochkey {name} */ {text}");
        Self { name, text }
    }
}

/// The tables, in the schema that the options name by default. So are all statements here.
const TABLES: &str = include_str!("sql/schema.sql");

/// Text in which the schema is another.
fn in_schema(text: &str, schema: &str) -> String {
    text.replace("epochkey.", &format!("{}.", quoted(schema)))
}

/// A text as it stands in a statement.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statements by which the tables are made.
pub(super) fn tables(schema: &str) -> String {
    in_schema(TABLES, schema)
}

pub(super) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {};\n", quoted(schema))
}

macro_rules! statements {
    ($($(#[$docs:meta])* $name:ident: $($text:expr),+;)+) => {
        /// All that is said again and again, each by itself.
        pub(super) struct Statements {
            $($(#[$docs])* pub(super) $name: Statement,)+
        }

        impl Statements {
            /// For tables in this schema.
            pub(super) fn new(schema: &str) -> Self {
                Self {
                    $($name: {
                        let text = [$($text),+].concat();
                        Statement::new(stringify!($name), &in_schema(&text, schema))
                    },)+
                }
            }

            pub(super) fn all(&self) -> Vec<&Statement> {
                vec![$(&self.$name),+]
            }
        }
    };
}

const STATE: &str = include_str!("sql/state.sql");

/// What is said as it is: how transactions begin and end, several statements each, and what has
/// a large answer.
pub(super) struct Scripts {
    /// Begins one that changes something: whoever does so waits for his turn first, and has it to
    /// the end. Here and not at a row, for those who wait for a row come in any order.
    pub(super) begin_change: String,
    /// Begins one whose writes are durable.
    pub(super) begin: String,
    /// Begins one that may be lost, if the server crashes right after.
    pub(super) begin_light: String,
    /// Begins one that reads.
    pub(super) begin_reading: String,
    /// Begins one that sees one state to its end, however long it takes.
    pub(super) begin_snapshot: String,
    /// All epochs of a history. Not among those that the server keeps: it would put the rows
    /// aside, all of them, before it sends the first.
    pub(super) epochs: String,
    pub(super) commit: String,
    pub(super) rollback: String,
}

impl Scripts {
    /// For tables in this schema, and a server that has so long for an answer.
    pub(super) fn new(schema: &str, timeout: Duration) -> Self {
        let begin = |how: &str, limits: &str, more: &str| {
            format!("/* epochkey */ BEGIN ISOLATION LEVEL {how}; {limits} {more}")
        };
        let limits = limits(timeout);
        let durable = "SELECT set_config('synchronous_commit', 'on', true) \
            WHERE current_setting('synchronous_commit') <> 'remote_apply'";
        let light = "SET LOCAL synchronous_commit = off";
        let endless = "SET LOCAL statement_timeout = 0";
        let turn = format!(
            "{durable}; SELECT pg_advisory_xact_lock(hashtextextended({}, 0))",
            literal(&format!("epochkey {schema}"))
        );
        Self {
            begin_change: begin("READ COMMITTED READ WRITE", &limits, &turn),
            begin: begin("READ COMMITTED READ WRITE", &limits, durable),
            begin_light: begin("READ COMMITTED READ WRITE", &limits, light),
            begin_reading: begin("READ COMMITTED READ ONLY", &limits, ""),
            begin_snapshot: begin("REPEATABLE READ READ ONLY", &limits, endless),
            epochs: in_schema(
                "SELECT epochs.tag, epochs.position, epochs.secret FROM epochkey.epochs \
                 WHERE epochs.history = $1",
                schema,
            ),
            commit: "COMMIT".to_owned(),
            rollback: "ROLLBACK".to_owned(),
        }
    }
}

statements! {
    /// Not in a transaction that says where to look.
    notify: "SELECT pg_catalog.pg_notify($1, $2)";
    listen_check: "SELECT 1";

    news: STATE, include_str!("sql/news.sql");
    find_sessions: STATE, include_str!("sql/sessions.sql");
    standing: STATE, include_str!("sql/standing.sql");
    receipts: "SELECT schema_version.version, pg_is_in_recovery(), \
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, receipts.* \
        FROM (VALUES (1)) AS always LEFT JOIN epochkey.schema_version ON true \
        LEFT JOIN epochkey.receipts ON true";

    /// Nobody else changes it, whatever he does.
    lock_head: "SELECT history, position, event, predecessors, session_line, ring_keys, epochs, \
        swept FROM epochkey.head FOR UPDATE";
    /// The time, whether what is committed is kept, and events: all after the lock.
    surroundings: "SELECT schema_version.version, pg_is_in_recovery(), \
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
        current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', \
        (SELECT min(oldest.position) FROM epochkey.log AS oldest \
            WHERE oldest.history = (SELECT history FROM epochkey.head)), \
        found.position, found.id \
        FROM (VALUES (1)) AS always LEFT JOIN epochkey.schema_version ON true \
        LEFT JOIN unnest($1::bigint[] || (SELECT position FROM epochkey.head)) AS wanted (position) \
        ON true \
        LEFT JOIN LATERAL (SELECT log.position, log.id FROM epochkey.log \
            WHERE log.history = (SELECT history FROM epochkey.head) \
            AND log.position = wanted.position LIMIT 1) AS found ON true";
    ring_keys: "SELECT id, position, introduced_at, record FROM epochkey.ring_keys \
        WHERE history = (SELECT history FROM epochkey.head) ORDER BY position";
    sessions_touched: "SELECT found.* FROM unnest($1::bytea[]) AS wanted (id), \
        LATERAL (SELECT id, user_tag, version, rotated_at FROM epochkey.sessions \
            WHERE line = (SELECT session_line FROM epochkey.head) AND id = wanted.id \
            OFFSET 0) AS found \
        UNION ALL SELECT found.* FROM unnest($2::bytea[]) AS wanted (user_tag), \
        LATERAL (SELECT id, user_tag, version, rotated_at FROM epochkey.sessions \
            WHERE line = (SELECT session_line FROM epochkey.head) \
            AND user_tag = wanted.user_tag OFFSET 0) AS found";
    tags_known: "SELECT wanted.tag FROM unnest($1::bytea[]) AS wanted (tag) \
        WHERE EXISTS (SELECT FROM epochkey.epochs \
            WHERE history = (SELECT history FROM epochkey.head) AND tag = wanted.tag OFFSET 0)";
    whole_head: "SELECT version, pg_is_in_recovery(), \
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
        head.history, head.position, head.event, head.predecessors, head.secrets, \
        head.ring_keys, head.epochs \
        FROM (VALUES (1)) AS always LEFT JOIN epochkey.schema_version ON true \
        LEFT JOIN epochkey.head ON true";

    put_head: "INSERT INTO epochkey.head (history, position, event, predecessors, secrets, \
        session_line, ring_keys, epochs, swept) VALUES ($1, $2, $3, $4, $5, $6, 1, 0, 0) \
        ON CONFLICT (one) DO UPDATE SET history = $1, position = $2, event = $3, \
        predecessors = $4, secrets = $5, session_line = $6, ring_keys = 1, epochs = 0, swept = 0";
    /// Where all tables were emptied, this one was too.
    put_version: "INSERT INTO epochkey.schema_version (version) \
        SELECT $1::integer WHERE NOT EXISTS (SELECT FROM epochkey.schema_version)";
    move_head: "UPDATE epochkey.head SET position = $1, event = $2, ring_keys = $3, epochs = $4";
    /// What may be forgotten, a step of it.
    old_events: "SELECT position, time FROM epochkey.log WHERE history = $1 \
        ORDER BY position LIMIT $2";
    remove_events: "DELETE FROM epochkey.log WHERE history = $1 AND position <= $2";
    epochs_from: "SELECT tag, position FROM epochkey.epochs WHERE history = $1 AND tag > $2 \
        ORDER BY tag LIMIT $3";
    remove_epochs: "DELETE FROM epochkey.epochs WHERE ctid = ANY(ARRAY( \
        SELECT found.ctid FROM unnest($2::bytea[]) AS gone (tag), \
        LATERAL (SELECT ctid FROM epochkey.epochs \
            WHERE history = $1 AND tag = gone.tag OFFSET 0) AS found))";
    count_epochs: "UPDATE epochkey.head SET epochs = $1, swept = $2";
    oldest_ring_key: "SELECT min(position) FROM epochkey.ring_keys WHERE history = $1";
    remove_expired: "DELETE FROM epochkey.sessions WHERE (line, id) IN (SELECT line, id \
        FROM epochkey.sessions WHERE expires_at < $1 LIMIT $2) RETURNING 1";
    remove_receipts: "DELETE FROM epochkey.receipts WHERE received_at < $1";
    other_sessions: "DELETE FROM epochkey.sessions WHERE (line, id) IN ( \
        (SELECT line, id FROM epochkey.sessions WHERE line < $1 LIMIT $2) UNION ALL \
        (SELECT line, id FROM epochkey.sessions WHERE line > $1 LIMIT $2)) RETURNING 1";
    other_epochs: "DELETE FROM epochkey.epochs WHERE (history, tag) IN ( \
        (SELECT history, tag FROM epochkey.epochs WHERE history < $1 LIMIT $2) UNION ALL \
        (SELECT history, tag FROM epochkey.epochs WHERE history > $1 LIMIT $2)) RETURNING 1";
    other_events: "DELETE FROM epochkey.log WHERE (history, position) IN ( \
        (SELECT history, position FROM epochkey.log WHERE history < $1 LIMIT $2) UNION ALL \
        (SELECT history, position FROM epochkey.log WHERE history > $1 LIMIT $2)) RETURNING 1";
    other_ring_keys: "DELETE FROM epochkey.ring_keys WHERE history <> $1";
    put_secrets: "UPDATE epochkey.head SET secrets = $1";
    append: "INSERT INTO epochkey.log (history, position, id, time, body) \
        SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[])";
    put_epochs: "INSERT INTO epochkey.epochs (history, tag, position, secret) \
        SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::bytea[]) ON CONFLICT (history, tag) \
        DO UPDATE SET position = EXCLUDED.position, secret = EXCLUDED.secret";
    remove_ring_keys: "DELETE FROM epochkey.ring_keys WHERE history = $1 AND id = ANY($2)";
    add_ring_keys: "INSERT INTO epochkey.ring_keys (history, position, id, introduced_at, record) \
        SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[])";
    rewrap_ring_keys: "UPDATE epochkey.ring_keys SET record = new.record \
        FROM unnest($2::bytea[], $3::bytea[]) AS new (id, record) \
        WHERE ring_keys.history = $1 AND ring_keys.id = new.id";
    remove_sessions: "DELETE FROM epochkey.sessions WHERE ctid = ANY(ARRAY( \
        SELECT found.ctid FROM unnest($2::bytea[]) AS gone (id), \
        LATERAL (SELECT ctid FROM epochkey.sessions \
            WHERE line = $1 AND id = gone.id OFFSET 0) AS found))";
    put_sessions: "INSERT INTO epochkey.sessions \
        (line, id, user_tag, version, rotated_at, expires_at, body) \
        SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[]) ON CONFLICT (line, id) DO UPDATE SET \
        user_tag = EXCLUDED.user_tag, version = EXCLUDED.version, \
        rotated_at = EXCLUDED.rotated_at, expires_at = EXCLUDED.expires_at, body = EXCLUDED.body";
}

/// A server that hears no more from us, or waits for somebody else, does not hold up the others
/// for longer than we wait for it.
///
/// It plans each statement once, while the tables may still be empty. So that it does not go
/// through all rows when they are not any more, it is to use indexes, and the statements look rows
/// up by all columns of one: with `LATERAL … OFFSET 0`, which is planned by itself, and neither `OR`
/// nor `= ANY` on a column that is not the first.
fn limits(timeout: Duration) -> String {
    let millis = timeout.as_millis().clamp(1, 60 * 60 * 1000);
    // Before our own patience ends, so that its answer still comes.
    let lock = (millis * 3 / 4).max(1);
    format!(
        "SET LOCAL search_path = pg_catalog; SET LOCAL enable_seqscan = off; \
         SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL statement_timeout = {millis}; \
         SET LOCAL lock_timeout = {lock}; \
         SET LOCAL idle_in_transaction_session_timeout = {millis};"
    )
}
