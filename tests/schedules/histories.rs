//! Ring and table replaced together, while others verify, recheck and issue.

use std::{sync::Arc, time::Duration};

use epochkey::{
    Authority, Grant, MasterSecret, Policy, Scope, VerifyError,
    testing::{self, FaultyStore, ManualClock},
};
use shuttle::rand::{Rng, thread_rng};

use crate::{
    explore::explore,
    world::{Cause, START, World, builder, join, name, spawn},
};

#[test]
fn a_new_history_ends_all_tokens_whoever_looks_at_them() {
    explore(|| {
        let world = World::new();
        let held = Arc::new(world.issue(0));
        let each = [true, false].map(|issues| (Arc::clone(&world), Arc::clone(&held), issues));
        let readers = spawn(each, |(world, held, issues)| {
            world.look_often(&held);
            if issues && let Some(held) = world.try_issue(0, &[]) {
                world.look_often(&held);
            }
        });
        world.bump(1);
        world.start_over();
        world.bump(0);
        join(readers);
        assert!(world.verify(&held).is_none());
        assert!(world.verify(&world.issue(0)).is_some());
    });
}

/// A replica that is behind takes a snapshot of the same history, with another one's bump in it.
#[test]
fn a_snapshot_ends_what_it_shows_as_bumped_and_nothing_else() {
    explore(|| {
        let fleet = Fleet::open(Policy::default());
        let world = World::of(fleet.ours.clone());
        let held = Arc::new([world.issue(0), world.issue(1)]);
        // The margin, within which they might have been issued after the bump.
        fleet.clock.advance(Duration::from_secs(6));
        testing::follow(&fleet.ours).unwrap();
        let each = [0, 1].map(|first| (Arc::clone(&world), Arc::clone(&held), first));
        let readers = spawn(each, |(world, held, first)| {
            world.look_often(&held[first]);
            world.look_often(&held[1 - first]);
        });
        world.end(Cause::User(0), || {
            fleet.bump_there(0);
            fleet.server.trim();
            testing::follow(&fleet.ours).unwrap();
        });
        join(readers);
    });
}

/// An hour old, a replica gets news in the middle of a verify, as events, as a snapshot or with a
/// new history: what was read before does not become fresh by that.
#[test]
fn news_that_comes_meanwhile_does_not_make_old_state_fresh() {
    const HOUR: Duration = Duration::from_secs(3600);
    explore(|| {
        let fleet = Fleet::open(Policy::default().token_lifetime(2 * HOUR));
        let token = fleet.ours.issue(Grant::user(name(0))).unwrap();
        let verified = fleet.ours.verify(&token).unwrap();
        fleet.bump_there(0);
        match thread_rng().gen_range(0..3) {
            0 => fleet.server.trim(),
            1 => drop(testing::finish(&fleet.theirs, fleet.theirs.start_over()).unwrap()),
            _ => {}
        }
        fleet.clock.advance(HOUR);
        let each = [true, false].map(|rechecks| {
            (
                fleet.ours.clone(),
                token.clone(),
                verified.clone(),
                rechecks,
            )
        });
        let readers = spawn(each, |(ours, token, verified, rechecks)| {
            let outcome = match rechecks {
                true => ours.recheck(&verified),
                false => ours.verify(&token).map(drop),
            };
            let refused = outcome.expect_err("it was revoked an hour ago");
            let expected = matches!(
                refused,
                VerifyError::StaleEpochs | VerifyError::Revoked { .. } | VerifyError::UnknownKey
            );
            assert!(expected, "{refused}");
        });
        testing::follow(&fleet.ours).unwrap();
        join(readers);
    });
}

/// Two replicas of one store.
struct Fleet {
    clock: ManualClock,
    server: FaultyStore,
    ours: Authority,
    theirs: Authority,
}

impl Fleet {
    fn open(policy: Policy) -> Self {
        let clock = ManualClock::at_unix_seconds(START);
        let server = FaultyStore::new(clock.clone());
        let secret = MasterSecret::from_bytes("0123456789abcdefghijklmnopqrstuv").unwrap();
        let open = |seed| {
            let builder = testing::known_secrets(builder(), [seed; 32]).clock(clock.clone());
            let builder = builder.policy(policy.clone().thread_caches(true));
            let builder = builder.master_secret(secret.clone());
            builder.open(server.connect()).unwrap()
        };
        let (ours, theirs) = (open(1), open(2));
        Self {
            clock,
            server,
            ours,
            theirs,
        }
    }

    fn bump_there(&self, user: usize) {
        testing::follow(&self.theirs).unwrap();
        let bump = self.theirs.bump(Scope::user(name(user)));
        testing::finish(&self.theirs, bump).unwrap();
    }
}
