//! Connections that break in the middle of a request, or of its answer.
//!
//! Whoever asked for a change is told an error then, and the change is made or not, as a whole
//! and for all alike.

use std::cell::Cell;

use epochkey::Token;

use super::{
    Change, Kind,
    fleet::{Fleet, Replica, assert_all_calm, assert_one_successor, settle, until, until_some},
};
use crate::network::{Proxy, Way};

/// Longer than any request or answer here.
const TOO_LONG: u64 = 64 * 1024;

/// What must have become of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Made,
    NotMade,
    Either,
}

/// A connection that will break after so many bytes of a request or of its answer.
struct Cut<'a> {
    proxy: &'a Proxy,
    marker: &'static str,
    decides: Option<&'static str>,
    way: Way,
    bytes: u64,
    /// Whether there are more for sure.
    is_short: bool,
    /// Whether there were so many.
    was_cut: Cell<bool>,
    acknowledged: Cell<bool>,
}

impl Cut<'_> {
    /// Asks for the change.
    fn during<T, E>(&self, ask: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self.way {
            Way::ToServer => self.proxy.cut_request(self.marker, self.bytes),
            Way::ToClient => self.proxy.cut_answer(self.marker, self.bytes),
        }
        let result = ask();
        self.was_cut.set(!self.proxy.cuts_pend());
        self.proxy.forget_cuts();
        self.acknowledged.set(result.is_ok());
        if self.is_short {
            assert!(result.is_err(), "acknowledged in {} bytes", self.bytes);
        }
        result
    }

    fn expected(&self) -> Expected {
        let carried = self.proxy.carried_before_cut();
        let has = |bytes: &str| {
            carried
                .windows(bytes.len())
                .any(|part| part == bytes.as_bytes())
        };
        match (self.way, self.decides.map(has)) {
            _ if !self.was_cut.get() => Expected::Either,
            (Way::ToServer, Some(false)) => Expected::NotMade,
            (Way::ToClient, Some(true)) => Expected::Made,
            (Way::ToServer, None) if self.is_short => Expected::NotMade,
            (Way::ToClient, None) if self.is_short => Expected::Made,
            _ => Expected::Either,
        }
    }

    #[track_caller]
    fn check(&self, acknowledged: bool, made: bool) {
        assert!(made || !acknowledged, "acknowledged, and not made");
        match self.expected() {
            Expected::Made => assert!(made, "not made after {} bytes", self.bytes),
            Expected::NotMade => assert!(!made, "made by {} bytes", self.bytes),
            Expected::Either => {}
        }
    }
}

/// Has the same change made again and again, and cuts the connection each time after another
/// byte: the first, the last, and some in between.
fn cut_everywhere<K: Kind>(
    proxy: &Proxy,
    change: Change,
    way: Way,
    mut attempt: impl FnMut(&Cut<'_>),
) {
    let mut try_at = |bytes: u64, is_short: bool| {
        let cut = Cut {
            proxy,
            marker: K::marker(change),
            decides: K::DECIDES,
            way,
            bytes,
            is_short,
            was_cut: Cell::new(false),
            acknowledged: Cell::new(false),
        };
        attempt(&cut);
        (cut.was_cut.get(), cut.acknowledged.get())
    };
    // On a slow machine it may fail before there is anything to cut.
    let mut is_cut_at = |bytes: u64, is_short: bool| {
        until_some("it is cut, or acknowledged", || {
            let (was_cut, acknowledged) = try_at(bytes, is_short);
            (was_cut || acknowledged).then_some(was_cut)
        })
    };
    let mut above = 1;
    while is_cut_at(above, false) {
        above *= 2;
        assert!(above < TOO_LONG, "nothing is marked");
    }
    let mut length = above / 2;
    while above - length > 1 {
        let middle = length.midpoint(above);
        match is_cut_at(middle, false) {
            true => length = middle,
            false => above = middle,
        }
    }
    // Numbers with more digits than before make it longer by some bytes.
    let whole = length - 8;
    for bytes in (0..=8).map(|part| whole * part / 8) {
        is_cut_at(bytes, true);
    }
    for bytes in length - 2..=length {
        is_cut_at(bytes, false);
    }
}

/// Waits until all replicas see it alike whether a token is revoked.
#[track_caller]
fn until_all_agree(replicas: &[Replica], token: &Token, made: impl Fn() -> bool) -> bool {
    let mut is_made = false;
    until("all agree", || {
        is_made = made();
        let wanted = if is_made { "revoked" } else { "good" };
        let mut outcomes = replicas.iter().map(|replica| replica.outcome(token));
        // Too young to be called revoked, it is refused all the same.
        outcomes.all(|outcome| outcome == wanted || (is_made && outcome == "stale_epochs"))
    });
    is_made
}

/// Of the log that was settled before and after a change was made or not, and once in between.
#[track_caller]
fn assert_positions(settled: [Option<u64>; 3], made: bool) {
    if let [Some(before), Some(_), Some(after)] = settled {
        assert_eq!(
            after - before,
            2 + u64::from(made),
            "each bump has one position"
        );
    }
}

pub(crate) fn a_bump_that_is_cut_is_made_for_all_or_for_nobody<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [broken, other, _] = &replicas;
    let mut users = 0;
    let mut attempt = |cut: &Cut<'_>| {
        users += 1;
        let user = &format!("u-{users}");
        let (token, pair) = (broken.issue(user), other.start(user));
        let before = settle(&replicas);
        let acknowledged = cut.during(|| broken.begin_bump(user).wait()).is_ok();
        let between = settle(&replicas);
        // The token and the row are revoked together, or neither is.
        let made = until_all_agree(&replicas, &token, || other.sessions(user) == 0);
        cut.check(acknowledged, made);
        assert_positions([before, between, settle(&replicas)], made);
        if !made {
            other.refresh(&pair.refresh);
        }
        let again = broken.bump(user);
        for replica in &replicas {
            replica.wait_for(again);
            assert_ne!(replica.outcome(&token), "good");
            assert_ne!(replica.outcome(&pair.access), "good");
        }
        assert_eq!(broken.refused(&pair.refresh), "ended");
    };
    for way in [Way::ToServer, Way::ToClient] {
        cut_everywhere::<K>(&broken.proxy, Change::BumpOfUser, way, &mut attempt);
    }
    assert_all_calm(&replicas);
}

/// Nobody has the tokens of a session whose start failed, but it may be there.
pub(crate) fn a_start_that_is_cut_leaves_at_most_a_row<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [broken, other] = &replicas;
    let mut users = 0;
    let mut attempt = |cut: &Cut<'_>| {
        users += 1;
        let user = &format!("u-{users}");
        let started = cut.during(|| broken.begin_start(user).wait());
        let acknowledged = started.is_ok();
        settle(&replicas);
        let rows = other.sessions(user);
        cut.check(acknowledged, rows == 1);
        let pair = started.unwrap_or_else(|_| broken.start(user));
        // Whoever had to try again may have more of them.
        assert!(other.sessions(user) >= rows + usize::from(!acknowledged));
        let next = other.refresh(&pair.refresh);
        for replica in &replicas {
            replica.until_good(&pair.access);
            replica.until_good(&next.access);
        }
        broken.bump(user);
        assert_eq!(other.sessions(user), 0);
        assert_eq!(other.refused(&next.refresh), "ended");
    };
    for way in [Way::ToServer, Way::ToClient] {
        cut_everywhere::<K>(&broken.proxy, Change::Start, way, &mut attempt);
    }
    assert_all_calm(&replicas);
}

/// A client that was told an error shows the same token again, wherever it is led.
pub(crate) fn a_refresh_that_is_cut_has_one_successor<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [broken, other] = &replicas;
    let mut pair = broken.start("u");
    let mut attempt = |cut: &Cut<'_>| {
        let shown = pair.refresh.clone();
        let sessions = broken.authority.sessions();
        let refreshed = cut.during(|| sessions.refresh(&shown).wait());
        if let Err(error) = &refreshed {
            assert!(error.is_transient(), "{error}");
        }
        let session = until_some("the session", || {
            let session = other.authority.sessions().get(pair.session.id());
            session.wait().ok()
        });
        let rotated = session.unwrap().last_used_at() > pair.session.last_used_at();
        cut.check(refreshed.is_ok(), rotated);
        let next = other.refresh(&shown);
        assert_one_successor(&broken.refresh(&shown), &next);
        if let Ok(first) = &refreshed {
            assert_one_successor(first, &next);
        }
        for replica in &replicas {
            replica.until_good(&next.access);
        }
        pair = next;
    };
    for way in [Way::ToServer, Way::ToClient] {
        cut_everywhere::<K>(&broken.proxy, Change::Refresh, way, &mut attempt);
    }
    assert_all_calm(&replicas);
}

pub(crate) fn an_end_that_is_cut_ends_all_or_nothing<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [broken, other] = &replicas;
    let bystander = other.start("u");
    let mut attempt = |cut: &Cut<'_>| {
        let pair = broken.start("u");
        other.until_good(&pair.access);
        let before = settle(&replicas);
        let sessions = broken.authority.sessions();
        let ended = cut.during(|| sessions.end(pair.session.id()).wait());
        let between = settle(&replicas);
        // That one: whoever had to try again may have more of them.
        let is_ended = || {
            until_some("the session", || {
                let session = other.authority.sessions().get(pair.session.id());
                session.wait().ok().map(|session| session.is_none())
            })
        };
        let made = until_all_agree(&replicas, &pair.access, is_ended);
        cut.check(ended.is_ok(), made);
        assert_positions([before, between, settle(&replicas)], made);
        until("it is ended", || {
            let again = other.authority.sessions().end(pair.session.id());
            again.wait().is_ok()
        });
        assert_eq!(broken.refused(&pair.refresh), "ended");
        settle(&replicas);
        for replica in &replicas {
            assert_ne!(replica.outcome(&pair.access), "good");
            replica.until_good(&bystander.access);
        }
    };
    for way in [Way::ToServer, Way::ToClient] {
        cut_everywhere::<K>(&broken.proxy, Change::End, way, &mut attempt);
    }
    assert_all_calm(&replicas);
}

/// Whatever is under way: news, what is said when a connection is made, commits.
pub(crate) fn connections_cut_at_any_byte_are_made_again<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [broken, other] = &replicas;
    let bystander = broken.issue("bystander");
    for round in 0..24 {
        let user = &format!("u-{round}");
        let token = other.issue(user);
        for way in [Way::ToServer, Way::ToClient] {
            broken.proxy.cut_after_bytes(way, 2 * round * round);
        }
        let epoch = broken.bump(user);
        let started = broken.start(user);
        other.wait_for(epoch);
        for replica in &replicas {
            assert_ne!(replica.outcome(&token), "good");
            replica.until_good(&started.access);
            replica.until_good(&bystander);
        }
    }
    assert_all_calm(&replicas);
}
