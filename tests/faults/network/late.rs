//! Requests that the network delivers long after their senders were told an error.

use std::sync::Arc;

use epochkey::{Grant, TokenPair};

use super::{
    Kind,
    fleet::{Fleet, Replica, assert_all_calm, assert_one_successor, restarts, settle, until},
};
use crate::network::Way;

/// Holds what it asks for from now on, on a connection that is there already.
fn hold(late: &Replica) {
    late.bump("nobody");
    late.proxy.hold(Way::ToServer);
}

/// Delivers what was held, and waits until all is as if nothing had been.
fn deliver(replicas: &[Replica]) {
    for replica in replicas {
        replica.proxy.release();
    }
    until("all recover", || !replicas.iter().any(Replica::is_stale));
    settle(replicas);
}

pub(crate) fn a_bump_delivered_late_is_a_bump<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [late, one, two] = &replicas;
    let (pair, bystander) = (one.start("u"), one.start("bystander"));
    hold(late);
    assert!(late.begin_bump("u").wait().is_err());
    let next = two.refresh(&pair.refresh);
    one.until_good(&next.access);
    deliver(&replicas);
    // It was made late or never, and by all accounts.
    until("all agree", || {
        let dead = one.sessions("u") == 0;
        let is_so = |replica: &Replica| (replica.outcome(&next.access) == "good") != dead;
        replicas.iter().all(is_so)
    });
    let again = late.start("u");
    for replica in &replicas {
        replica.until_good(&again.access);
        replica.until_good(&bystander.access);
    }
    two.refresh(&bystander.refresh);
    late.bump("u");
    settle(&replicas);
    for replica in &replicas {
        for pair in [&pair, &next, &again] {
            assert_ne!(replica.outcome(&pair.access), "good");
            assert_eq!(replica.refused(&pair.refresh), "ended");
        }
    }
    assert_all_calm(&replicas);
}

/// What was made for one history must do nothing in the next.
pub(crate) fn a_bump_delivered_into_the_next_history_is_refused<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [late, one, two] = &replicas;
    let before = one.issue("u");
    hold(late);
    assert!(late.begin_bump("u").wait().is_err());
    let epoch = one.authority.start_over().wait().unwrap();
    two.wait_for(epoch);
    let pair = two.start("u");
    for replica in &replicas {
        replica.proxy.release();
    }
    late.wait_for(epoch);
    let settled = settle(&replicas);
    assert!(settled.is_none_or(|settled| settled == epoch.position() + 1));
    for replica in &replicas {
        replica.until_good(&pair.access);
        assert_ne!(replica.outcome(&before), "good");
    }
    late.refresh(&pair.refresh);
    assert_eq!(restarts(&replicas), 1);
}

/// A refresh whose row was read, and whose commit is delivered after what happens meanwhile,
/// which gives the pair that the client has then.
fn refresh_late<K: Kind>(
    meanwhile: impl FnOnce(&[Replica; 3], TokenPair) -> TokenPair,
    judge: impl FnOnce(&[Replica; 3], &TokenPair),
) {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let late = &replicas[0];
    let pair = late.start("u");
    settle(&replicas);
    let proxy = Arc::clone(&late.proxy);
    let sessions = late.authority.sessions();
    // The grant is asked for between the read and the commit.
    let refresh = sessions.refresh_with(&pair.refresh, move |_| {
        proxy.hold(Way::ToServer);
        Grant::user("u")
    });
    let error = refresh.wait().unwrap_err();
    assert!(error.is_transient(), "{error}");
    let pair = meanwhile(&replicas, pair);
    deliver(&replicas);
    judge(&replicas, &pair);
    assert_all_calm(&replicas);
}

/// The session goes on from here, for all replicas.
#[track_caller]
fn assert_goes_on(replicas: &[Replica; 3], pair: &TokenPair) {
    let mut pair = pair.clone();
    for replica in replicas {
        let next = replica.refresh(&pair.refresh);
        for other in replicas {
            assert_one_successor(&other.refresh(&pair.refresh), &next);
            other.until_good(&next.access);
        }
        pair = next;
    }
    assert_eq!(replicas[0].sessions("u"), 1);
}

#[track_caller]
fn assert_over(replicas: &[Replica; 3], pair: &TokenPair) {
    for replica in replicas {
        assert_eq!(replica.refused(&pair.refresh), "ended");
        assert_ne!(replica.outcome(&pair.access), "good");
    }
}

pub(crate) fn a_refresh_delivered_late_forks_nothing<K: Kind>() {
    refresh_late::<K>(|_, pair| pair, assert_goes_on);
}

pub(crate) fn a_refresh_delivered_after_others_is_refused<K: Kind>() {
    let refresh_elsewhere = |[_, one, two]: &[Replica; 3], pair: TokenPair| {
        let next = one.refresh(&pair.refresh);
        two.refresh(&next.refresh)
    };
    refresh_late::<K>(refresh_elsewhere, assert_goes_on);
}

pub(crate) fn a_refresh_delivered_after_the_end_revives_nothing<K: Kind>() {
    let end = |[_, one, _]: &[Replica; 3], pair: TokenPair| {
        let sessions = one.authority.sessions();
        sessions.end(pair.session.id()).wait().unwrap();
        pair
    };
    refresh_late::<K>(end, assert_over);
    let bump = |[_, one, _]: &[Replica; 3], pair| {
        one.bump("u");
        pair
    };
    refresh_late::<K>(bump, assert_over);
}

/// Some have been asked about the user's other sessions already, some not.
pub(crate) fn starts_delivered_late_give_nobody_tokens<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [late, one, two] = &replicas;
    for _ in 0..3 {
        late.bump("nobody");
        let starts: Vec<_> = (0..8).map(|_| late.begin_start("u")).collect();
        late.proxy.hold(Way::ToServer);
        let begun: Vec<_> = starts
            .into_iter()
            .filter_map(|start| start.wait().ok())
            .collect();
        one.bump("u");
        deliver(&replicas);
        for pair in &begun {
            assert_over(&replicas, pair);
        }
        // Nobody has the tokens of those that came late.
        let rows = one.sessions("u");
        assert!(begun.len() + rows <= 8);
        assert_eq!(late.sessions("u"), rows);
        let pair = two.start("u");
        late.until_good(&pair.access);
        late.bump("u");
        assert_eq!(two.sessions("u"), 0);
        settle(&replicas);
        assert_over(&replicas, &pair);
    }
    assert_all_calm(&replicas);
}
