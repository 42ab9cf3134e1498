//! Backups put back, whole and in parts.

use epochkey::{BuildError, Grant, PostgresStore, testing};

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, Watch, assert_log_ins_work, restarts, soon_stale, until},
        known::Known,
    },
    server::{self, PostgresServer, Server},
};

const TABLES: [&str; 5] = ["head", "log", "ring_keys", "epochs", "sessions"];

#[test]
fn a_backup_from_before_the_last_bumps_logs_everybody_out_once() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(3);
    let known = Known::of(&replicas);
    let (token, pair) = (replicas[0].issue("lost"), replicas[1].start("lost"));
    let backup = server.dump().unwrap();
    let epoch = replicas[2].bump("lost");
    for replica in &replicas {
        until("it knows", || {
            replica.authority.wait_for(epoch).wait().is_ok()
        });
        replica.assert_dead(&token);
    }
    let revoked = vec![known.revoked.clone(), token, pair.access.clone()];
    let watch = Watch::start(&replicas, revoked);
    server.restore(&backup).unwrap();
    known.until_gone(&replicas);
    assert_log_ins_work(&replicas);
    for replica in &replicas {
        assert_eq!(replica.refreshed(&pair), "bad_tag");
    }
    watch.stop();
    assert_eq!(restarts(&replicas), 1);
}

/// Nothing was lost, and nobody notices.
#[test]
fn a_backup_of_what_is_there_logs_nobody_out() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let backup = server.dump().unwrap();
    server.restore(&backup).unwrap();
    known.until_in_force(&replicas);
    assert_log_ins_work(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn a_backup_restored_while_nobody_ran_is_declared() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replica = fleet.replica();
    let (token, pair) = (replica.issue("lost"), replica.start("lost"));
    let backup = server.dump().unwrap();
    replica.bump("lost");
    drop(replica);
    server.restore(&backup).unwrap();
    let replicas = fleet.replicas(2);
    until("the log is started over", || {
        replicas[0].authority.restored_from_backup().wait().is_ok()
    });
    for replica in &replicas {
        replica.until_refused(&token, "unknown_key");
        replica.until_refused(&pair.access, "unknown_key");
        until("the session is refused", || {
            replica.refreshed(&pair) == "bad_tag"
        });
    }
    assert_log_ins_work(&replicas);
}

/// Keeps the tables as they are now, and tells how many rows they have.
fn keep(server: &PostgresServer) -> u64 {
    server.execute("CREATE SCHEMA kept").unwrap();
    let mut client = server.connection().unwrap();
    let copy = TABLES.map(|table| {
        let sql = format!("CREATE TABLE kept.{table} AS TABLE epochkey.{table}");
        client.execute(&sql, &[]).unwrap()
    });
    copy.into_iter().sum()
}

/// Puts rows of before beside what there is, as when a dump is loaded into tables that are not
/// empty. Tells how many.
fn load_beside(server: &PostgresServer) -> u64 {
    let mut client = server.connection().unwrap();
    let load = TABLES.map(|table| {
        let sql = format!(
            "INSERT INTO epochkey.{table} SELECT * FROM kept.{table} ON CONFLICT DO NOTHING"
        );
        client.execute(&sql, &[]).unwrap()
    });
    load.into_iter().sum()
}

/// What is there of other histories than the present one.
fn garbage(server: &PostgresServer) -> u64 {
    let of = |table: &str, column: &str| {
        format!(
            "(SELECT count(*) FROM epochkey.{table} WHERE {column} <> \
             (SELECT {} FROM epochkey.head))",
            if column == "line" {
                "session_line"
            } else {
                column
            }
        )
    };
    let history = ["log", "ring_keys", "epochs"].map(|table| of(table, "history"));
    let sql = format!(
        "SELECT {} + {}",
        history.join(" + "),
        of("sessions", "line")
    );
    server.value(&sql).unwrap().parse().unwrap()
}

/// The restoring was not one transaction, and the replicas were faster.
#[test]
fn rows_of_before_beside_a_new_history_are_garbage() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let (token, pair) = (replicas[0].issue("lost"), replicas[1].start("lost"));
    // All but the head, of which there is one.
    let kept = keep(&server) - 1;
    let epoch = replicas[0].bump("lost");
    until("all know", || {
        replicas[1].authority.wait_for(epoch).wait().is_ok()
    });
    let revoked = vec![known.revoked.clone(), token, pair.access.clone()];
    let watch = Watch::start(&replicas, revoked);
    let tables = TABLES.map(|table| format!("epochkey.{table}"));
    until("the tables are emptied", || {
        server
            .execute(&format!("TRUNCATE {}", tables.join(", ")))
            .is_ok()
    });
    known.until_gone(&replicas);
    assert_eq!(load_beside(&server), kept);
    assert_log_ins_work(&replicas);
    known.until_gone(&replicas);
    let fresh = fleet.replica();
    fresh.until_refused(&known.alive, "unknown_key");
    assert_eq!(fresh.refreshed(&pair), "bad_tag");

    let token = replicas[0].issue("u");
    let pair = replicas[0].start("has a session");
    let by_hand = testing::by_hand(fleet.builder())
        .open(fleet.store())
        .unwrap();
    testing::maintain(&by_hand).unwrap();
    until("the garbage is gone", || garbage(&server) == 0);
    for replica in &replicas {
        replica.until_good(&token);
        assert_eq!(replica.refreshed(&pair), "good");
    }
    watch.stop();
    assert_eq!(restarts(&replicas), 1);
}

/// Opens a replica, and says what it was refused with, or failed with afterwards.
fn said_by_a_newcomer(fleet: &Fleet<Postgres>, store: PostgresStore) -> String {
    match testing::by_hand(fleet.builder()).open(store) {
        Err(BuildError::Store(error)) => {
            assert_eq!(error.label(), "damaged", "{error:?}");
            crate::hand::said(&error)
        }
        Err(error) => panic!("{error:?}"),
        Ok(authority) => {
            assert!(authority.issue(Grant::user("u")).is_err(), "a token");
            crate::hand::said(&testing::follow(&authority).unwrap_err())
        }
    }
}

#[test]
fn a_part_is_not_taken_for_the_whole() {
    for (missing, part) in [
        ("DELETE FROM epochkey.epochs", "epochs are missing"),
        (
            "DELETE FROM epochkey.epochs WHERE position = (SELECT max(position) FROM epochkey.epochs)",
            "epochs are missing",
        ),
        ("DELETE FROM epochkey.ring_keys", "ring keys are missing"),
        ("DELETE FROM epochkey.log", "log"),
        (
            "DELETE FROM epochkey.log WHERE position = (SELECT position FROM epochkey.head)",
            "log",
        ),
    ] {
        let Some(server) = server::postgres() else {
            return;
        };
        let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
        let running = fleet.replica();
        let known = Known::of(&[running.clone(), running.clone()]);
        let store = fleet.store();
        keep(&server);
        server.execute(missing).unwrap();
        let said = said_by_a_newcomer(&fleet, store);
        assert!(said.contains(part), "{missing}: {said}");
        running.assert_dead(&known.revoked);
        // What comes back is good again.
        load_beside(&server);
        known.until_in_force(&[running.clone(), fleet.replica()]);
        assert_eq!(restarts(&[running]), 0, "{missing}");
    }
}

/// Where its head is missing it is taken for empty, which is a loss to all who know better.
#[test]
fn without_the_head_everybody_is_logged_out() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let watch = Watch::start(&replicas, vec![known.revoked.clone()]);
    server.execute("DELETE FROM epochkey.head").unwrap();
    known.until_gone(&replicas);
    assert_log_ins_work(&replicas);
    watch.stop();
    assert_eq!(restarts(&replicas), 1);
}

/// Table by table, over what there was, the head first or last.
#[test]
fn a_backup_restored_table_by_table_brings_nothing_back() {
    let mut orders = [TABLES, TABLES];
    orders[1].reverse();
    for order in orders {
        let Some(server) = server::postgres() else {
            return;
        };
        let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
        let replicas = fleet.replicas(2);
        let known = Known::of(&replicas);
        let (token, pair) = (replicas[0].issue("lost"), replicas[1].start("lost"));
        keep(&server);
        let epoch = replicas[0].bump("lost");
        until("all know", || {
            replicas[1].authority.wait_for(epoch).wait().is_ok()
        });
        let revoked = vec![known.revoked.clone(), token, pair.access.clone()];
        let watch = Watch::start(&replicas, revoked);
        for table in order {
            let sql = format!(
                "TRUNCATE epochkey.{table}; INSERT INTO epochkey.{table} SELECT * FROM kept.{table}"
            );
            until(table, || server.execute(&sql).is_ok());
            watch.look(3);
        }
        known.until_gone(&replicas);
        assert_log_ins_work(&replicas);
        watch.stop();
        assert_eq!(restarts(&replicas), 1);
    }
}
