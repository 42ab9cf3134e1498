//! Somebody who bumps and rotates while others verify.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use epochkey::{Authority, Scope};

const BUMPS_A_SECOND: u32 = 1000;
/// Who is bumped: others than those whose tokens are verified.
const USERS: u64 = 1_000_000;

pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

/// What was done in the end.
pub(crate) struct Written {
    bumps: u32,
    rotations: u32,
    refused_rotations: u32,
    took: Duration,
}

impl Writer {
    pub(crate) fn start(authority: &Authority) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (is_stopped, authority) = (Arc::clone(&stop), authority.clone());
        let thread = thread::spawn(move || write(&authority, &is_stopped));
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Written {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the writer does not panic")
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BUMPS_A_SECOND} bumps and one rotation a second")
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bumps,
            rotations,
            refused_rotations,
            took,
        } = self;
        write!(
            f,
            "the writer made {bumps} bumps and {rotations} rotations in {took:.1?}; \
             {refused_rotations} rotations were refused"
        )
    }
}

/// At fixed times: if it is held up, it catches up.
fn write(authority: &Authority, stop: &AtomicBool) -> Written {
    let started = Instant::now();
    let (mut rotations, mut refused_rotations) = (0, 0);
    for bumps in 0.. {
        if stop.load(Ordering::SeqCst) {
            return Written {
                bumps,
                rotations,
                refused_rotations,
                took: started.elapsed(),
            };
        }
        let at = started + Duration::from_secs(1) * bumps / BUMPS_A_SECOND;
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let user = random(u64::from(bumps)) % USERS;
        let bump = authority.bump(Scope::user(format!("other-{user}")));
        bump.wait().expect("a bump");
        if bumps % BUMPS_A_SECOND == 0 {
            match authority.rotate_key().wait() {
                Ok(_) => rotations += 1,
                Err(_) => refused_rotations += 1,
            }
        }
    }
    unreachable!("the loop is endless");
}

/// Splitmix64.
fn random(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
