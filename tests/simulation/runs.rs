//! One simulation, and what is said of it if it failed.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Checked, Wrong, world::World, wrong};

/// A simulation that found something.
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) wrong: Wrong,
    /// The numbers of the steps that were taken up to there.
    pub(crate) steps: Vec<usize>,
    /// What happened in them.
    trail: Vec<String>,
}

/// Takes these steps, and those with which every simulation ends.
pub(crate) fn run(seed: u64, steps: impl IntoIterator<Item = usize>) -> Result<(), Failure> {
    let (mut world, mut taken) = (World::new(seed), Vec::new());
    let take = || {
        for step in steps {
            taken.push(step);
            world.step(step)?;
        }
        world.end()
    };
    let outcome = catch_unwind(AssertUnwindSafe(take));
    let outcome: Checked = outcome.unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        wrong("nothing panics", text)
    });
    outcome.map_err(|wrong| Failure {
        seed,
        wrong,
        steps: taken,
        trail: world.trail,
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
    text.unwrap_or_default()
}

/// The whole simulation of a seed.
pub(crate) fn simulate(seed: u64) -> Result<(), Failure> {
    run(seed, 0..World::steps(seed))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, wrong, trail, ..
        } = self;
        writeln!(f, "seed {seed} breaks a promise: {}", wrong.rule)?;
        writeln!(
            f,
            "again: EPOCHKEY_SIMULATE={seed} cargo test --test simulation"
        )?;
        writeln!(f, "with no more steps than it takes:")?;
        for line in trail {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}: {}", wrong.rule, wrong.how)
    }
}
