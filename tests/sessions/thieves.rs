//! Who shows a refresh token, when, and what becomes of it.

use std::{sync::Barrier, thread, time::Duration};

use epochkey::{RefreshError, TokenPair};

use crate::support::{GRACE, SECOND, Service};

fn assert_reused(service: &Service, pair: &TokenPair) {
    let error = service.refresh(pair).unwrap_err();
    let RefreshError::Reused { session, user } = error else {
        panic!("{error}")
    };
    assert_eq!((&session, user.as_str()), (pair.session.id(), "u"));
    let told = service.seen.reused.lock().unwrap();
    assert_eq!(*told, [(user, session)]);
}

/// The response is lost: the client shows the same again.
#[test]
fn within_the_window_it_gives_the_same_successor() {
    for service in [Service::new(), Service::on_redb()] {
        let pair = service.start("u");
        let next = service.refresh(&pair).unwrap();
        for _ in 0..5 {
            service.clock.advance(Duration::from_millis(1_999));
            let again = service.refresh(&pair).unwrap();
            assert_eq!(again.refresh.as_str(), next.refresh.as_str());
            assert_eq!(service.outcome(&again), "good");
        }
        assert_eq!(service.seen.replayed.lock().unwrap().len(), 5);
        service.clock.advance(SECOND);
        assert_reused(&service, &pair);
    }
}

/// Not counted from the last replay, but from the rotation.
#[test]
fn after_the_window_it_counts_as_stolen() {
    let service = Service::new();
    let pair = service.start("u");
    let next = service.refresh(&pair).unwrap();
    service.clock.advance(GRACE);
    assert_reused(&service, &pair);
    assert_eq!(service.outcome(&next), "revoked");
    assert_eq!(service.refused(&next), "ended");
    assert_eq!(
        service.refused(&pair),
        "ended",
        "a second time changes nothing more"
    );
    assert_eq!(service.seen.reused.lock().unwrap().len(), 1);
}

#[test]
fn older_ones_count_as_stolen_at_once() {
    for distance in [2, 5, 1000] {
        let service = Service::new();
        let first = service.start("u");
        let mut last = service.refresh(&first).unwrap();
        for _ in 1..distance {
            last = service.refresh(&last).unwrap();
        }
        assert_reused(&service, &first);
        assert_eq!(service.outcome(&last), "revoked", "{distance}");
        assert_eq!(service.refused(&last), "ended", "{distance}");
    }
}

#[test]
fn nothing_else_is_read() {
    let service = Service::new();
    let (one, two) = (service.start("u"), service.start("v"));
    let sessions = service.authority.sessions();
    let token = one.refresh.as_str();
    let tag_of_two = two.refresh.as_str().rsplit_once('.').unwrap().1;
    let counter = |counter: &str| token.replacen(".0.", &format!(".{counter}."), 1);
    let forged = [
        (
            format!("{}.{tag_of_two}", token.rsplit_once('.').unwrap().0),
            "bad_tag",
        ),
        (counter("1"), "bad_tag"),
        (counter("007"), "malformed"),
        (counter("+7"), "malformed"),
        (counter("00"), "malformed"),
        (counter("18446744073709551616"), "malformed"),
        (String::new(), "malformed"),
        (one.access.as_str().to_owned(), "malformed"),
        (format!("{token}="), "malformed"),
    ];
    for (token, label) in forged {
        assert_eq!(
            sessions.refresh(&token).wait().unwrap_err().label(),
            label,
            "{token}"
        );
    }
    assert_eq!(service.outcome(&one), "good");
    assert_eq!(service.outcome(&two), "good");
}

/// One rotation, and nobody is logged out.
fn refreshed_at_once(threads: usize) {
    let service = Service::on_redb();
    let pair = service.start("u");
    let barrier = Barrier::new(threads);
    let refresh = || {
        barrier.wait();
        service.refresh(&pair).unwrap()
    };
    let pairs: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(refresh)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for other in &pairs {
        assert_eq!(other.refresh.as_str(), pairs[0].refresh.as_str());
        assert_eq!(service.outcome(other), "good");
    }
    assert!(pairs[0].refresh.as_str().contains(".1."), "one rotation");
    service.clock.advance(GRACE);
    service.refresh(&pairs[0]).unwrap();
}

#[test]
fn two_tabs_refresh_at_once() {
    refreshed_at_once(2);
}

#[test]
fn fifty_tabs_refresh_at_once() {
    refreshed_at_once(50);
}

/// Beyond what tabs do, without ending the session.
#[test]
fn there_is_a_limit_to_replays() {
    let service = Service::new();
    let pair = service.start("u");
    let next = service.refresh(&pair).unwrap();
    let replays = (0..200).map(|_| service.refresh(&pair));
    let (good, refused): (Vec<_>, Vec<_>) = replays.partition(Result::is_ok);
    assert_eq!((good.len(), refused.len()), (100, 100));
    for error in refused.into_iter().filter_map(Result::err) {
        assert_eq!(error.label(), "too_many_replays");
    }
    assert_eq!(service.outcome(&service.refresh(&next).unwrap()), "good");
}
