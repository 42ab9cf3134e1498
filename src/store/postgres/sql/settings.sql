-- What a server must be like.
SELECT
    pg_is_in_recovery(),
    current_setting('server_version'),
    current_setting('server_version_num')::integer,
    (
        SELECT string_agg(format('%s is %s', name, current_setting(name)), ', ')
        FROM unnest(ARRAY['fsync', 'full_page_writes']) AS name
        WHERE current_setting(name) <> 'on'
    ),
    (
        SELECT string_agg(format('the table %s is not logged', oid::regclass), ', ')
        FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
            AND relkind = 'r' AND relpersistence <> 'p'
    ),
    (
        SELECT string_agg(format('%s on %s', privilege, oid::regclass), ', ')
        FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
            AND relname IN (
                'head', 'log', 'ring_keys', 'epochs', 'sessions', 'receipts', 'schema_version'
            )
            AND NOT has_table_privilege(oid, privilege)
    ),
    EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
    EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
            AND relname = 'schema_version'
    )
