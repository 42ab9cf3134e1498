//! A disk that fails while a store is opened: that is an error value, and no harm is done.

use std::io;

use epochkey::RedbStore;

use crate::{
    check,
    crash::{self, Unsynced},
    disk::{Disk, Fault, Kind},
    random::Random,
    recorder::Kept,
    workload::Recorded,
};

fn kept(disk: &Disk) -> Kept {
    Kept::of(&check::open(disk), &[]).unwrap()
}

/// Opens what is on the disk while it fails, then mended, and after the loss of power.
/// Gives whether the disk has failed.
fn open_while_it_fails(image: &[u8], fault: Fault, random: &mut Random) -> bool {
    let held = kept(&Disk::of(image.to_vec()));
    let disk = Disk::of(image.to_vec());
    disk.fail(fault);
    let storage = disk.clone();
    let opened = RedbStore::open_on(move || Ok(storage.clone()));
    let has_failed = disk.failures() > 0;
    disk.mend();
    match opened {
        Ok(store) => assert_eq!(Kept::of(&store, &[]).unwrap(), held),
        Err(error) => {
            assert!(has_failed, "{error}");
            assert_eq!(error.label(), "io", "{error}");
        }
    }
    let moment = random.between(0, disk.moment() as u64) as usize;
    let image = crash::image(&disk, moment, Unsynced::choose(random));
    assert_eq!(kept(&disk), held, "it opens as if nothing had been");
    assert_eq!(
        kept(&Disk::of(image)),
        held,
        "and so after the loss of power"
    );
    has_failed
}

fn fail_everywhere(kind: Kind) -> usize {
    let mut failed = 0;
    for seed in 0..6 {
        eprintln!("seed {seed}");
        let recorded = Recorded::of(seed);
        let mut random = Random::new(seed);
        let (first, last) = (recorded.checkpoints[0].done, recorded.disk.moment());
        let moment = random.between(first as u64, last as u64) as usize;
        let image = crash::image(&recorded.disk, moment, Unsynced::choose(&mut random));
        for lasts in [false, true] {
            let fault = |after| Fault { kind, after, lasts };
            let fails = |after: &usize| open_while_it_fails(&image, fault(*after), &mut random);
            failed += (0..1000).take_while(fails).count();
        }
    }
    failed
}

#[test]
fn reads_that_fail() {
    assert!(fail_everywhere(Kind::Read) > 20);
}

#[test]
fn writes_that_fail() {
    assert!(fail_everywhere(Kind::Write) > 20);
}

#[test]
fn syncs_that_fail() {
    assert!(fail_everywhere(Kind::Sync) > 20);
}

#[test]
fn storage_that_is_not_there() {
    let opened = RedbStore::open_on(|| -> io::Result<Disk> { Err(io::Error::other("no disk")) });
    assert_eq!(opened.unwrap_err().label(), "io");
}
