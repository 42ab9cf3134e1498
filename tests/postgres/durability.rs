//! A server that may lose what it acknowledges.

use epochkey::PostgresOptions;

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, Replica, restarts, soon_stale, until},
        known::Known,
    },
    hand::{assert_refused, assert_works, connect, patient, set},
    server::{self, PostgresServer, Server},
};

fn accepting_loss() -> PostgresOptions {
    patient().danger_accept_lost_revocations()
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    for (settings, found) in [
        (&[("fsync", "off")][..], "fsync is off"),
        (&[("full_page_writes", "off")], "full_page_writes is off"),
        (
            &[("fsync", "off"), ("full_page_writes", "off")],
            "fsync is off, full_page_writes is off",
        ),
    ] {
        let Some(server) = server::start::<PostgresServer>(settings) else {
            return;
        };
        let parts = [found, "danger_accept_lost_revocations"];
        let refused = connect(&server, patient());
        assert_refused(refused, "weak_durability", &parts);
        assert_works(connect(&server, accepting_loss()));
    }
}

#[test]
fn a_table_that_a_crash_empties_is_refused() {
    let Some(server) = server::postgres() else {
        return;
    };
    assert_works(connect(&server, patient()));
    for table in ["head", "log", "ring_keys", "epochs", "sessions"] {
        let change = |to| {
            let sql = format!("ALTER TABLE epochkey.{table} SET {to}");
            server.execute(&sql).unwrap();
        };
        change("UNLOGGED");
        let found = format!("the table epochkey.{table} is not logged");
        let parts = [&*found, "danger_accept_lost_revocations"];
        let refused = connect(&server, patient());
        assert_refused(refused, "weak_durability", &parts);
        assert_works(connect(&server, accepting_loss()));
        change("LOGGED");
        assert_works(connect(&server, patient()));
    }
}

/// Each transaction that changes something looks, and each connection that is made.
#[test]
fn a_server_made_weak_acknowledges_nothing_until_it_is_strong_again() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let bump = || {
        replicas[0]
            .authority
            .bump(epochkey::Scope::user("u"))
            .wait()
    };
    for name in ["fsync", "full_page_writes"] {
        set(&server, name, "off");
        until("bumps are refused", || bump().is_err());
        for _ in 0..20 {
            let error = bump().unwrap_err();
            assert_eq!((error.label(), error.is_transient()), ("store", true));
        }
        let sessions = replicas[1].authority.sessions();
        let started = sessions.start(epochkey::Grant::user("u"), "").wait();
        assert!(started.is_err());
        let position = server.value("SELECT position FROM epochkey.head").unwrap();
        set(&server, name, "on");
        known.until_in_force(&replicas);
        until("bumps are made", || bump().is_ok());
        let after = server.value("SELECT position FROM epochkey.head").unwrap();
        let (before, after): (u64, u64) = (position.parse().unwrap(), after.parse().unwrap());
        assert_eq!(after, before + 1, "what was refused was made");
    }
    assert!(!replicas.iter().any(Replica::is_stale));
    assert_eq!(restarts(&replicas), 0);
}

/// What each transaction has for `synchronous_commit` when it writes.
fn record_writes(server: &PostgresServer) {
    let tables = ["head", "log", "ring_keys", "epochs", "sessions", "receipts"];
    let triggers = tables.map(|table| {
        format!(
            "CREATE TRIGGER recorded BEFORE INSERT OR UPDATE OR DELETE ON epochkey.{table} \
             FOR EACH STATEMENT EXECUTE FUNCTION recorder.record();"
        )
    });
    let sql = "
        CREATE SCHEMA recorder;
        CREATE TABLE recorder.writes (what text, setting text, isolation text, UNIQUE (what, setting));
        CREATE FUNCTION recorder.record() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO recorder.writes VALUES (
                format('%s %s', TG_OP, TG_TABLE_NAME),
                current_setting('synchronous_commit'),
                current_setting('transaction_isolation')
            ) ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;";
    // The replica has locks, for a moment each.
    let sql = sql.to_owned() + &triggers.concat();
    until("writes are recorded", || server.execute(&sql).is_ok());
}

fn recorded(server: &PostgresServer) -> Vec<(String, String, String)> {
    let mut client = server.connection().unwrap();
    let rows = client
        .query("SELECT what, setting, isolation FROM recorder.writes", &[])
        .unwrap();
    let row = |row: &postgres::Row| (row.get(0), row.get(1), row.get(2));
    rows.iter().map(row).collect()
}

/// All that a store writes: sessions, bumps, rotations, a new wrapping, tidying, receipts.
fn write_everything(server: &PostgresServer) {
    let fleet = Fleet::<Postgres>::patient(server.url());
    let replica = fleet.replica();
    record_writes(server);
    Known::of(&[replica.clone(), replica.clone()]);
    let authority = &replica.authority;
    authority.rotate_key().wait().unwrap();
    authority.swap_key().wait().unwrap();
    authority.restored_from_backup().wait().unwrap();
    authority.bump(epochkey::Scope::user("u")).wait().unwrap();
    crate::raw::rewrap_and_tidy(&fleet.store());
    until("a receipt is durable", || {
        let mut recorded = recorded(server).into_iter();
        recorded.any(|(what, setting, _)| what == "INSERT receipts" && setting != "off")
    });
}

#[test]
fn every_transaction_is_synchronous_whatever_the_default_is() {
    let weak = [
        ("synchronous_commit", "off"),
        ("default_transaction_isolation", "serializable"),
    ];
    for (of_database, of_role, expected) in [
        ("off", None, "on"),
        ("local", Some("off"), "on"),
        ("remote_write", None, "on"),
        ("on", Some("local"), "on"),
        ("off", Some("remote_apply"), "remote_apply"),
    ] {
        let Some(server) = server::start::<PostgresServer>(&weak) else {
            return;
        };
        let mut sql = format!("ALTER DATABASE postgres SET synchronous_commit = {of_database};");
        if let Some(of_role) = of_role {
            sql += &format!("ALTER ROLE postgres SET synchronous_commit = {of_role};");
        }
        server.execute(&sql).unwrap();
        write_everything(&server);
        let recorded = recorded(&server);
        for (what, setting, isolation) in &recorded {
            // Those that follow a durable one need not be.
            if what.ends_with("receipts") && setting == "off" {
                continue;
            }
            assert_eq!(
                (&**setting, &**isolation),
                (expected, "read committed"),
                "{what}"
            );
        }
        for what in [
            "INSERT log",
            "UPDATE head",
            "INSERT epochs",
            "INSERT sessions",
            "DELETE sessions",
            "INSERT receipts",
            "INSERT ring_keys",
            "UPDATE ring_keys",
            "DELETE log",
        ] {
            let is_recorded = recorded.iter().any(|(recorded, ..)| recorded == what);
            assert!(is_recorded, "no {what} in {recorded:?}");
        }
    }
}
