//! A bump that runs while something else does, in another process.
//!
//! Each replica stands for a process: they share nothing but the store. A file is for one process
//! alone, and who comes second is refused (`tests/kill/in_use.rs`).

use epochkey::{
    Grant, Scope,
    testing::{self, FaultyStore},
};

use crate::fleet::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    IssueHere,
    FollowHere,
    ReleaseThere,
    FollowThere,
}

/// All orders of the four steps.
fn orders() -> impl Iterator<Item = Vec<Step>> {
    (0..24).map(|number| {
        let mut left = vec![
            Step::IssueHere,
            Step::FollowHere,
            Step::ReleaseThere,
            Step::FollowThere,
        ];
        let places = [number / 6, number / 2 % 3, number % 2, 0];
        places.map(|place| left.remove(place)).to_vec()
    })
}

/// A token sealed by a process that has not heard of the bump: if it passes later, nothing
/// revokes it any more. In every order it is dead, or was issued after the bump had come here;
/// and another bump kills it then. `tests/simulation` has the orders of everything else.
#[test]
fn case_05_a_token_is_before_a_bump_elsewhere_or_after_it() {
    in_every_order(FaultyStore::hold_commits);
}

/// The same while whoever bumps has not been told that the store has kept it.
#[test]
fn case_05_a_token_is_before_a_bump_or_after_it_whoever_knows() {
    in_every_order(FaultyStore::hold_answers);
}

fn in_every_order(hold: fn(&FaultyStore)) {
    for order in orders() {
        let fleet = Fleet::new();
        let (here, there) = (fleet.replica(), fleet.replica());
        hold(&there.link);
        let bump = there.authority.bump(Scope::user("u"));
        let (mut token, mut is_after) = (None, false);
        for step in &order {
            match step {
                Step::IssueHere => {
                    token = Some(here.issue("u"));
                    is_after = here.position() > 1;
                }
                Step::FollowHere => here.follow().unwrap(),
                Step::ReleaseThere => there.link.release(),
                Step::FollowThere => there.follow().unwrap(),
            }
            if let Some(token) = &token
                && here.position() > 1
            {
                assert_eq!(here.outcome(token) == "good", is_after, "{order:?}");
            }
        }
        there.finish(bump);
        let (token, replicas) = (token.unwrap(), [here, there]);
        settle(&replicas);
        for replica in &replicas {
            assert_eq!(replica.outcome(&token) == "good", is_after, "{order:?}");
        }
        replicas[1].bump("u");
        settle(&replicas);
        for replica in &replicas {
            assert_ne!(replica.outcome(&token), "good", "{order:?}");
        }
    }
}

/// Between the bump and its news, each process answers by what it knows, and none forgets.
#[test]
fn case_05_a_token_of_a_process_that_is_behind() {
    let fleet = Fleet::new();
    let (behind, ahead) = (fleet.replica(), fleet.replica());
    ahead.bump("u");
    let token = behind.issue("u");
    assert_eq!(behind.outcome(&token), "good", "the news is on its way");
    assert_ne!(ahead.outcome(&token), "good");
    for _ in 0..3 {
        fleet.clock.advance(secs(6));
        behind.follow().unwrap();
        ahead.follow().unwrap();
        assert_eq!(behind.outcome(&token), "revoked");
        assert_eq!(ahead.outcome(&token), "revoked");
    }
    let after = behind.issue("u");
    assert_eq!(ahead.outcome(&after), "good");
}

/// The password was checked, then changed, with a bump; and then the log-in that checked the old
/// one gets its token, sealed with the new epoch. It took a mark before it looked.
#[test]
fn case_06_a_password_checked_before_the_bump() {
    for is_pruned in [false, true] {
        let fleet = Fleet::new();
        let (here, there) = (fleet.replica(), fleet.replica());
        let mark = here.authority.mark();
        there.bump("u");
        if is_pruned {
            there.finish(there.authority.swap_key());
        }
        here.follow().unwrap();
        let refused = here.authority.issue(Grant::user("u").as_of(mark));
        let expected = match is_pruned {
            true => "outdated_mark",
            false => "bumped_since_mark",
        };
        assert_eq!(refused.unwrap_err().label(), expected);
        let mark = here.authority.mark();
        let issued = here.authority.issue(Grant::user("u").as_of(mark));
        assert_eq!(here.outcome(&issued.unwrap()), "good");
    }
}

/// The cache is filled by a query that began before the bump and comes back after it: the old
/// state takes the place of the new one. `src/authority/verify.rs` has the same within `verify`.
#[test]
fn case_06_a_snapshot_read_before_the_bump() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let token = here.issue("u");
    let before = fleet.server.back_up();
    fleet.clock.advance(secs(6));
    there.bump("u");
    here.follow().unwrap();
    assert_eq!(here.outcome(&token), "revoked");
    there.bump("v");
    fleet.server.trim();
    here.link.lag_in_snapshots_at(&before);
    assert_eq!(here.follow().unwrap_err().label(), "old_snapshot");
    assert_eq!(here.outcome(&token), "revoked");
    here.link.mend();
    here.follow().unwrap();
    assert_eq!(here.outcome(&token), "revoked");
}

/// The same in a process that only starts: who asks whether the bump is in force everywhere must
/// not be told so while the old state is on its way there.
#[test]
fn case_06_a_process_that_starts_during_the_bump() {
    let fleet = Fleet::new();
    let there = fleet.replica();
    let token = there.issue("u");
    let before = fleet.server.back_up();
    fleet.clock.advance(secs(6));
    let epoch = there.bump("u");
    let link = fleet.server.connect();
    link.lag_in_snapshots_at(&before);
    link.cut_after_reads(1);
    assert!(fleet.builder().open(link.clone()).is_err());
    let behind = there.finish(there.authority.replicas_behind(epoch));
    assert_eq!(
        behind.len(),
        1,
        "it has announced itself, and knows nothing"
    );
    link.mend();
    link.lag_in_snapshots_at(&before);
    let here = fleet.builder().open(link).unwrap();
    assert_eq!(here.verify(&token).unwrap_err().label(), "revoked");
}

/// A refresh has rotated its session when the user is bumped, and seals only when this replica
/// has heard of both: with the new epoch, the token of an ended session would live.
/// `tests/sessions/findings.rs` has the other ways.
#[test]
fn case_06_a_refresh_that_read_its_session_before_the_bump() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.replica(), fleet.replica());
    let sessions = here.authority.sessions();
    let pair = here.finish(sessions.start(Grant::user("u"), "a device"));
    there.bump("somebody else");
    let refresh = sessions.refresh(&pair.refresh);
    there.bump("u");
    // So that both come at once, by a snapshot.
    fleet.server.trim();
    let refused = testing::finish(&here.authority, refresh).unwrap_err();
    assert_eq!(refused.label(), "try_again");
    let again = testing::finish(&here.authority, sessions.refresh(&pair.refresh));
    assert_eq!(again.unwrap_err().label(), "ended");
    assert_ne!(here.outcome(&pair.access), "good");
}
