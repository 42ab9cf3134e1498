//! Nothing but theft and an end takes an honest client's session away.

use std::{sync::Arc, time::Duration};

use epochkey::{
    Authority, Clock, Grant, IssueError, MasterSecret, Policy, RedbStore, RefreshError, StartError,
    TokenPair, WhenFull,
    testing::{FaultyStore, ManualClock},
};

use crate::{
    replicas::Fleet,
    support::{DAY, GRACE, SECOND, Service},
    watched::Watched,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A key may have been introduced under a shorter policy. As for any other token, a longer one
/// takes effect with the next key.
#[test]
fn a_longer_lifetime_in_the_policy_refuses_no_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let secret = MasterSecret::generate().unwrap();
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let open = |lifetime: Duration| {
        let policy = Policy::default().token_lifetime(lifetime);
        let builder = Authority::builder("https://issuer.test", "api")
            .policy(policy.max_token_lifetime(lifetime))
            .master_secret(secret.clone())
            .clock(clock.clone());
        let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
        builder.open(store).unwrap()
    };
    let authority = open(GRACE * 30);
    let pair = authority.sessions().start(Grant::user("u"), "a device");
    let pair = pair.wait().unwrap();
    drop(authority);
    let authority = open(HOUR);
    let pair = authority.sessions().refresh(&pair.refresh).wait().unwrap();
    assert_eq!(pair.access.expires_in(), GRACE * 30);
    let other = authority.sessions().start(Grant::user("u"), "a device");
    assert_eq!(other.wait().unwrap().access.expires_in(), GRACE * 30);
}

/// What cannot be issued rotates nothing: the client has the same refresh token as before, and
/// goes on with it once they have typed their password.
#[test]
fn who_must_prove_again_who_they_are_goes_on_with_the_same_refresh_token() {
    let service = Service::with(Policy::default().max_authentication_age(HOUR));
    let pair = service.start("u");
    service.clock.advance(2 * HOUR);
    let error = service.refresh(&pair).unwrap_err();
    assert!(
        matches!(error, RefreshError::Grant(IssueError::AuthenticationTooOld)),
        "{error}"
    );
    service.clock.advance(GRACE);
    let id = pair.session.id();
    let session = service.authority.sessions().reauthenticated(id).wait();
    session.unwrap();
    let next = service.refresh(&pair).unwrap();
    assert_eq!(service.outcome(&next), "good");
    assert!(service.seen.reused.lock().unwrap().is_empty());
}

/// The application's mistake is not the client's.
#[test]
fn a_grant_that_is_refused_rotates_nothing() {
    let service = Service::new();
    let pair = service.start("u");
    let sessions = service.authority.sessions();
    let grants: [fn() -> Grant; 3] = [
        || Grant::user("u").lifetime(1000 * DAY),
        || Grant::user("u").claims(&vec!["not an object"]),
        || {
            Grant::user("u").claims(&std::collections::BTreeMap::from([(
                "a",
                "b".repeat(10_000),
            )]))
        },
    ];
    for grant in grants {
        let refused = sessions.refresh_with(&pair.refresh, move |_| grant());
        assert_eq!(refused.wait().unwrap_err().label(), "grant");
        service.clock.advance(GRACE);
    }
    assert_eq!(service.outcome(&service.refresh(&pair).unwrap()), "good");
}

/// Nor does it take the place of another session.
#[test]
fn a_start_that_is_refused_ends_nothing() {
    let service = Service::with(Policy::default().max_sessions(1, WhenFull::EndOldest));
    let pair = service.start("u");
    let grant = Grant::user("u").lifetime(1000 * DAY);
    let refused = service.authority.sessions().start(grant, "a device").wait();
    assert!(matches!(refused, Err(StartError::Grant(_))));
    assert_eq!(service.outcome(&pair), "good");
    service.refresh(&pair).unwrap();
    assert_eq!(service.labels("u").len(), 1);
}

/// The same, with threads that are held up: none of them keeps the store once the result is told.
#[test]
fn no_thread_of_the_store_keeps_it_beyond_the_result() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
    let store = Arc::new(Watched::lingering(store));
    let secret = MasterSecret::generate().unwrap();
    for turn in 0..12 {
        let builder = Authority::builder("https://issuer.test", "api");
        let builder = builder.master_secret(secret.clone());
        let authority = builder.open(Arc::clone(&store)).unwrap();
        let sessions = authority.sessions();
        let pair = sessions.start(Grant::user("u"), "").wait().unwrap();
        match turn % 4 {
            0 => {}
            1 => drop(sessions.refresh(&pair.refresh).wait().unwrap()),
            2 => drop(sessions.reauthenticated(pair.session.id()).wait().unwrap()),
            _ => sessions.end_others(pair.session.id()).wait().unwrap(),
        }
        drop(authority);
        assert_eq!(Arc::strong_count(&store), 1, "turn {turn}");
    }
}

/// A kept grant is what was allowed when the session began.
#[test]
fn a_shorter_lifetime_in_the_policy_refuses_no_refresh() {
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let (store, secret) = (FaultyStore::embedded(), MasterSecret::generate().unwrap());
    let open = |longest: Duration| {
        let policy = Policy::default().token_lifetime(GRACE * 30);
        let builder = Authority::builder("https://issuer.test", "api")
            .policy(policy.max_token_lifetime(longest))
            .master_secret(secret.clone())
            .clock(clock.clone());
        builder.open(store.connect()).unwrap()
    };
    let grant = Grant::user("u").lifetime(HOUR);
    let pair = open(HOUR).sessions().start(grant, "a device").wait();
    let token = pair.unwrap().refresh;
    let authority = open(GRACE * 40);
    let pair = authority.sessions().refresh(&token).wait().unwrap();
    assert_eq!(pair.access.expires_in(), GRACE * 40);
}

/// A token lives for whole seconds, and less than one is left.
#[test]
fn in_its_last_moment_a_session_has_expired() {
    let lifetime = Duration::from_secs(1000);
    let service = Service::with(Policy::default().session_lifetime(lifetime));
    service.clock.advance(Duration::from_millis(700));
    let pair = service.start("u");
    service.clock.advance(lifetime - Duration::from_millis(500));
    let error = service.refresh(&pair).unwrap_err();
    assert!(
        matches!(error, RefreshError::Expired { idle: false }),
        "{error}"
    );
}

/// The application's panic is its own: whoever refreshes is told, and the store goes on.
#[test]
fn an_application_that_panics_harms_nobody() {
    let service = Arc::new(Service::on_redb());
    let pair = service.start("u");
    let refresh = service
        .authority
        .sessions()
        .refresh_with(&pair.refresh, |_| -> Grant { panic!("its own") });
    assert_eq!(refresh.wait().unwrap_err().label(), "store");
    service.clock.advance(GRACE);
    assert_eq!(service.outcome(&service.refresh(&pair).unwrap()), "good");
}

/// Whoever has the result of the last operation and drops the authority opens the file again.
#[test]
fn the_store_is_let_go_of_with_the_last_result() {
    let directory = tempfile::tempdir().unwrap();
    let secret = MasterSecret::generate().unwrap();
    let mut refresh = None;
    for turn in 0..60 {
        let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
        let builder = Authority::builder("https://issuer.test", "api");
        let authority = builder.master_secret(secret.clone()).open(store).unwrap();
        let sessions = authority.sessions();
        let pair = match (turn % 3, refresh) {
            (1 | 2, Some(token)) => sessions.refresh(token).wait().unwrap(),
            _ => sessions.start(Grant::user("u"), "").wait().unwrap(),
        };
        if turn % 5 == 0 {
            let id = pair.session.id();
            sessions.reauthenticated(id).wait().unwrap();
        }
        if turn % 7 == 0 {
            sessions.end_others(pair.session.id()).wait().unwrap();
        }
        refresh = Some(pair.refresh);
        drop(authority);
    }
}

/// A tab without a grant of its own is overtaken by one that has a grant of today.
#[test]
fn a_role_that_was_taken_away_is_not_brought_back_by_an_overtaken_refresh() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    let sessions = there.authority.sessions();
    let grant = Grant::user("u").group("admin").group("staff");
    let pair = there.finish(sessions.start(grant, "a device"));
    here.link.hold_commits();
    let overtaken = here.begin_refresh(&pair.refresh);
    let refresh = sessions.refresh_with(&pair.refresh, |_| Grant::user("u").group("staff"));
    there.finish(refresh);
    here.link.release();
    let pair = here.finish(overtaken);
    let verified = here.authority.verify(&pair.access).unwrap();
    assert_eq!(verified.groups().collect::<Vec<_>>(), ["staff"]);
}

/// A replay makes no commit whose place could be waited for: the token must not be sealed by a
/// replica that does not know yet what was bumped before the session began.
#[test]
fn a_replay_on_a_replica_that_is_behind_is_not_born_dead() {
    let fleet = Fleet::new();
    let (here, there) = fleet.two();
    here.end_all("u");
    let first = here.start("u");
    let next = here.refresh(&first);
    let again = loop {
        match there.try_refresh(&first.refresh) {
            Ok(pair) => break pair,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    assert_eq!(again.refresh.as_str(), next.refresh.as_str());
    for replica in [here, there] {
        replica.follow();
        assert_eq!(replica.outcome(&again), "good");
    }
}

/// The clocks of replicas may differ from the store's a little: who logs in where one is ahead
/// does not do so in the future of the others.
#[test]
fn a_log_in_where_the_clock_is_ahead_is_refreshed_elsewhere() {
    let fleet = Fleet::new();
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let ahead = fleet.replica_at(clock.clone(), Policy::default());
    let right = fleet.replica();
    let known = right.start("v");
    ahead.follow();
    clock.set_forward(2 * SECOND);
    let sessions = ahead.authority.sessions();
    let started = sessions.start(Grant::user("u"), "a device").wait().unwrap();
    let again = sessions.reauthenticated(known.session.id()).wait().unwrap();
    for (session, token) in [
        (&started.session, &started.refresh),
        (&again, &known.refresh),
    ] {
        assert_eq!(session.authenticated_at(), fleet.clock.now());
        let next = right.try_refresh(token).unwrap();
        assert_eq!(next.session.authenticated_at(), fleet.clock.now());
    }
    let first = ahead.authority.verify(&started.access).unwrap();
    assert_eq!(first.authenticated_at(), Some(fleet.clock.now()));
}

/// Whose clock answers decides when a session is over: one that differs too much is not believed.
#[test]
fn an_answer_of_another_time_is_no_answer() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let pair = replica.start("u");
    replica.follow();
    fleet.server.set_clock_ahead(3 * SECOND);
    let refused = replica.authority.sessions().refresh(&pair.refresh).wait();
    let cause = std::error::Error::source(&refused.unwrap_err())
        .unwrap()
        .to_string();
    assert!(cause.contains("max_clock_skew"), "{cause}");
    fleet.server.set_clock_ahead(2 * SECOND);
    replica.follow();
    replica.refresh(&pair);
}

/// Nobody could tell: the server's clock was ahead too. Tokens do not say so.
#[test]
fn a_log_in_from_the_future_goes_on() {
    let fleet = Fleet::new();
    fleet.clock.advance(HOUR);
    let pair = fleet.replica().start("u");
    let in_the_future = pair.session.authenticated_at();
    fleet.clock.rewind(HOUR);
    let replica = fleet.replica();
    let says = |pair: &TokenPair| {
        let verified = replica.authority.verify(&pair.access).unwrap();
        verified.authenticated_at().unwrap()
    };
    let next = replica.refresh(&pair);
    assert_eq!(says(&next), fleet.clock.now());
    fleet.advance(HOUR, &[&replica]);
    fleet.advance(SECOND, &[&replica]);
    let last = replica.refresh(&next);
    assert_eq!(says(&last), in_the_future);
}
