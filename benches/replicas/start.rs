//! How long a replica takes to start, and what that does to the server and to those that run.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use epochkey::{Authority, Grant, Scope};

use crate::{Place, Result, builder};

const EPOCHS: usize = 1_000_000;
const A_COMMIT: usize = 2_000;
const STARTS: usize = 3;

pub(crate) fn run(place: &dyn Place) -> Result<()> {
    let epochs = env::var("EPOCHKEY_EPOCHS").map_or(Ok(EPOCHS), |text| text.parse())?;
    let running = builder()?.open(place.store("start")?)?;
    let filled = Instant::now();
    for begin in (0..epochs).step_by(A_COMMIT) {
        let users = begin..epochs.min(begin + A_COMMIT);
        let scopes = users.map(|user| Scope::user(format!("elsewhere-{user}")));
        running.bump_many(scopes).wait()?;
    }
    println!("{epochs} epochs, written in {:.1?}", filled.elapsed());
    for _ in 0..STARTS {
        place.watch_steps()?;
        let (took, ping) = longest_ping(place, || start(place, &running, epochs))?;
        println!(
            "  a replica started in {:.2?} while others bumped; the server's longest answer to a \
             ping meanwhile: {ping:.1?}",
            took?
        );
        if let Some((step, longest)) = place.longest_step()? {
            println!("    the longest step of the server's own: {longest:.1?} ({step})");
        }
    }
    Ok(())
}

/// Opens a replica while another bumps, and makes sure that it knows what was revoked.
fn start(place: &dyn Place, running: &Authority, epochs: usize) -> Result<Duration> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let bumping = scope.spawn(|| {
            let mut tokens = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let user = format!("user-{}", tokens.len());
                tokens.push(running.issue(Grant::user(&user)).expect("a token"));
                running.bump(Scope::user(user)).wait().expect("a bump");
            }
            tokens
        });
        let started = Instant::now();
        let opened = builder()?.open(place.store("start")?);
        let took = started.elapsed();
        done.store(true, Ordering::SeqCst);
        let tokens = bumping.join().expect("bumps");
        let replica = opened?;
        replica.catch_up().wait()?;
        for token in &tokens {
            let refused = replica.verify(token).expect_err("a revoked token");
            // Of a token that is seconds old, another replica says that it may be revoked.
            assert!(["revoked", "stale_epochs"].contains(&refused.label()));
        }
        assert!(!tokens.is_empty() && replica.stats().epochs >= epochs);
        Ok(took)
    })
}

/// The longest time that the server let anybody wait while something was done.
fn longest_ping<T>(place: &dyn Place, act: impl FnOnce() -> T) -> Result<(T, Duration)> {
    let mut ping = place.pinger()?;
    let done = Arc::new(AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    let pinging = thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while !is_done.load(Ordering::SeqCst) {
            let asked = Instant::now();
            ping().expect("a ping");
            longest = longest.max(asked.elapsed());
            thread::sleep(Duration::from_micros(200));
        }
        longest
    });
    let result = act();
    done.store(true, Ordering::SeqCst);
    Ok((result, pinging.join().expect("pings")))
}
