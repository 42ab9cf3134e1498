//! Everything at once and by chance: four replicas, each behind a disturbed network, with
//! threads that revoke, log in and look on all of them.
//!
//! A ledger has what was asked for, what was acknowledged, and when; every answer is judged by
//! it. The seed fixes what each thread tries and what each network does, but not how the threads
//! take turns.

mod finale;
mod ledger;
mod weather;
mod work;

use std::{
    env,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use self::{ledger::Ledger, weather::Weather, work::Worker};
use super::{
    Kind,
    fleet::{Fleet, Replica},
};
use crate::random::Random;

const SEEDS: [u64; 3] = [1, 2, 3];
/// Threads of each replica that change something. One more only looks.
const CHANGING: usize = 3;
/// How often the network of each replica changes in a run.
const TURNS: usize = 20;

/// What all threads of a run have in common.
struct World<'a> {
    replicas: &'a [Replica; 4],
    ledger: Ledger,
    tally: Tally,
    /// The network is as it was again, and nothing more is tried.
    is_over: AtomicBool,
}

/// What a run was about.
#[derive(Debug, Default)]
struct Tally {
    bumps: AtomicU64,
    failed_bumps: AtomicU64,
    refreshes: AtomicU64,
    failed_refreshes: AtomicU64,
    good: AtomicU64,
    dead: AtomicU64,
    stale: AtomicU64,
}

impl Tally {
    fn assert_all(&self, seed: u64) {
        println!("{seed}: {self:?}");
        let counters = [
            &self.bumps,
            &self.failed_bumps,
            &self.refreshes,
            &self.failed_refreshes,
            &self.good,
            &self.dead,
            &self.stale,
        ];
        let is_some = |counter: &&AtomicU64| counter.load(Ordering::SeqCst) > 0;
        assert!(
            counters.iter().all(is_some),
            "EPOCHKEY_NETWORK={seed} {self:?}"
        );
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

impl World<'_> {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst) || self.ledger.is_violated()
    }
}

pub(crate) fn whatever_happens_by_chance<K: Kind>() {
    let asked = env::var("EPOCHKEY_NETWORK").ok();
    let asked: Option<u64> = asked.and_then(|asked| asked.parse().ok());
    let seeds = asked.map_or(SEEDS.to_vec(), |seed| vec![seed]);
    thread::scope(|scope| {
        for seed in seeds {
            scope.spawn(move || run::<K>(seed));
        }
    });
}

fn run<K: Kind>(seed: u64) {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    println!("the same chances again: EPOCHKEY_NETWORK={seed}");
    let replicas = fleet.replicas::<4>();
    let mut random = Random::new(seed);
    let world = World {
        replicas: &replicas,
        ledger: Ledger::default(),
        tally: Tally::default(),
        is_over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for at in 0..replicas.len() {
            let world = &world;
            for _ in 0..CHANGING {
                let mut worker = Worker::new(world, at, random.next());
                scope.spawn(move || worker.change());
            }
            let mut worker = Worker::new(world, at, random.next());
            scope.spawn(move || worker.look());
        }
        let mut weather = Weather::new(&world, random.next());
        for _ in 0..TURNS {
            weather.turn();
        }
        weather.calm();
        world.is_over.store(true, Ordering::SeqCst);
    });
    if !world.ledger.is_violated() {
        finale::judge(&world, random.next());
    }
    if let Some(violation) = world.ledger.violation() {
        panic!("EPOCHKEY_NETWORK={seed}: {violation}");
    }
    world.tally.assert_all(seed);
}
