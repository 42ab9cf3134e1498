//! The tables: who makes them, and what becomes of them.

use std::{sync::Barrier, thread};

use epochkey::{BuildError, PostgresStore};

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, Replica, assert_log_ins_work, restarts, soon_stale, until},
        known::Known,
    },
    hand::{assert_refused, assert_works, builder, connect, patient},
    server::{self, PostgresServer, Server},
};

const TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = 'epochkey'";

#[test]
fn of_many_that_connect_at_once_one_makes_the_tables() {
    let Some(server) = server::postgres() else {
        return;
    };
    let together = Barrier::new(16);
    let stores: Vec<_> = thread::scope(|scope| {
        let connect = || {
            together.wait();
            connect(&server, patient())
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(connect)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for store in &stores {
        assert!(store.is_ok(), "{store:?}");
    }
    for store in stores {
        assert_works(store);
    }
    let versions = "SELECT count(*) FROM epochkey.schema_version";
    assert_eq!(server.value(versions).unwrap(), "1");
}

/// All that the server knows of a schema's tables, but their names' owners.
fn described(server: &PostgresServer, schema: &str) -> Vec<String> {
    let sql = "
        SELECT concat_ws('|', 'column', relname, attnum, attname,
            format_type(atttypid, atttypmod), attnotnull, attcollation,
            pg_get_expr(adbin, adrelid), relpersistence, reloptions)
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = $1::text::regnamespace AND attnum > 0
        UNION ALL
        SELECT concat_ws('|', 'index', replace(indexdef, $1, '')) FROM pg_indexes
        WHERE schemaname = $1
        UNION ALL
        SELECT concat_ws('|', 'constraint', conrelid::regclass::oid IS NOT NULL, conname,
            pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = $1::text::regnamespace
        ORDER BY 1";
    let mut client = server.connection().unwrap();
    let rows = client.query(sql, &[&schema]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn the_printed_statements_make_the_same_tables() {
    let Some(server) = server::postgres() else {
        return;
    };
    drop(connect(&server, patient().schema("made")).unwrap());
    let options = patient().schema("hand");
    let sql = PostgresStore::schema_sql(&options);
    server.execute(&sql).unwrap();
    let (made, by_hand) = (described(&server, "made"), described(&server, "hand"));
    assert!(made.len() > 50, "{made:#?}");
    assert_eq!(made, by_hand);
    // A second time they do nothing by halves.
    server.execute(&sql).unwrap_err();
    assert_eq!(described(&server, "hand"), by_hand);
    // The schema may be there already.
    server
        .execute("DROP SCHEMA hand CASCADE; CREATE SCHEMA hand")
        .unwrap();
    assert_works(connect(&server, options.clone()));
    assert_eq!(described(&server, "hand"), by_hand);
}

#[test]
fn a_role_that_may_not_create_works_where_the_tables_are() {
    let Some(server) = server::postgres() else {
        return;
    };
    server
        .execute("CREATE ROLE app LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
        .unwrap();
    let url = format!("postgres://app@{}/postgres", server.address());
    let connect = || PostgresStore::connect(&url, patient());
    let denied = ["refuses what is asked of it", "permission denied"];
    assert_refused(connect(), "refused", &denied);
    server.execute("CREATE SCHEMA epochkey").unwrap();
    assert_refused(connect(), "refused", &denied);
    assert_eq!(server.value(TABLES).unwrap(), "0");

    server
        .execute(&PostgresStore::schema_sql(&patient()))
        .unwrap();
    let lacks = |right| ["refuses what is asked of it", right];
    assert_refused(connect(), "refused", &lacks("the role lacks SELECT on"));
    server
        .execute(
            "GRANT USAGE ON SCHEMA epochkey TO app;
            GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA epochkey TO app",
        )
        .unwrap();
    // It would be missed when something is to be forgotten, and by nobody.
    assert_refused(connect(), "refused", &lacks("DELETE on epochkey.log"));
    server
        .execute("GRANT DELETE ON ALL TABLES IN SCHEMA epochkey TO app")
        .unwrap();
    assert_works(connect());
    let store = connect().unwrap();
    crate::raw::rewrap_and_tidy(&store);
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let head = || {
        server
            .value("SELECT (head.*)::text FROM epochkey.head")
            .unwrap()
    };
    let connected = fleet.store();
    let before = head();
    server
        .execute("UPDATE epochkey.schema_version SET version = 2")
        .unwrap();
    let options = patient().danger_accept_lost_revocations();
    let parts = ["of version 2", "update this process"];
    assert_refused(connect(&server, options), "newer_schema", &parts);
    let Err(BuildError::Store(error)) = fleet.builder().open(connected) else {
        panic!("what is newer is read");
    };
    assert_eq!(error.label(), "unreadable");
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    for replica in &replicas {
        replica.assert_dead(&known.alive);
        let bump = replica.authority.bump(epochkey::Scope::user("u")).wait();
        assert_eq!(bump.unwrap_err().label(), "store");
        let failed = replica.told.failed().unwrap();
        assert!(failed.contains("newer version"), "{failed}");
    }
    assert_eq!(head(), before);
    server
        .execute("UPDATE epochkey.schema_version SET version = 1")
        .unwrap();
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn stores_in_different_schemas_do_not_see_each_other() {
    let Some(server) = server::postgres() else {
        return;
    };
    let open = |schema: &str| {
        let store = connect(&server, patient().schema(schema));
        Replica::open(builder(), store.unwrap())
    };
    let (one, other) = (open("one"), open("One"));
    let (token, token_there) = (one.issue("u"), other.issue("u"));
    let pair = other.start("u");
    assert_eq!(one.outcome(&token_there), "unknown_key");
    assert_eq!(one.refreshed(&pair), "bad_tag");
    one.bump("u");
    one.assert_dead(&token);
    other.authority.catch_up().wait().unwrap();
    assert_eq!(other.outcome(&token_there), "good");
    assert_eq!(other.refreshed(&pair), "good");
    assert_eq!(one.authority.stats().position, 2);
    assert_eq!(other.authority.stats().position, 1);
}

/// As when somebody changes their names for a moment.
fn renamed_and_back(renamed: &[[String; 2]]) {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    for [away, back] in renamed {
        server.execute(away).unwrap();
        until("all are stale", || replicas.iter().all(Replica::is_stale));
        known.assert_all_refused(&replicas);
        let failed = replicas[0].told.failed().unwrap();
        assert!(
            failed.contains("42P01") || failed.contains("does not exist"),
            "{failed}"
        );
        // It would fail if there was a new one of the name.
        server.execute(back).unwrap();
        known.until_in_force(&replicas);
        assert_log_ins_work(&replicas);
    }
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn without_one_of_their_tables_replicas_are_stale_until_it_is_back() {
    renamed_and_back(&["head", "log", "receipts"].map(|table| {
        [
            format!("ALTER TABLE epochkey.{table} RENAME TO away"),
            format!("ALTER TABLE epochkey.away RENAME TO {table}"),
        ]
    }));
}
