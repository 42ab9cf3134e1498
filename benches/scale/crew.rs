//! Threads that stay, as those of a service do, with whatever they keep for themselves.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Gets the number of its thread.
pub(crate) type Job = Arc<dyn Fn(usize) + Send + Sync>;

pub(crate) struct Crew {
    threads: Vec<mpsc::Sender<(Job, Arc<Barrier>)>>,
    done: mpsc::Receiver<(Instant, Instant)>,
}

impl Crew {
    pub(crate) fn new(threads: usize) -> Self {
        let (report, done) = mpsc::channel();
        let threads = (0..threads).map(|number| {
            let (send, jobs) = mpsc::channel::<(Job, Arc<Barrier>)>();
            let report = report.clone();
            thread::spawn(move || {
                for (job, all_are_ready) in jobs {
                    all_are_ready.wait();
                    let started = Instant::now();
                    job(number);
                    let _ = report.send((started, Instant::now()));
                }
            });
            send
        });
        Self {
            threads: threads.collect(),
            done,
        }
    }

    /// How long it takes from the first thread's start until the last one is done.
    pub(crate) fn run(&self, threads: usize, job: &Job) -> Duration {
        let all_are_ready = Arc::new(Barrier::new(threads));
        for thread in &self.threads[..threads] {
            let sent = thread.send((Arc::clone(job), Arc::clone(&all_are_ready)));
            sent.expect("the thread lives");
        }
        let times = (0..threads).map(|_| self.done.recv().expect("the thread lives"));
        let (starts, ends): (Vec<_>, Vec<_>) = times.unzip();
        let started = starts.into_iter().min().expect("a thread");
        let ended = ends.into_iter().max().expect("a thread");
        ended - started
    }
}
