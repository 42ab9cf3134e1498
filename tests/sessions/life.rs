//! A session from its beginning to its end.

use std::{thread, time::Duration};

use epochkey::{Grant, Policy, RefreshError, Scope, StartError, WhenFull};

use crate::support::{DAY, GRACE, SECOND, Service};

#[test]
fn it_lives_as_long_as_it_is_used() {
    for service in [Service::new(), Service::on_redb()] {
        let mut pair = service.start("u");
        let first = service.authority.verify(&pair.access).unwrap();
        assert_eq!(
            first.session().unwrap().as_str(),
            pair.session.id().as_str()
        );
        for _ in 0..80 {
            service.clock.advance(DAY);
            pair = loop {
                match service.refresh(&pair) {
                    Ok(next) => break next,
                    // Keys that are a day apart come and go within one refresh here.
                    Err(RefreshError::TryAgain) => {}
                    Err(error) => panic!("{error}"),
                }
            };
            let verified = service.authority.verify(&pair.access).unwrap();
            assert_eq!(verified.user(), "u");
            assert_eq!(verified.authenticated_at(), first.authenticated_at());
        }
        assert_eq!(service.labels("u"), ["a device"]);
        service.clock.advance(10 * DAY);
        let error = service.refresh(&pair).unwrap_err();
        assert!(
            matches!(error, RefreshError::Expired { idle: false }),
            "{error}"
        );
        assert!(service.labels("u").is_empty());
    }
}

#[test]
fn it_ends_when_it_is_not_used() {
    let service = Service::new();
    let pair = service.start("u");
    service.clock.advance(14 * DAY - SECOND);
    let pair = service.refresh(&pair).unwrap();
    service.clock.advance(14 * DAY);
    let error = service.refresh(&pair).unwrap_err();
    assert!(
        matches!(error, RefreshError::Expired { idle: true }),
        "{error}"
    );
}

/// An access token never outlives its session.
#[test]
fn its_tokens_end_with_it() {
    let service = Service::with(Policy::default().session_lifetime(Duration::from_secs(1000)));
    let pair = service.start("u");
    assert_eq!(pair.access.expires_in(), Duration::from_secs(900));
    service.clock.advance(Duration::from_secs(990));
    let pair = service.refresh(&pair).unwrap();
    assert_eq!(pair.access.expires_in(), Duration::from_secs(10));
}

#[test]
fn ending_one_leaves_the_others() {
    for service in [Service::new(), Service::on_redb()] {
        let (phone, laptop, other) = (service.start("u"), service.start("u"), service.start("v"));
        service
            .authority
            .sessions()
            .end(phone.session.id())
            .wait()
            .unwrap();
        assert_eq!(service.outcome(&phone), "revoked");
        assert_eq!(service.refused(&phone), "ended");
        for pair in [&laptop, &other] {
            assert_eq!(service.outcome(pair), "good");
            service.refresh(pair).unwrap();
        }
        service
            .authority
            .sessions()
            .end(phone.session.id())
            .wait()
            .unwrap();
        service.authority.sessions().end_all("u").wait().unwrap();
        assert_eq!(service.outcome(&laptop), "revoked");
        assert_eq!(service.refused(&laptop), "ended");
        assert_eq!(service.outcome(&other), "good");
    }
}

/// To bump a session or its user is to end it.
#[test]
fn a_bump_ends_the_rows() {
    for service in [Service::new(), Service::on_redb()] {
        let (one, two) = (service.start("u"), service.start("u"));
        service
            .authority
            .bump(Scope::session(one.session.id()))
            .wait()
            .unwrap();
        assert_eq!(service.refused(&one), "ended");
        assert_eq!(service.labels("u").len(), 1);
        let scopes = [Scope::user("w"), Scope::user("u")];
        service.authority.bump_many(scopes).wait().unwrap();
        assert_eq!(service.refused(&two), "ended");
        assert!(service.labels("u").is_empty());
    }
}

#[test]
fn the_others_end_and_one_goes_on() {
    for service in [Service::new(), Service::on_redb()] {
        let pairs = [(); 4].map(|()| service.start("u"));
        let kept = &pairs[2];
        service
            .authority
            .sessions()
            .end_others(kept.session.id())
            .wait()
            .unwrap();
        for (index, pair) in pairs.iter().enumerate().filter(|(index, _)| *index != 2) {
            assert_eq!(service.outcome(pair), "revoked", "session {index}");
            assert_eq!(service.refused(pair), "ended", "session {index}");
        }
        assert_eq!(service.outcome(kept), "good");
        let next = service.refresh(kept).unwrap();
        assert_eq!(service.outcome(&next), "good");
        let gone = service
            .authority
            .sessions()
            .end_others(pairs[0].session.id())
            .wait();
        assert_eq!(gone.unwrap_err().label(), "ended");
    }
}

#[test]
fn a_role_that_was_taken_away_is_gone_at_the_next_refresh() {
    let service = Service::new();
    let sessions = service.authority.sessions();
    let grant = Grant::user("u").group("admin").group("staff");
    let pair = sessions.start(grant, "a device").wait().unwrap();
    let pair = sessions.refresh_with(&pair.refresh, |session| {
        assert_eq!(session.groups().collect::<Vec<_>>(), ["admin", "staff"]);
        Grant::user("somebody else").group("staff")
    });
    let pair = pair.wait().unwrap();
    let verified = service.authority.verify(&pair.access).unwrap();
    assert_eq!((verified.user(), verified.groups().count()), ("u", 1));
    let pair = service.refresh(&pair).unwrap();
    let verified = service.authority.verify(&pair.access).unwrap();
    assert_eq!(verified.groups().collect::<Vec<_>>(), ["staff"]);
    assert_eq!(
        verified.session().unwrap().as_str(),
        pair.session.id().as_str()
    );
}

/// As of a user who was deleted.
#[test]
fn without_a_grant_the_session_ends() {
    let service = Service::new();
    let pair = service.start("u");
    let sessions = service.authority.sessions();
    let refused = sessions.refresh_with(&pair.refresh, |_| None).wait();
    let error = refused.unwrap_err();
    assert!(matches!(error, RefreshError::Ended) && error.needs_log_in());
    assert_eq!(service.outcome(&pair), "revoked");
    assert_eq!(service.refused(&pair), "ended");
    assert!(service.seen.reused.lock().unwrap().is_empty());
}

/// A group's bump kills access tokens only.
#[test]
fn a_bumped_group_comes_back_with_the_next_refresh() {
    let service = Service::new();
    let grant = Grant::user("u").group("org:acme");
    let pair = service
        .authority
        .sessions()
        .start(grant, "a device")
        .wait()
        .unwrap();
    service
        .authority
        .bump(Scope::group("org:acme"))
        .wait()
        .unwrap();
    assert_eq!(service.outcome(&pair), "revoked");
    assert_eq!(service.outcome(&service.refresh(&pair).unwrap()), "good");
}

/// After an emergency nobody types a password.
#[test]
fn a_swap_leaves_refresh_tokens() {
    let service = Service::new();
    let pair = service.start("u");
    service.authority.swap_key().wait().unwrap();
    assert_eq!(service.outcome(&pair), "unknown_key");
    assert_eq!(service.outcome(&service.refresh(&pair).unwrap()), "good");
}

#[test]
fn a_new_history_ends_all_sessions() {
    let service = Service::on_redb();
    let pair = service.start("u");
    service.authority.restored_from_backup().wait().unwrap();
    assert_eq!(service.refused(&pair), "bad_tag");
    assert!(service.labels("u").is_empty());
}

#[test]
fn there_is_a_limit_to_the_sessions_of_a_user() {
    let service = Service::with(Policy::default().max_sessions(3, WhenFull::EndOldest));
    let pairs: Vec<_> = (0..5)
        .map(|_| {
            service.clock.advance(SECOND);
            service.start("u")
        })
        .collect();
    let outcomes: Vec<_> = pairs.iter().map(|pair| service.outcome(pair)).collect();
    assert_eq!(outcomes, ["revoked", "revoked", "good", "good", "good"]);
    assert_eq!(service.refused(&pairs[1]), "ended");
    assert_eq!(service.labels("u").len(), 3);

    let service = Service::with(Policy::default().max_sessions(2, WhenFull::Refuse));
    let first = service.start("u");
    service.start("u");
    let refused = service
        .authority
        .sessions()
        .start(Grant::user("u"), "")
        .wait();
    assert!(matches!(
        refused,
        Err(StartError::TooManySessions { limit: 2 })
    ));
    service
        .authority
        .sessions()
        .end(first.session.id())
        .wait()
        .unwrap();
    service.start("u");
    service.start("v");
}

/// However many start at once.
#[test]
fn the_limit_holds_for_log_ins_at_the_same_time() {
    let service = Service::with(Policy::default().max_sessions(5, WhenFull::EndOldest));
    let pairs: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let sessions = service.authority.sessions();
                    match sessions.start(Grant::user("u"), "a device").wait() {
                        Ok(pair) => Some(pair),
                        // Ended by the others before anybody had its tokens.
                        Err(StartError::BumpedMeanwhile) => None,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(service.labels("u").len(), 5);
    let good = pairs.iter().filter(|pair| service.outcome(pair) == "good");
    assert_eq!(good.count(), 5);
}

#[test]
fn who_proves_again_who_they_are_gets_tokens_that_say_so() {
    let service = Service::new();
    let pair = service.start("u");
    service.clock.advance(Duration::from_secs(500));
    let minute = Duration::from_secs(60);
    let old = service.authority.verify(&pair.access).unwrap();
    assert!(!old.authenticated_within(minute));
    let sessions = service.authority.sessions();
    let session = sessions.reauthenticated(pair.session.id()).wait().unwrap();
    assert!(session.authenticated_at() > pair.session.authenticated_at());
    let next = service.refresh(&pair).unwrap();
    let next = service.authority.verify(&next.access).unwrap();
    assert!(next.authenticated_within(minute));
    assert_eq!(next.authenticated_at(), Some(session.authenticated_at()));
    let unknown = epochkey::SessionId::generate().unwrap();
    let refused = service
        .authority
        .sessions()
        .reauthenticated(&unknown)
        .wait();
    assert_eq!(refused.unwrap_err().label(), "ended");
}

#[test]
fn a_session_is_shown_as_it_is() {
    let service = Service::new();
    let pair = service.start("u");
    service.clock.advance(GRACE);
    service.refresh(&pair).unwrap();
    let session = service
        .authority
        .sessions()
        .get(pair.session.id())
        .wait()
        .unwrap()
        .unwrap();
    assert_eq!((session.user(), session.label()), ("u", "a device"));
    let since = session.last_used_at().duration_since(session.created_at());
    assert_eq!(since.unwrap(), GRACE);
    assert_eq!(
        session
            .expires_at()
            .duration_since(session.last_used_at())
            .unwrap(),
        14 * DAY
    );
    assert_eq!(
        session
            .ends_at()
            .duration_since(session.created_at())
            .unwrap(),
        90 * DAY
    );
    let unknown = "not made here".parse().unwrap();
    assert_eq!(
        service.authority.sessions().get(&unknown).wait().unwrap(),
        None
    );
}
