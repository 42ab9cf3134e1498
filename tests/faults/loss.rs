//! A server that lost what it had acknowledged: all of it, or the tail.

use std::{sync::Barrier, thread};

use epochkey::{Grant, Scope, testing};

use super::{
    Kind,
    fleet::{Fleet, Replica, Watch, assert_log_ins_work, restarts, result, soon_stale, until},
    forwarder::Forwarder,
    known::Known,
};
use crate::server::{self, Server};

/// Everybody was logged out, once, and can log in again.
fn assert_started_over(replicas: &[Replica], known: &Known) {
    known.until_gone(replicas);
    assert_log_ins_work(replicas);
    known.until_gone(replicas);
    assert_eq!(restarts(replicas), 1);
}

/// The replicas notice by themselves.
pub(crate) fn lose_everything<K: Kind>(lose: impl FnOnce(&mut K::Server)) {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(4);
    let known = Known::of(&replicas);
    let watch = Watch::start(&replicas, vec![known.revoked.clone()]);
    lose(&mut server);
    assert_started_over(&replicas, &known);
    watch.stop();
}

pub(crate) fn a_wiped_store_logs_everybody_out<K: Kind>() {
    lose_everything::<K>(|server| server.wipe().unwrap());
}

pub(crate) fn a_store_that_comes_back_empty_logs_everybody_out<K: Kind>() {
    lose_everything::<K>(|server| server.restart_empty().unwrap());
}

pub(crate) fn a_store_wiped_while_nobody_reached_it_logs_everybody_out<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let name = Forwarder::to(server.address());
    let fleet = Fleet::<K>::new(server.url_at(name.address()), soon_stale());
    let replicas = fleet.replicas(4);
    let known = Known::of(&replicas);
    let watch = Watch::start(&replicas, vec![known.revoked.clone()]);
    name.lead_to(None);
    server.wipe().unwrap();
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    name.lead_to(Some(server.address()));
    assert_started_over(&replicas, &known);
    watch.stop();
}

/// Who starts on an empty store cannot know what it held: those who do overrule it.
pub(crate) fn a_newcomer_on_an_emptied_store_is_overruled<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let name = Forwarder::to(server.address());
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let open = |_| fleet.replica_at(&server.url_at(name.address()));
    let mut replicas: Vec<_> = (0..3).map(open).collect();
    let known = Known::of(&replicas);
    name.lead_to(None);
    server.wipe().unwrap();
    let newcomer = fleet.replica();
    let (token, pair) = (newcomer.issue("early"), newcomer.start("early"));
    replicas.push(newcomer);
    let watch = Watch::start(&replicas, vec![known.revoked.clone()]);
    name.lead_to(Some(server.address()));
    assert_started_over(&replicas, &known);
    for replica in &replicas {
        replica.until_refused(&token, "unknown_key");
        assert_eq!(replica.refreshed(&pair), "bad_tag");
    }
    watch.stop();
}

/// All find that the store does not know them, and only then the first starts over.
pub(crate) fn of_eight_that_notice_a_loss_at_once_one_starts_over<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::patient(server.url());
    let open = || Replica::open(testing::by_hand(fleet.builder()), fleet.store());
    let replicas: Vec<_> = (0..8).map(|_| open()).collect();
    for losses in 1..=10 {
        let token = replicas[0].issue("u");
        server.wipe().unwrap();
        let together = Barrier::new(replicas.len());
        thread::scope(|scope| {
            for replica in &replicas {
                scope.spawn(|| {
                    together.wait();
                    until("it follows again", || {
                        testing::follow(&replica.authority).is_ok()
                    });
                });
            }
        });
        assert_eq!(restarts(&replicas), losses);
        let fresh = replicas[0].issue("u");
        for replica in &replicas {
            assert_eq!(replica.outcome(&token), "unknown_key");
            assert_eq!(replica.outcome(&fresh), "good");
        }
    }
}

/// Its tags and secrets are of the past: in the new history it would revoke nothing.
pub(crate) fn a_change_that_rests_on_a_lost_past_is_refused<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::patient(server.url());
    let notices = fleet.replica();
    let late = Replica::open(testing::by_hand(fleet.builder()), fleet.store());
    let pair = notices.start("u");
    server.wipe().unwrap();
    notices.until_refused(&pair.access, "unknown_key");
    let position = notices.authority.stats().position;

    let (authority, sessions) = (&late.authority, late.authority.sessions());
    assert!(result(authority.bump(Scope::user("u"))).is_err());
    assert!(result(authority.rotate_key()).is_err());
    assert!(result(sessions.start(Grant::user("u"), "")).is_err());
    assert!(result(sessions.refresh(&pair.refresh)).is_err());
    assert!(result(sessions.end(pair.session.id())).is_err());
    assert!(result(sessions.list("u")).is_err());
    notices.authority.catch_up().wait().unwrap();
    assert_eq!(notices.authority.stats().position, position);

    let token = notices.issue("u");
    testing::follow(authority).unwrap();
    late.until_good(&token);
    let bump = authority.bump(Scope::user("u"));
    let epoch = testing::finish(authority, bump).unwrap();
    notices.authority.wait_for(epoch).wait().unwrap();
    notices.assert_dead(&token);
    assert_eq!(restarts(&[notices, late]), 1);
}

pub(crate) fn a_promotion_that_lost_the_tail_logs_everybody_out<K: Kind>() {
    let Some(mut primary) = server::start::<K::Server>(&[]) else {
        return;
    };
    let mut standby = primary.replica().unwrap();
    let name = Forwarder::to(primary.address());
    let fleet = Fleet::<K>::new(primary.url_at(name.address()), soon_stale());
    let replicas = fleet.replicas(4);
    let known = Known::of(&replicas);
    let (lost, late) = (replicas[1].issue("lost"), replicas[2].issue("late"));
    let pair = replicas[3].start("lost");
    standby.cut_off().unwrap();
    replicas[0].bump("lost");
    let last = replicas[1].bump("late");
    for replica in &replicas {
        until("it knows the last bump", || {
            replica.authority.wait_for(last).wait().is_ok()
        });
        replica.assert_dead(&lost);
        replica.assert_dead(&late);
    }
    let revoked = vec![known.revoked.clone(), lost, late, pair.access.clone()];
    let watch = Watch::start(&replicas, revoked);
    primary.kill().unwrap();
    standby.promote().unwrap();
    name.lead_to(Some(standby.address()));
    assert_started_over(&replicas, &known);
    for replica in &replicas {
        assert_eq!(replica.refreshed(&pair), "bad_tag");
    }
    watch.stop();
}

pub(crate) fn a_promotion_that_lost_nothing_logs_nobody_out<K: Kind>() {
    let Some(mut primary) = server::start::<K::Server>(&[]) else {
        return;
    };
    let mut standby = primary.replica().unwrap();
    let name = Forwarder::to(primary.address());
    let fleet = Fleet::<K>::new(primary.url_at(name.address()), soon_stale());
    let replicas = fleet.replicas(4);
    let known = Known::of(&replicas);
    let watch = Watch::start(&replicas, vec![known.revoked.clone()]);
    standby.cut_off().unwrap();
    primary.kill().unwrap();
    standby.promote().unwrap();
    name.lead_to(Some(standby.address()));
    known.until_in_force(&replicas);
    let token = replicas[0].issue("later");
    let epoch = replicas[1].bump("later");
    for replica in &replicas {
        until("it follows the new primary", || {
            replica.authority.wait_for(epoch).wait().is_ok()
        });
        replica.assert_dead(&token);
    }
    assert_log_ins_work(&replicas);
    watch.stop();
    assert_eq!(restarts(&replicas), 0);
}
