//! What may be forgotten, in steps: no commit waits for a whole table to be looked through.

use std::ops::Bound;

use redb::ReadableTable;

use super::{tables::Result, writing::Writing};
use crate::store::{HistoryId, Outcome, Refusal, RowId, StoreTime, Tidy};

/// The most rows of a table that one step looks at.
const ROWS_A_STEP: usize = 4096;
/// How many milliseconds of expired sessions are worth a walk through all of them.
const WORTH_A_WALK: u64 = 600_000;

/// What is left to be forgotten. Kept in memory: after a restart the next tidying begins
/// again.
#[derive(Default)]
pub(super) struct Tidying {
    history: Option<HistoryId>,
    events: Option<EventsLeft>,
    epochs: Sweep,
    sessions: Sweep,
}

#[derive(Clone, Copy)]
struct EventsLeft {
    up_to: u64,
    before: StoreTime,
}

/// Walks through a table in the order of its keys, for rows whose value is low enough to go.
#[derive(Default)]
struct Sweep {
    /// Up to which value rows go in this walk.
    up_to: u64,
    /// Up to which value rows have gone, all of them.
    swept: u64,
    /// Where it goes on; `None` when it is through.
    next: Option<Bound<[u8; 16]>>,
}

impl Sweep {
    /// Begins a walk if it is worth it; one under way is not begun again.
    fn begin(&mut self, up_to: u64, worth: u64) {
        // Less than before is named after a clock was ahead.
        if self.next.is_some() {
            self.up_to = self.up_to.min(up_to);
            return;
        }
        self.swept = self.swept.min(up_to);
        if up_to - self.swept >= worth {
            self.up_to = up_to;
            self.next = Some(Bound::Unbounded);
        }
    }
}

impl Tidying {
    pub(super) fn is_done(&self) -> bool {
        self.events.is_none() && self.epochs.next.is_none() && self.sessions.next.is_none()
    }

    /// Takes up what may be forgotten, if the condition holds.
    pub(super) fn begin(&mut self, tidy: &Tidy, writing: &Writing<'_>) -> Result<Outcome> {
        let Some(head) = writing.head_since(tidy.known)? else {
            return Ok(Outcome::Refused(Refusal::Place));
        };
        if self.history != Some(head.history) {
            *self = Self {
                history: Some(head.history),
                ..Self::default()
            };
        }
        // The replica may know of a swap that was lost, by which an older key is back.
        let oldest_key = writing
            .keys
            .first()?
            .map_or(0, |(position, _)| position.value());
        self.epochs.begin(tidy.epochs_up_to.min(oldest_key), 1);
        let before = tidy.sessions_before.as_unix_millis();
        self.sessions.begin(before, WORTH_A_WALK);
        self.events = Some(EventsLeft {
            up_to: tidy.events_up_to,
            before: tidy.events_before,
        });
        Ok(Outcome::Done { head })
    }

    /// Forgets some of it.
    pub(super) fn step(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        if self.history != writing.head.map(|head| head.history) {
            // Of a history that another has taken the place of: that one says anew what may go.
            *self = Self::default();
            return Ok(());
        }
        self.forget_events(writing)?;
        self.forget_epochs(writing)?;
        self.forget_sessions(writing)
    }

    fn forget_events(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let (Some(left), Some(head)) = (self.events, writing.head) else {
            return Ok(());
        };
        let mut last = None;
        let mut is_done = true;
        for (looked_at, row) in writing.log.iter()?.enumerate() {
            let (position, event) = row?;
            let (position, time) = (position.value(), event.value().1);
            let may_go = position <= left.up_to
                && position < head.position
                && time < left.before.as_unix_millis();
            if !may_go {
                break;
            }
            if looked_at == ROWS_A_STEP {
                is_done = false;
                break;
            }
            last = Some(position);
        }
        if let Some(last) = last {
            writing.has_changed = true;
            writing.log.retain_in(..=last, |_, _| false)?;
            writing.trimmed_up_to = Some(last);
        }
        if is_done {
            self.events = None;
        }
        Ok(())
    }

    fn forget_epochs(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let up_to = self.epochs.up_to;
        let may_go = |(position, _): (u64, &[u8; 16])| position <= up_to;
        for tag in find(&mut self.epochs, &writing.epochs, may_go)? {
            writing.has_changed = true;
            writing.epochs.remove(&tag)?;
        }
        Ok(())
    }

    fn forget_sessions(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let before = self.sessions.up_to;
        let may_go =
            |(_, _, expires_at, _, _): (&[u8; 16], &[u8; 16], u64, u64, &[u8])| expires_at < before;
        for id in find(&mut self.sessions, &writing.sessions, may_go)? {
            writing.has_changed = true;
            writing.remove_session(RowId::from_bytes(id))?;
        }
        Ok(())
    }
}

/// The keys of those among the next rows that may go.
fn find<V: redb::Value + 'static>(
    sweep: &mut Sweep,
    table: &impl ReadableTable<&'static [u8; 16], V>,
    may_go: impl Fn(V::SelfType<'_>) -> bool,
) -> Result<Vec<[u8; 16]>> {
    let mut found = Vec::new();
    let Some(start) = sweep.next.take() else {
        return Ok(found);
    };
    let start = start.as_ref();
    for (looked_at, row) in table
        .range::<&[u8; 16]>((start, Bound::Unbounded))?
        .enumerate()
    {
        let (key, value) = row?;
        if may_go(value.value()) {
            found.push(*key.value());
        }
        if looked_at + 1 == ROWS_A_STEP {
            sweep.next = Some(Bound::Excluded(*key.value()));
            return Ok(found);
        }
    }
    sweep.swept = sweep.up_to;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(up_to: u64, swept: u64, is_through: bool) -> Sweep {
        Sweep {
            up_to,
            swept,
            next: (!is_through).then_some(Bound::Unbounded),
        }
    }

    #[test]
    fn a_walk_begins_when_it_is_worth_it() {
        let begun = |mut sweep: Sweep, up_to| {
            sweep.begin(up_to, 10);
            (sweep.next.is_some(), sweep.up_to, sweep.swept)
        };
        assert_eq!(begun(sweep(0, 0, true), 9), (false, 0, 0));
        assert_eq!(begun(sweep(0, 0, true), 10), (true, 10, 0));
        assert_eq!(begun(sweep(50, 50, true), 59), (false, 50, 50));
        assert_eq!(begun(sweep(50, 50, true), 60), (true, 60, 50));
        // A clock was ahead, and was set right.
        assert_eq!(begun(sweep(50, 50, true), 40), (false, 50, 40));
        // One that is under way goes on, and no further than is said now.
        assert_eq!(begun(sweep(50, 0, false), 90), (true, 50, 0));
        assert_eq!(begun(sweep(50, 0, false), 40), (true, 40, 0));
    }

    /// Or it would be gone on with only when somebody asks, or all the time.
    #[test]
    fn it_is_done_when_nothing_is_left() {
        assert!(Tidying::default().is_done());
        let under_way = || sweep(1, 0, false);
        let events = EventsLeft {
            up_to: 1,
            before: StoreTime::default(),
        };
        for left in [
            Tidying {
                events: Some(events),
                ..Tidying::default()
            },
            Tidying {
                epochs: under_way(),
                ..Tidying::default()
            },
            Tidying {
                sessions: under_way(),
                ..Tidying::default()
            },
        ] {
            assert!(!left.is_done());
        }
    }
}
