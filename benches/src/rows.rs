//! A row of a table: one thing that is done over and over.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

/// One thing that is done over and over, each time with the next of its inputs.
pub trait Row {
    fn id(&self) -> &str;

    /// How long it takes to do it so many times.
    fn run(&mut self, times: u64) -> Duration;
}

/// A [`Row`] that begins anew when it has gone through its inputs.
pub struct Cycle<I, F> {
    id: String,
    inputs: Vec<I>,
    next: usize,
    call: F,
}

impl<I, F> Cycle<I, F> {
    /// `call` asserts success: no row measures how fast something fails.
    ///
    /// # Panics
    ///
    /// Without inputs.
    pub fn new<T>(id: impl Into<String>, inputs: Vec<I>, call: F) -> Self
    where
        F: FnMut(&I) -> T,
    {
        assert!(!inputs.is_empty(), "nothing to do");
        Self {
            id: id.into(),
            inputs,
            next: 0,
            call,
        }
    }
}

impl<I, T, F: FnMut(&I) -> T> Row for Cycle<I, F> {
    fn id(&self) -> &str {
        &self.id
    }

    fn run(&mut self, times: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..times {
            black_box((self.call)(black_box(&self.inputs[self.next])));
            self.next += 1;
            if self.next == self.inputs.len() {
                self.next = 0;
            }
        }
        started.elapsed()
    }
}

/// Criterion with the times that let a whole table be measured in a few minutes.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000)
        .without_plots()
}

impl dyn Row + '_ {
    /// Has criterion measure it.
    pub fn bench(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        let id = self.id().to_owned();
        group.bench_function(id, |bencher| bencher.iter_custom(|times| self.run(times)));
    }
}
