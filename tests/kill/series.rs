//! One file, and the processes that are killed while they work on it, one after the other.

use std::{collections::VecDeque, hint::black_box, path::PathBuf};

use tempfile::TempDir;

use crate::{
    Checked, WORK,
    check::check,
    ledger::Ledger,
    line::{Assignment, Line, Plan},
    process::Process,
    random::Random,
};

const START: u64 = 1_700_000_000;
/// How many lines are shown of what led to a failure.
const SHOWN: usize = 60;

pub(crate) struct Series {
    plan: Plan,
    random: Random,
    /// Decides what is looked at, so that what was found does not change what is done.
    sample: Random,
    directory: TempDir,
    ledger: Ledger,
    heard: VecDeque<String>,
    pub(crate) tally: Tally,
}

/// How many processes were killed, and at what.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) kills: usize,
    /// While the file was opened, and repaired if the last one was killed too.
    pub(crate) in_opening: usize,
    /// With an operation under way.
    pub(crate) in_operation: usize,
}

/// When a process is killed.
enum Aim {
    Opening,
    /// After so many lines.
    Working(usize),
    Closed,
}

impl Series {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut random = Random::new(seed ^ ((plan as u64) << 32));
        Self {
            plan,
            ledger: Ledger::new(START, random.next()),
            random,
            sample: Random::new(seed),
            directory: tempfile::tempdir().unwrap(),
            heard: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Kills one process, or several before anybody looks at what they have left.
    pub(crate) fn kill_and_check(&mut self) -> Checked {
        self.kill()?;
        while self.random.chance(40) {
            self.kill()?;
        }
        let path = self.path();
        check(&mut self.ledger, &path, &mut self.sample)
    }

    /// Lets a process come to its end, and gives how many attempts it has not finished.
    pub(crate) fn work_and_check(&mut self) -> Result<usize, String> {
        let open = self.work_until(Aim::Closed)?;
        let path = self.path();
        check(&mut self.ledger, &path, &mut self.sample)?;
        Ok(open)
    }

    fn kill(&mut self) -> Checked {
        let in_opening = match self.plan {
            Plan::Openings => 60,
            _ => 10,
        };
        let aim = match self.random.chance(in_opening) {
            true => Aim::Opening,
            false if self.random.chance(6) => Aim::Closed,
            false => Aim::Working(self.random.below(160)),
        };
        self.work_until(aim).map(|_| ())
    }

    fn work_until(&mut self, aim: Aim) -> Result<usize, String> {
        let mut process = Process::start(WORK, &self.assignment());
        let mut lines = 0;
        while let Some(line) = process.next_line() {
            let is_there = match aim {
                Aim::Opening => matches!(line, Line::Opening),
                Aim::Working(after) => lines >= after + 2 || matches!(line, Line::Closed),
                Aim::Closed => matches!(line, Line::Closed),
            };
            lines += 1;
            self.hear(line)?;
            if is_there {
                break;
            }
        }
        if !matches!(aim, Aim::Closed) {
            self.spin();
        }
        process.kill();
        while let Some(line) = process.next_line() {
            self.hear(line)?;
        }
        process.end()?;
        let killed = self.ledger.hear_the_end();
        self.tally.kills += 1;
        self.tally.in_opening += usize::from(!killed.opened);
        self.tally.in_operation += usize::from(killed.open_attempts > 0);
        Ok(killed.open_attempts)
    }

    /// So that a process is killed at any instant, not only when it has just said something.
    fn spin(&mut self) {
        let longest = *self.random.pick(&[1, 1_000, 100_000, 1_000_000]);
        for turn in 0..self.random.below(longest) {
            black_box(turn);
        }
    }

    fn hear(&mut self, line: Line) -> Checked {
        if self.heard.len() == SHOWN {
            self.heard.pop_front();
        }
        self.heard.push_back(format!("{line:?}"));
        self.ledger.hear(line)
    }

    fn assignment(&mut self) -> Assignment {
        if self.random.chance(25) {
            self.ledger.secrets.insert(0, self.random.next());
        }
        Assignment {
            path: self.path(),
            seed: self.random.next(),
            plan: self.plan,
            clock: self.ledger.clock,
            secrets: self.ledger.secrets.clone(),
            threads: 2 + self.random.below(3),
            operations: 40,
            clients: self.ledger.clients.tokens(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("auth.redb")
    }

    /// What has happened, and where the file is: it is kept.
    pub(crate) fn into_report(self) -> String {
        let kept = self.directory.keep();
        let heard: Vec<_> = self.heard.into();
        format!("{}\nthe file is in {}", heard.join("\n"), kept.display())
    }
}
