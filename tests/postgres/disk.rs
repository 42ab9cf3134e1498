//! A disk that is full.

use epochkey::{Epoch, Grant, Scope, Token};

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, Replica, restarts, result, soon_stale, until},
        known::Known,
    },
    hand::said,
    server::{self, PostgresServer, Server, SmallDisk},
};

/// What was acknowledged, and how the first that was not failed.
struct Filled {
    bumped: Vec<(Token, Epoch)>,
    failure: String,
}

/// Bumps, many at a time, until the disk is full.
fn fill(server: &mut PostgresServer, replica: &Replica) -> Filled {
    server.fill_disk().unwrap();
    let mut bumped = Vec::new();
    for turn in 0.. {
        assert!(turn < 1000, "there is room without an end");
        let users = (0..500).map(|user| format!("{turn}-{user}"));
        let token = replica
            .authority
            .issue(Grant::user(format!("{turn}-0")))
            .unwrap();
        match result(replica.authority.bump_many(users.map(Scope::user))) {
            Ok(epochs) => bumped.push((token, epochs[0])),
            Err(error) => {
                assert!(error.is_transient(), "{error:?}");
                let failure = said(&error);
                return Filled { bumped, failure };
            }
        }
    }
    unreachable!()
}

#[track_caller]
fn assert_kept(filled: &Filled, replicas: &[Replica]) {
    for replica in replicas {
        for (token, epoch) in &filled.bumped {
            until("it knows the bump", || {
                replica.authority.wait_for(*epoch).wait().is_ok()
            });
            replica.assert_dead(token);
        }
    }
}

#[test]
fn without_room_for_tables_nothing_is_made_until_there_is_some() {
    if server::postgres().is_none() {
        return;
    }
    let mut server = PostgresServer::on_small_disk(SmallDisk::Tables, &[]).unwrap();
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let token = replicas[0].issue("u");
    let filled = fill(&mut server, &replicas[0]);
    let failure = &filled.failure;
    // The second where files are limited in place of the disk.
    let is_said = ["No space left on device", "could not extend file"];
    assert!(
        is_said.iter().any(|part| failure.contains(part)),
        "{failure}"
    );
    let position = "SELECT position FROM epochkey.head";
    let position = server.value(position).unwrap();
    assert_kept(&filled, &replicas);
    server.relieve_disk().unwrap();
    let epoch = replicas[1].bump("u");
    assert_eq!(epoch.position(), position.parse::<u64>().unwrap() + 1);
    replicas[1].assert_dead(&token);
    assert_kept(&filled, &replicas);
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

/// The server panics when its log does not grow.
#[test]
fn a_server_that_ended_for_want_of_room_has_what_it_acknowledged() {
    if server::postgres().is_none() {
        return;
    }
    let mut server = PostgresServer::on_small_disk(SmallDisk::Everything, &[]).unwrap();
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let filled = fill(&mut server, &replicas[0]);
    server.relieve_disk().unwrap();
    server.restart().unwrap();
    replicas[1].bump("u");
    assert_kept(&filled, &replicas);
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}
