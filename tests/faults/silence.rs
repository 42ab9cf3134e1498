//! A server that says nothing, for longer than news may be old.

use std::thread;

use epochkey::{Grant, Scope};

use super::{
    Kind,
    fleet::{Fleet, Replica, Watch, restarts, seconds, soon_stale, soon_stale_after, until},
    forwarder::Forwarder,
    known::Known,
};
use crate::server::{self, Server};

fn until_all_are_stale(replicas: &[Replica]) {
    until("all are stale", || replicas.iter().all(Replica::is_stale));
}

pub(crate) fn all_refuse_while_it_is_stopped<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(3);
    let known = Known::of(&replicas);
    server.kill().unwrap();
    until_all_are_stale(&replicas);
    known.assert_all_refused(&replicas);
    server.restart().unwrap();
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

/// It looks alive: connections stay open, and new ones are made.
pub(crate) fn all_refuse_while_it_is_frozen_and_nobody_hangs<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let open = replicas[0].issue("bumped while it was frozen");
    let epoch = replicas[0].bump("somebody");
    server.freeze().unwrap();
    let mut callers = Vec::new();
    for replica in &replicas {
        let (authority, token) = (replica.authority.clone(), known.session.refresh.clone());
        let ask = move || {
            let sessions = authority.sessions();
            let user = "bumped while it was frozen";
            // Begun together, so that they wait behind each other.
            let bump = authority.bump(Scope::user(user));
            let start = sessions.start(Grant::user("starts"), "");
            let refresh = sessions.refresh(&token);
            let (list, rotate) = (sessions.list("starts"), authority.rotate_key());
            let (mark, wait) = (authority.catch_up(), authority.wait_for(epoch));
            vec![
                bump.wait().is_err(),
                start.wait().is_err(),
                refresh.wait().is_err(),
                list.wait().is_err(),
                rotate.wait().is_err(),
                mark.wait().is_err(),
                wait.wait().is_err(),
            ]
        };
        callers.push(thread::spawn(ask));
    }
    until("all callers are answered", || {
        callers.iter().all(|caller| caller.is_finished())
    });
    for caller in callers {
        assert_eq!(caller.join().unwrap(), [true; 7]);
    }
    until_all_are_stale(&replicas);
    known.assert_all_refused(&replicas);
    server.thaw().unwrap();
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);

    // Whether the bump was made is open, but not from one replica to the other.
    let settled = replicas[0].bump("somebody else");
    let outcomes = replicas.iter().map(|replica| {
        until("it follows again", || {
            replica.authority.wait_for(settled).wait().is_ok()
        });
        until("it is fresh", || replica.outcome(&known.alive) == "good");
        replica.outcome(&open) == "good"
    });
    let outcomes: Vec<_> = outcomes.collect();
    assert!(outcomes.iter().all(|good| *good == outcomes[0]));
}

/// What another replica revoked after the question is not in the answer, however late it comes.
pub(crate) fn an_answer_that_was_held_up_is_as_old_as_its_question<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let name = Forwarder::to(server.address());
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let patient = K::connect(&server.url_at(name.address()), seconds(60));
    let replicas = [fleet.replica(), Replica::open(fleet.builder(), patient)];
    let [here, there] = &replicas;
    let (alive, revoked) = (here.issue("alive"), here.issue("revoked"));
    // By now it has asked for the first time, and waits for news.
    for _ in 0..2000 {
        there.until_good(&revoked);
    }
    name.hold_answers();
    // By then its next question was answered, there is no news, and that is too old as well.
    let old = 2 * soon_stale_after();
    until("all it has asked is old", || {
        there
            .authority
            .freshness()
            .age()
            .is_some_and(|age| age > old)
    });
    here.bump("revoked");
    let watch = Watch::start(&replicas, vec![revoked.clone()]);
    name.give_held();
    watch.look(200);
    name.release();
    watch.stop();
    there.until_refused(&revoked, "revoked");
    there.until_good(&alive);
    assert_eq!(restarts(&replicas), 0);
}
