//! From `bump` returning to every replica refusing.

use std::{
    collections::HashMap,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use epochkey::{Authority, BumpError, Epoch, Grant, Observer, Op, Scope, Token};
use hdrhistogram::Histogram;

use crate::{Place, Result, builder};

const REPLICAS: usize = 8;
const BUMPS_A_SECOND: u32 = 500;
const FOR: Duration = Duration::from_secs(20);
/// Not counted.
const WARM_UP: Duration = Duration::from_secs(2);

/// Is told by a replica when a bump is in force there. `tests/` hold it to that.
struct Watcher {
    seen: mpsc::Sender<(String, Instant)>,
}

impl Observer for Watcher {
    fn bumped(&self, epoch: Epoch) {
        let _ = self.seen.send((epoch.to_string(), Instant::now()));
    }
}

pub(crate) fn run(place: &dyn Place) -> Result<()> {
    let (seen, sightings) = mpsc::channel();
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        let builder = builder()?.observer(Watcher { seen: seen.clone() });
        replicas.push(builder.open(place.store("propagation")?)?);
    }
    let begun = Instant::now();
    let (returned, writes) = thread::scope(|scope| {
        let bumping: Vec<_> = (0..)
            .zip(&replicas)
            .map(|(number, replica)| scope.spawn(move || bump(replica, number, begun)))
            .collect();
        let writing = scope.spawn(|| write(place, begun));
        let bumps = bumping
            .into_iter()
            .map(|thread| thread.join().expect("a bumper"));
        let bumps: Vec<_> = bumps.collect();
        (
            bumps.into_iter().flatten().collect::<Vec<_>>(),
            writing.join().expect("a writer"),
        )
    });
    let bumps: HashMap<_, _> = returned
        .into_iter()
        .map(|bump| (bump.epoch.clone(), bump))
        .collect();
    // Who waits for the last bump has seen all.
    let mut everywhere: HashMap<String, (usize, Instant)> = HashMap::new();
    while everywhere
        .values()
        .filter(|(count, _)| *count == REPLICAS)
        .count()
        < bumps.len()
    {
        let (epoch, at) = sightings.recv_timeout(Duration::from_secs(30))?;
        let entry = everywhere.entry(epoch).or_insert((0, at));
        *entry = (entry.0 + 1, entry.1.max(at));
    }
    let mut spread = Histogram::<u64>::new(3)?;
    let mut bumped = Histogram::<u64>::new(3)?;
    for (epoch, bump) in &bumps {
        if bump.returned < begun + WARM_UP {
            continue;
        }
        let (_, last) = everywhere[epoch];
        spread.record(micros(last.saturating_duration_since(bump.returned)))?;
        bumped.record(micros(bump.took))?;
    }
    for replica in &replicas {
        for bump in bumps.values() {
            let refused = replica.verify(&bump.token).expect_err("a revoked token");
            // Of a token that is seconds old, another replica says that it may be revoked.
            assert!(["revoked", "stale_epochs"].contains(&refused.label()));
        }
    }
    println!("{REPLICAS} replicas, {BUMPS_A_SECOND} bumps a second from all of them, {FOR:?}:");
    print("bump returned until every replica refuses", &spread);
    print("bump called until it returned", &bumped);
    print("one write of the server's own, meanwhile", &writes);
    Ok(())
}

struct Bump {
    epoch: String,
    token: Token,
    returned: Instant,
    took: Duration,
}

/// At fixed times, whether those before have returned or not: as handlers of a service do.
fn bump(replica: &Authority, number: u32, begun: Instant) -> Vec<Bump> {
    let every = Duration::from_secs(1) * REPLICAS as u32 / BUMPS_A_SECOND;
    let offset = every * number / REPLICAS as u32;
    let (started, waits) = mpsc::channel();
    thread::scope(|scope| {
        // They return in the order in which they were called.
        let waiting = scope.spawn(|| waits.into_iter().map(returned).collect());
        for turn in 0.. {
            let at = begun + offset + every * turn;
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if begun.elapsed() > FOR {
                break;
            }
            let user = format!("user-{number}-{turn}");
            let token = replica.issue(Grant::user(&user)).expect("a token");
            let called = Instant::now();
            let bump = replica.bump(Scope::user(user));
            let _ = started.send((token, called, bump));
        }
        drop(started);
        waiting.join().expect("bumps")
    })
}

fn returned((token, called, bump): (Token, Instant, Op<Epoch, BumpError>)) -> Bump {
    let epoch = bump.wait().expect("a bump");
    let returned = Instant::now();
    Bump {
        epoch: epoch.to_string(),
        token,
        returned,
        took: returned - called,
    }
}

/// What the server's disk does on its own, in the same seconds.
fn write(place: &dyn Place, begun: Instant) -> Histogram<u64> {
    let mut writer = place.writer().expect("a connection");
    let mut took = Histogram::new(3).expect("a histogram");
    while begun.elapsed() < FOR {
        let called = Instant::now();
        writer().expect("a write");
        took.record(micros(called.elapsed())).expect("a time");
        thread::sleep(Duration::from_millis(20));
    }
    took
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn print(what: &str, times: &Histogram<u64>) {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "  {what}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms ({} times)",
        at(0.5),
        at(0.99),
        times.max() as f64 / 1e3,
        times.len()
    );
}
