//! What must hold of a disk after the power was lost.

use std::fmt::Debug;

use epochkey::{Grant, RedbStore, Scope, testing::ManualClock};

use crate::{
    crash::{self, Unsynced},
    disk::Disk,
    random::Random,
    recorder::{Checkpoint, Kept},
    workload::{self, Issued, Recorded, is_accepted},
};

pub(crate) fn open(disk: &Disk) -> RedbStore {
    let disk = disk.clone();
    let store = RedbStore::open_on(move || Ok(disk.clone()));
    store.expect("a store that lost its power can be opened")
}

/// The power is lost at a moment, and sometimes again while the store is opened after that.
/// Gives the store in the end, and what was seen in it.
pub(crate) fn lose_power<T: PartialEq + Debug>(
    disk: &Disk,
    moment: usize,
    random: &mut Random,
    look: impl Fn(&RedbStore) -> T,
) -> (Disk, RedbStore, T) {
    let mut image = crash::image(disk, moment, Unsynced::choose(random));
    let mut seen = None;
    for _ in 0..[0, 0, 1, 1, 2][random.below(5)] {
        let disk = Disk::of(image);
        let store = open(&disk);
        let (found, opened) = (look(&store), disk.moment());
        drop(store);
        let again = random.between(0, disk.moment() as u64) as usize;
        if let Some(seen) = &seen {
            assert_eq!(seen, &found, "what was seen stays");
        }
        // Whoever had the store opened has seen this much.
        if again >= opened {
            seen = Some(found);
        }
        image = crash::image(&disk, again, Unsynced::choose(random));
    }
    let disk = Disk::of(image);
    let store = open(&disk);
    let found = look(&store);
    if let Some(seen) = seen {
        assert_eq!(seen, found, "what was seen stays");
    }
    (disk, store, found)
}

/// The same of changes made one after the other; then all that is known is looked at.
pub(crate) fn lose_power_and_check(recorded: &Recorded, moment: usize, random: &mut Random) {
    let look = |store: &RedbStore| checkpoint_found(recorded, store, moment);
    let (disk, store, found) = lose_power(&recorded.disk, moment, random, look);
    go_on(recorded, found, disk, store, random);
}

/// The checkpoint that the store is at: the last one that was acknowledged, or the one that
/// was under way, and nothing else.
fn checkpoint_found(recorded: &Recorded, store: &RedbStore, moment: usize) -> usize {
    let checkpoints = &recorded.checkpoints;
    let acknowledged = checkpoints.partition_point(|checkpoint| checkpoint.done <= moment) - 1;
    let is_at = |checkpoint: &Checkpoint| {
        let kept = Kept::of(store, &checkpoint.kept.places()).unwrap();
        kept == checkpoint.kept
    };
    if is_at(&checkpoints[acknowledged]) {
        return acknowledged;
    }
    let under_way = checkpoints.get(acknowledged + 1);
    if under_way.is_some_and(|next| next.begun < moment && is_at(next)) {
        return acknowledged + 1;
    }
    panic!(
        "at moment {moment} of {}, after {:?}, before {:?}, the store holds {:?}",
        recorded.disk.moment(),
        checkpoints[acknowledged],
        under_way,
        Kept::of(store, &[]),
    );
}

/// What was revoked is refused, what was not is good, and a bump works as ever.
fn go_on(recorded: &Recorded, found: usize, disk: Disk, store: RedbStore, random: &mut Random) {
    let time = recorded.time(found);
    let clock = ManualClock::at_unix_seconds(time);
    let builder = || workload::builder(&recorded.secret, &clock);
    let authority = builder().open(store).unwrap();
    let issued = recorded
        .tokens
        .iter()
        .filter(|issued| issued.since <= found);
    let issued: Vec<&Issued> = issued.collect();
    for issued in &issued {
        let is_good = issued.is_good(found, time);
        assert_eq!(is_accepted(&authority, &issued.token), is_good, "a token");
    }
    let fresh = authority.issue(Grant::user("u-fresh")).unwrap();
    let good = issued.iter().filter(|issued| issued.is_good(found, time));
    let good: Vec<&&Issued> = good.collect();
    let user = match good.is_empty() {
        true => Scope::user("u-fresh"),
        false => random.pick(&good).user().clone(),
    };
    authority.bump(user.clone()).wait().unwrap();
    let bumped = disk.moment();
    let check = |authority| {
        for issued in &good {
            assert_eq!(is_accepted(authority, &issued.token), !issued.has(&user));
        }
        assert_eq!(is_accepted(authority, &fresh), !good.is_empty());
    };
    check(&authority);
    if random.chance(25) {
        let image = crash::image(&disk, bumped, Unsynced::choose(random));
        check(&builder().open(open(&Disk::of(image))).unwrap());
    }
}
