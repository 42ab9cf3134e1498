//! A feed of news that looks alive. What else it may tell is in `tests/deceived`, and a store of
//! one's own is held to the contract by `testing::store_contract`.

use epochkey::{Scope, testing};

use crate::fleet::*;

/// A subscription whose connection hangs reports no error, so "no error" is not "no news". The
/// age of the last exchange decides, by the reader's own clock, and nobody has to notice first.
#[test]
fn case_10_a_feed_that_never_answers() {
    let fleet = Fleet::new();
    let (hanging, other) = (fleet.replica(), fleet.replica());
    let token = hanging.issue("u");
    other.bump("u");
    fleet.clock.advance(secs(10));
    assert_eq!(hanging.outcome(&token), "good", "as old as it may be");
    fleet.clock.advance(secs(1));
    hanging.assert_refuses_everything(&token);
    hanging.follow().unwrap();
    assert_eq!(hanging.outcome(&token), "revoked");
}

/// Each exchange succeeds, at once and with "nothing new", from a standby that stands still.
#[test]
fn case_10_a_standby_that_repeats_the_past() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let token = here.issue("u");
    here.link.lag();
    there.bump("u");
    assert!(here.follow().is_ok());
    for second in 1..60 {
        fleet.clock.advance(secs(1));
        let _ = here.follow();
        assert!(second <= 10 || here.is_stale());
        assert_eq!(here.is_stale(), here.outcome(&token) != "good");
    }
    here.assert_refuses_everything(&token);
    here.link.mend();
    here.follow().unwrap();
    assert_eq!(here.outcome(&token), "revoked");
}

/// Some news comes with each exchange, and the end of the log with none: a reader that takes any
/// answer for fresh lags behind for ever.
#[test]
fn case_10_a_feed_that_delivers_only_the_beginning() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let token = here.issue("u");
    let mut scopes: Vec<_> = (0..50_000).map(|n| Scope::user(n.to_string())).collect();
    scopes.push(Scope::user("u"));
    there.finish(there.authority.bump_many(scopes));
    for second in 0..10 {
        fleet.clock.advance(secs(2));
        let before = here.position();
        here.link.cut_after_reads(1);
        assert!(here.follow().is_err());
        here.link.mend();
        assert!(here.position() > before, "it is told something");
        assert!(second < 5 || here.is_stale());
    }
    here.assert_refuses_everything(&token);
}

/// The bump reaches the primary, and what is read comes from elsewhere: "acknowledged" is not "in
/// force here", and the caller is not told so.
#[test]
fn case_10_a_bump_whose_news_does_not_come_back() {
    let fleet = Fleet::new();
    let here = fleet.replica();
    let token = here.issue("u");
    here.link.lag();
    let bump = here.authority.bump(Scope::user("u"));
    let failed = testing::finish(&here.authority, bump).unwrap_err();
    assert_eq!(failed.label(), "store");
    here.assert_refuses_everything(&token);
    here.link.mend();
    here.follow().unwrap();
    fleet.clock.advance(secs(6));
    here.follow().unwrap();
    assert_eq!(here.outcome(&token), "revoked", "it was kept all the same");
}

/// Nor is a bump said to be in force everywhere before the one that hears nothing refuses.
#[test]
fn case_10_in_force_everywhere_waits_for_who_hears_nothing() {
    let fleet = Fleet::new();
    let (deaf, there) = (fleet.replica(), fleet.replica());
    let token = deaf.issue("u");
    deaf.link.cut();
    let epoch = there.bump("u");
    let everywhere = there.authority.applied_everywhere(epoch);
    for _ in 0..30 {
        there.follow().unwrap();
        assert!(deaf.outcome(&token) != "good" || format!("{everywhere:?}") == "Op(running)");
        fleet.clock.advance(secs(1));
    }
    let silent = testing::finish(&there.authority, everywhere).unwrap();
    assert_eq!(silent.len(), 1);
    deaf.assert_refuses_everything(&token);
}
