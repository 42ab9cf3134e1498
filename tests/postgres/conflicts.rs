//! Transactions that the server undoes because somebody else was in the way.

use std::thread;

use epochkey::{PostgresStore, Scope, Store, store::StoreTime};

use crate::{
    Postgres,
    faults::{
        Kind,
        fleet::{Fleet, LONG, restarts, result, soon_stale, until},
    },
    hand::count,
    server::{self, PostgresServer, Server},
};

/// Makes a table's next changes fail with this code: so many statements, or transactions when
/// they commit. Sequences are not undone.
fn fail(server: &PostgresServer, table: &str, code: &str, times: u32, at_commit: bool) {
    let (kind, when) = match at_commit {
        true => ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED"),
        false => ("TRIGGER", ""),
    };
    let sql = format!(
        "CREATE SEQUENCE IF NOT EXISTS public.failures;
         SELECT setval('public.failures', 1, false);
         CREATE OR REPLACE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.failures') <= {times} THEN
                 RAISE EXCEPTION 'somebody was in the way' USING ERRCODE = '{code}';
             END IF;
             RETURN NULL;
         END $$;
         DROP TRIGGER IF EXISTS fail ON epochkey.{table};
         CREATE {kind} fail AFTER INSERT ON epochkey.{table} {when}
             FOR EACH ROW EXECUTE FUNCTION public.fail();"
    );
    server.execute(&sql).unwrap();
}

/// How many changes have been tried.
fn tried(server: &PostgresServer) -> u64 {
    let tried = "SELECT last_value FROM public.failures";
    server.value(tried).unwrap().parse().unwrap()
}

#[test]
fn what_was_undone_for_others_is_done_again_and_made_once() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::patient(server.url());
    let replica = fleet.replica();
    for code in ["40001", "40P01"] {
        for at_commit in [false, true] {
            fail(&server, "log", code, 3, at_commit);
            let token = replica.issue("u");
            let position = replica.authority.stats().position;
            let epoch = result(replica.authority.bump(Scope::user("u"))).unwrap();
            assert_eq!((epoch.position(), tried(&server)), (position + 1, 4));
            replica.assert_dead(&token);

            fail(&server, "sessions", code, 3, at_commit);
            let pair = replica.start("u");
            assert_eq!(tried(&server), 4);
            assert_eq!(replica.outcome(&pair.access), "good");
            server
                .execute("DROP TRIGGER fail ON epochkey.sessions")
                .unwrap();

            // Not for ever, and then nothing is made.
            fail(&server, "log", code, 1000, at_commit);
            let failed = result(replica.authority.bump(Scope::user("u")));
            assert!(failed.unwrap_err().is_transient());
            assert_eq!(tried(&server), 5);
            server.execute("DROP TRIGGER fail ON epochkey.log").unwrap();
            result(replica.authority.catch_up()).unwrap();
            assert_eq!(replica.authority.stats().position, position + 1);
            assert_eq!(replica.outcome(&pair.access), "good");
        }
    }
    assert_eq!(restarts(&[replica]), 0);
}

/// What is wrong with the change itself would go wrong again.
#[test]
fn what_the_server_refuses_is_not_tried_again() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::patient(server.url());
    let replica = fleet.replica();
    for code in ["23514", "P0001", "XX000"] {
        for at_commit in [false, true] {
            fail(&server, "log", code, 1, at_commit);
            let token = replica.issue("u");
            let refused = result(replica.authority.bump(Scope::user("u")));
            let said = crate::hand::said(&refused.unwrap_err());
            assert!(said.contains("somebody was in the way"), "{said}");
            assert_eq!(tried(&server), 1);
            result(replica.authority.catch_up()).unwrap();
            assert_eq!(replica.outcome(&token), "good");
        }
    }
}

/// Somebody has locked a row that a commit changes, and then wants the log's head, which the
/// commit has.
#[test]
fn a_deadlock_is_resolved_and_the_commit_made_once() {
    let settings = [("deadlock_timeout", "20ms")];
    let Some(server) = server::start::<PostgresServer>(&settings) else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let store = || Postgres::connect(&server.url(), LONG);
    let replica = crate::faults::fleet::Replica::open(fleet.builder(), store());
    for table in ["sessions", "epochs"] {
        let pair = replica.start("u");
        replica.bump("v");
        replica.bump("u");
        let pair = if table == "sessions" {
            replica.start("u")
        } else {
            pair
        };
        let position = replica.authority.stats().position;
        let mut other = server.connection().unwrap();
        // The store is the one to notice.
        let lock =
            format!("SET deadlock_timeout = '1h'; BEGIN; SELECT FROM epochkey.{table} FOR UPDATE");
        other.batch_execute(&lock).unwrap();
        let bump = replica.authority.bump(Scope::user("u"));
        thread::scope(|scope| {
            until("the commit waits", || {
                count(&server, "wait_event_type = 'Lock'") == 1
            });
            scope.spawn(move || {
                other
                    .batch_execute("SELECT FROM epochkey.head FOR UPDATE; COMMIT")
                    .unwrap();
            });
        });
        assert_eq!(result(bump).unwrap().position(), position + 1);
        replica.assert_dead(&pair.access);
    }
    let found = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'";
    until("they were deadlocks", || {
        server.value(found).unwrap() == "2"
    });
    assert_eq!(replica.told.failed(), None);
}

/// Snapshots and the tables' owner, who changes them.
#[test]
fn a_lock_on_a_table_holds_up_reading_for_a_while_only() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replica = fleet.replica();
    let token = replica.issue("u");
    let store: PostgresStore = fleet.store();
    let mut owner = server.connection().unwrap();
    owner
        .batch_execute("BEGIN; LOCK TABLE epochkey.epochs, epochkey.log")
        .unwrap();
    assert!(store.snapshot(StoreTime::default(), &mut |_| {}).is_err());
    assert!(result(replica.authority.bump(Scope::user("u"))).is_err());
    until("it is stale", || replica.is_stale());
    owner.batch_execute("COMMIT").unwrap();
    replica.until_good(&token);
    store.snapshot(StoreTime::default(), &mut |_| {}).unwrap();
    replica.bump("u");
    assert_eq!(restarts(&[replica]), 0);
}
