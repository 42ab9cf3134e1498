//! What must be true of a file, from what the processes that worked on it have said.

use std::collections::{BTreeMap, BTreeSet};

use epochkey::store::HistoryId;

use crate::{
    Checked,
    clients::Clients,
    ledger_of_rows::RowLedger,
    line::{Change, Line, history_of, times},
};

/// All that was said about one file.
pub(crate) struct Ledger {
    /// How many lines were read: the time by which everything is ordered.
    lines: u64,
    /// In seconds since 1970: not before any clock that a process had.
    pub(crate) clock: u64,
    /// The numbers of the master secrets that may be needed; the current one first.
    pub(crate) secrets: Vec<u64>,
    /// The history that was found when the file was looked at last.
    pub(crate) history: Option<HistoryId>,
    pub(crate) tokens: Vec<Held>,
    pub(crate) rows: RowLedger,
    pub(crate) clients: Clients,
    /// All epochs that a process was given.
    pub(crate) epochs: Vec<String>,
    pub(crate) highest_position: u64,
    /// The highest position of a key that was brought in, by whatever.
    pub(crate) newest_key: u64,
    /// What was attempted since the file was looked at last.
    pub(crate) attempts: Vec<Attempt>,
    /// Numbers that the present process has given, of what it is about.
    running: BTreeMap<u64, usize>,
    issuing: BTreeMap<u64, u64>,
    opened: bool,
}

pub(crate) struct Attempt {
    pub(crate) change: Change,
    /// The line before which it was not made.
    pub(crate) from: u64,
    pub(crate) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It is under way, or was when the process was killed: made wholly or not at all.
    Open,
    CutOff,
    /// Acknowledged at this line.
    Done(u64, Vec<String>),
    /// Refused at this line: not made.
    Refused(u64),
}

/// A token, and what may have killed it.
pub(crate) struct Held {
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) text: String,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) is_dead: bool,
    /// Whether it was seen dead since it died.
    pub(crate) was_seen_dead: bool,
    /// Attempts that kill it, if they are made: it was issued before they began.
    pub(crate) killers: Vec<usize>,
    /// Whether one was under way when it was issued, so that it may be dead or alive.
    pub(crate) is_unclear: bool,
}

/// What a process had done when it was killed.
pub(crate) struct Killed {
    pub(crate) opened: bool,
    pub(crate) open_attempts: usize,
}

impl Attempt {
    fn kills(&self, scopes: &BTreeSet<String>) -> bool {
        match &self.change {
            Change::Bump(bumped) => bumped.iter().any(|scope| scopes.contains(scope)),
            Change::Swap | Change::StartOver => true,
            Change::Rotate | Change::Rewrap | Change::Rows(_) => false,
        }
    }

    /// Whether it may have been made at this line or after it.
    pub(crate) fn may_be_after(&self, line: u64) -> bool {
        match self.end {
            End::Open => true,
            End::Done(at, _) => at > line,
            End::CutOff | End::Refused(_) => false,
        }
    }
}

impl Ledger {
    pub(crate) fn new(clock: u64, secret: u64) -> Self {
        Self {
            lines: 0,
            clock,
            secrets: vec![secret],
            history: None,
            tokens: Vec::new(),
            rows: RowLedger::default(),
            clients: Clients::default(),
            epochs: Vec::new(),
            highest_position: 0,
            newest_key: 0,
            attempts: Vec::new(),
            running: BTreeMap::new(),
            issuing: BTreeMap::new(),
            opened: false,
        }
    }

    pub(crate) fn hear(&mut self, line: Line) -> Checked {
        self.lines += 1;
        match line {
            Line::Opening | Line::Closed => Ok(()),
            Line::NotOpened(error) => Err(format!("the file does not open: {error}")),
            Line::Opened => {
                self.opened = true;
                Ok(())
            }
            Line::Clock(seconds) => {
                self.clock = self.clock.max(seconds);
                Ok(())
            }
            Line::Issuing(token) => {
                self.issuing.insert(token, self.lines);
                Ok(())
            }
            Line::Issued {
                token,
                scopes,
                text,
            } => {
                let from = self.issuing.remove(&token).unwrap();
                self.hold(from, scopes, text);
                Ok(())
            }
            Line::NotIssued { token, label } => {
                self.issuing.remove(&token);
                match self.was_overtaken() && label == "stale_epochs" {
                    true => Ok(()),
                    false => Err(format!("a token was not issued: {label}")),
                }
            }
            Line::Trying { attempt, change } => {
                self.begin(attempt, change);
                Ok(())
            }
            Line::Done { attempt, epochs } => self.acknowledge(attempt, epochs),
            Line::Failed { attempt, label } => self.fail(attempt, &label),
            Line::Client { client, said } => self.clients.hear(client, said),
        }
    }

    /// The process was killed, and has said nothing more.
    pub(crate) fn hear_the_end(&mut self) -> Killed {
        let open = std::mem::take(&mut self.running);
        for index in open.values() {
            self.attempts[*index].end = End::CutOff;
        }
        self.issuing.clear();
        self.lines += 1;
        Killed {
            opened: std::mem::take(&mut self.opened),
            open_attempts: open.len() + self.clients.hear_the_end(),
        }
    }

    fn hold(&mut self, from: u64, scopes: Vec<String>, text: String) {
        let scopes = scopes.into_iter().collect();
        let mut attempts = self.attempts.iter();
        let (issued_at, expires_at) = times(&text);
        self.tokens.push(Held {
            is_unclear: attempts.any(|it| it.may_be_after(from) && it.kills(&scopes)),
            scopes,
            text,
            issued_at,
            expires_at,
            is_dead: false,
            was_seen_dead: false,
            killers: Vec::new(),
        });
    }

    fn begin(&mut self, number: u64, change: Change) {
        if let Change::Rows(changes) = &change {
            let is_starting_over = self.may_start_over_after(self.lines);
            self.rows.begin(changes, self.lines, is_starting_over);
        }
        if change == Change::StartOver {
            self.rows.may_be_gone();
        }
        let attempt = Attempt {
            change,
            from: self.lines,
            end: End::Open,
        };
        let index = self.attempts.len();
        for token in &mut self.tokens {
            if !token.is_dead && attempt.kills(&token.scopes) {
                token.killers.push(index);
            }
        }
        self.running.insert(number, index);
        self.attempts.push(attempt);
    }

    fn acknowledge(&mut self, number: u64, epochs: Vec<String>) -> Checked {
        let index = self.running.remove(&number).unwrap();
        let from = self.attempts[index].from;
        let starts_over = self.may_start_over_after(from);
        for token in &mut self.tokens {
            token.is_dead |= token.killers.contains(&index);
        }
        let positions = epochs.iter().map(|epoch| position_of(epoch));
        let highest = positions.max().unwrap_or(0);
        match &self.attempts[index].change {
            Change::Bump(scopes) if scopes.len() != epochs.len() => {
                return Err(format!("{scopes:?} started the epochs {epochs:?}"));
            }
            Change::Bump(_) => {}
            Change::Rotate | Change::Swap => self.newest_key = self.newest_key.max(highest),
            Change::StartOver => {
                self.newest_key = self.newest_key.max(highest);
                self.rows.are_gone_unless_changed_after(from);
            }
            // Whatever was wrapped with the others is wrapped with the current one now.
            Change::Rewrap => self.secrets.truncate(1),
            Change::Rows(changes) => self.rows.acknowledge(changes, starts_over)?,
        }
        self.highest_position = self.highest_position.max(highest);
        self.epochs.extend(epochs.iter().cloned());
        self.attempts[index].end = End::Done(self.lines, epochs);
        Ok(())
    }

    /// Only what was overtaken may fail, for nothing is wrong with the disk.
    fn fail(&mut self, number: u64, label: &str) -> Checked {
        let index = self.running.remove(&number).unwrap();
        let attempt = &mut self.attempts[index];
        attempt.end = End::Refused(self.lines);
        let change = attempt.change.clone();
        let may_fail = match change {
            Change::Rotate => label.starts_with("overtaken") || label.starts_with("too_many"),
            // The ring has changed meanwhile, by a schedule that says nothing.
            Change::Rewrap => true,
            _ => false,
        };
        if !may_fail && !self.was_overtaken() {
            return Err(format!("{change:?} failed: {label}"));
        }
        // Whether it was made then is seen when the file is looked at.
        match label.starts_with("refused") {
            true => self.drop_refused(index, &change),
            false => self.attempts[index].end = End::CutOff,
        }
        Ok(())
    }

    fn drop_refused(&mut self, index: usize, change: &Change) {
        for token in &mut self.tokens {
            token.killers.retain(|killer| *killer != index);
        }
        if let Change::Rows(changes) = change {
            self.rows.refuse(changes);
        }
    }

    /// Whether what is under way may be cut off by the beginning of another history.
    fn was_overtaken(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|it| it.change == Change::StartOver)
    }

    fn may_start_over_after(&self, line: u64) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|it| it.change == Change::StartOver && it.may_be_after(line))
    }
}

pub(crate) fn position_of(epoch: &str) -> u64 {
    epoch.split('.').nth(1).unwrap().parse().unwrap()
}

/// The histories of epochs, each once.
pub(crate) fn histories_of(epochs: &[String]) -> Vec<HistoryId> {
    let histories: BTreeSet<_> = epochs.iter().map(|epoch| history_of(epoch)).collect();
    histories.into_iter().collect()
}
