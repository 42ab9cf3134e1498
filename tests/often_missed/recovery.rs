//! A crash while a crash is made good, and stores that come back as they were.

use std::{fs, sync::Arc};

use epochkey::{
    Authority, Epoch, Grant, MasterSecret, RedbStore, Scope, Store, Token, store::StoreTime,
    testing,
};

use crate::{
    crash::{self, Unsynced},
    disk::Disk,
    dying::Dying,
    fleet::*,
    random::Random,
};

/// A service on a store in one file, and two tokens: the first is revoked.
struct Service {
    secret: MasterSecret,
    authority: Authority,
    revoked: Token,
    honest: Token,
}

impl Service {
    fn on(store: impl Store) -> Self {
        let secret = MasterSecret::generate().unwrap();
        let authority = open(&secret, store);
        let issue = |user| authority.issue(Grant::user(user)).unwrap();
        let (revoked, honest) = (issue("u"), issue("v"));
        testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
        Self {
            secret,
            authority,
            revoked,
            honest,
        }
    }

    /// What was acknowledged holds for an authority that is opened on this store.
    #[track_caller]
    fn assert_kept(&self, store: impl Store) {
        let authority = open(&self.secret, store);
        assert_eq!(label(&authority, &self.revoked), "revoked");
        assert_eq!(label(&authority, &self.honest), "good");
    }
}

fn open(secret: &MasterSecret, store: impl Store) -> Authority {
    let builder = testing::by_hand(Authority::builder("i", "a"));
    builder.master_secret(secret.clone()).open(store).unwrap()
}

fn label(authority: &Authority, token: &Token) -> &'static str {
    let verified = authority.verify(token);
    verified.map_or_else(|error| error.label(), |_| "good")
}

fn store_on(disk: &Disk) -> RedbStore {
    let disk = disk.clone();
    RedbStore::open_on(move || Ok(disk.clone())).unwrap()
}

/// What the disk may hold if the power is lost at this moment.
fn crashes_at(disk: &Disk, moment: usize) -> impl Iterator<Item = Disk> {
    let some = Unsynced::Some(Random::new(moment as u64));
    let unsynced = [Unsynced::Lost, Unsynced::Kept, some];
    unsynced
        .map(|unsynced| Disk::of(crash::image(disk, moment, unsynced)))
        .into_iter()
}

/// A file in use is copied, by a backup or by the death of the process: the repair takes it back
/// to its last commit, not to the one before.
#[test]
fn case_07_a_file_copied_at_an_instant() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (
        directory.path().join("auth.redb"),
        directory.path().join("copy"),
    );
    let service = Service::on(RedbStore::open(&path).unwrap());
    fs::copy(&path, &copy).unwrap();
    for _ in 0..2 {
        service.assert_kept(RedbStore::open(&copy).unwrap());
    }
    assert_eq!(label(&service.authority, &service.revoked), "revoked");
}

/// Tests of recovery crash once. Here the repair is cut short too, at each of its steps, and the
/// next one must do with what is left. `tests/power` does so at random, with much more in the file.
#[test]
fn case_07_a_crash_during_the_repair_of_a_file() {
    let disk = Disk::default();
    let service = Service::on(store_on(&disk));
    for crashed in crashes_at(&disk, disk.moment()) {
        let repaired = store_on(&crashed);
        let steps = crashed.moment();
        assert!(steps > 0, "there is something to repair");
        drop(repaired);
        for moment in 0..=steps {
            for again in crashes_at(&crashed, moment) {
                service.assert_kept(store_on(&again));
            }
        }
    }
}

/// A replica has noticed a loss and dies before the others know, at each request of what it does
/// about it. Whoever is left answers the loss if it has not been, and nothing comes back.
#[test]
fn case_07_a_crash_during_the_answer_to_a_loss() {
    for is_last_done in [false, true] {
        let died = (0..).take_while(|requests| die_in_the_answer(*requests, is_last_done));
        // News, a snapshot, a new history, and what follows that: news, a snapshot, news.
        assert_eq!(died.count(), 6);
    }
}

/// Whether it needed so many requests and one more.
fn die_in_the_answer(requests: usize, is_last_done: bool) -> bool {
    let fleet = Fleet::new();
    let store = Arc::new(Dying::on(fleet.server.connect(), is_last_done));
    let noticing = fleet.builder().open(Arc::clone(&store)).unwrap();
    let revoked = noticing.issue(Grant::user("u")).unwrap();
    testing::finish(&noticing, noticing.bump(Scope::user("u"))).unwrap();
    let theirs = fleet.replica();
    fleet.server.lose_last(1);
    store.dies_after(requests);
    let followed = testing::follow(&noticing);
    let has_died = store.is_dead();
    assert_eq!(followed.is_err(), has_died);
    drop(noticing);
    let replicas = [theirs, fleet.replica()];
    settle(&replicas);
    for replica in &replicas {
        assert_eq!(replica.outcome(&revoked), "unknown_key");
    }
    let snapshot = fleet.server.snapshot(StoreTime::default(), &mut |_| {});
    let predecessors = snapshot.unwrap().value.unwrap().predecessors;
    assert_eq!(predecessors.len(), 1, "begun anew more than once");
    has_died
}

/// A backup is put in place under a running service: every position in it is one that was there,
/// so a reader that compares positions alone goes on from the past.
#[test]
fn case_07_an_old_backup_under_a_witness() {
    let fleet = Fleet::new();
    let witness = fleet.replica();
    let (revoked, backup) = (witness.issue("u"), fleet.server.back_up());
    witness.bump("u");
    let sealed_since = witness.issue("u");
    fleet.server.restore(&backup);
    let replicas = [fleet.replica(), witness];
    settle(&replicas);
    for replica in &replicas {
        assert_eq!(replica.outcome(&revoked), "unknown_key");
        assert_eq!(replica.outcome(&sealed_since), "unknown_key");
        assert_eq!(replica.outcome(&replicas[0].issue("u")), "good");
    }
}

/// With nobody there to notice, what the backup does not know of is undone: the operator must say
/// so, and what they have said survives a crash, or was not confirmed and can be said again.
#[test]
fn case_07_an_old_backup_without_a_witness() {
    let disk = Disk::default();
    let Service {
        secret,
        authority,
        honest,
        ..
    } = Service::on(store_on(&disk));
    drop(authority);
    let backup = Disk::of(crash::image(&disk, disk.moment(), Unsynced::Kept));
    let authority = open(&secret, store_on(&disk));
    testing::finish(&authority, authority.bump(Scope::user("v"))).unwrap();
    assert_eq!(label(&authority, &honest), "revoked");

    let authority = open(&secret, store_on(&backup));
    assert_eq!(label(&authority, &honest), "good", "nobody told it");
    let before = backup.moment();
    testing::finish(&authority, authority.restored_from_backup()).unwrap();
    let confirmed = backup.moment();
    for moment in before..=confirmed {
        for crashed in crashes_at(&backup, moment) {
            let authority = open(&secret, store_on(&crashed));
            assert!(moment < confirmed || label(&authority, &honest) == "unknown_key");
            testing::finish(&authority, authority.restored_from_backup()).unwrap();
            assert_eq!(label(&authority, &honest), "unknown_key");
        }
    }
}

/// One replica knows of a bump that the store has lost, and the other has made the next one at
/// its position.
struct PositionUsedAgain {
    fleet: Fleet,
    witness: Replica,
    unaware: Replica,
    lost: Epoch,
    /// Of `u`, before the lost bump and since.
    tokens: [Token; 2],
}

impl PositionUsedAgain {
    fn by_bump_of(user: &str) -> Self {
        let fleet = Fleet::new();
        let (witness, unaware) = (fleet.replica(), fleet.replica());
        let before = witness.issue("u");
        let lost = witness.bump("u");
        let tokens = [before, witness.issue("u")];
        fleet.server.lose_last(1);
        assert_eq!(unaware.bump(user).position(), lost.position());
        Self {
            fleet,
            witness,
            unaware,
            lost,
            tokens,
        }
    }

    /// Once they have looked, also for one that starts then.
    fn assert_settled(self) {
        let replicas = [self.unaware, self.witness, self.fleet.replica()];
        settle(&replicas);
        for replica in &replicas {
            let outcomes = self.tokens.each_ref().map(|token| replica.outcome(token));
            assert_eq!(outcomes, ["unknown_key"; 2]);
        }
    }
}

/// The store lost a bump, and another took its position: who asks "have you position 2?" is told
/// yes. It is the event's id that is asked for.
#[test]
fn case_08_a_loss_then_a_bump_at_the_same_position() {
    let loss = PositionUsedAgain::by_bump_of("v");
    let wait = loss.unaware.authority.wait_for(loss.lost);
    let waited = testing::finish(&loss.unaware.authority, wait);
    assert_eq!(waited.unwrap_err().label(), "lost");
    loss.assert_settled();
}

/// The same user at the same position: with a number in the seal instead of a fresh secret, the
/// tokens of the lost epoch and of the new one would be alike, before anybody notices.
#[test]
fn case_08_the_same_user_bumped_at_the_same_position() {
    let loss = PositionUsedAgain::by_bump_of("u");
    let [before, since] = &loss.tokens;
    assert_ne!(loss.unaware.outcome(before), "good");
    assert_ne!(loss.unaware.outcome(since), "good");
    assert_ne!(loss.witness.outcome(&loss.unaware.issue("u")), "good");
    loss.assert_settled();
}
