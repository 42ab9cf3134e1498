//! The thread that hears of news, so that nobody asks in vain all the time.
//!
//! What it hears only wakes whoever waits, who then asks for himself: news that is missed here
//! comes late, and not never.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use redis::cmd;

use super::{failure::Failure, link::Link, reply, server::Server};
use crate::store::{HistoryId, Place};

/// How long the server waits for news before it answers that there is none.
const BLOCK: Duration = Duration::from_secs(1);

/// The position up to which there is news, as far as is known.
#[derive(Default)]
pub(super) struct Announced {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    history: Option<HistoryId>,
    position: u64,
    /// Whoever is about to wait for news is not to.
    wake: bool,
    stopped: bool,
}

impl Announced {
    /// There are events of this history up to this position. What was heard of another is
    /// forgotten: its positions may be higher.
    pub(super) fn reached(&self, history: HistoryId, position: u64) {
        let mut state = self.state.lock();
        if state.history != Some(history) {
            state.history = Some(history);
            state.position = 0;
        }
        state.reached(position);
        self.changed.notify_all();
    }

    /// There are events up to this position, of whatever history.
    fn reached_somewhere(&self, position: u64) {
        self.state.lock().reached(position);
        self.changed.notify_all();
    }

    pub(super) fn wake(&self) {
        self.state.lock().wake = true;
        self.changed.notify_all();
    }

    /// Waits until something is announced beyond this place, at most so long.
    pub(super) fn wait_beyond(&self, place: Place, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut state = self.state.lock();
        while !state.wake && !state.is_beyond(place) {
            let timed_out = match until {
                Some(until) => self.changed.wait_until(&mut state, until).timed_out(),
                None => {
                    self.changed.wait(&mut state);
                    false
                }
            };
            if timed_out {
                break;
            }
        }
        state.wake = false;
    }

    /// Nobody waits any more: the thread ends when it hears of that.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn position(&self) -> u64 {
        self.state.lock().position
    }

    /// The log of this history ended here when it was asked for, and before that more was known
    /// than this. If nobody has heard of more since, it is lost: positions below it are news.
    pub(super) fn ends_at(&self, history: HistoryId, position: u64, known_before: u64) {
        let mut state = self.state.lock();
        let is_unchanged = state.history == Some(history) && state.position == known_before;
        if is_unchanged && position < known_before {
            state.position = position;
        }
    }

    /// The position when there is one; `None` when nobody waits any more.
    fn wait_until_known(&self) -> Option<u64> {
        let mut state = self.state.lock();
        while state.history.is_none() && !state.stopped {
            self.changed.wait(&mut state);
        }
        (!state.stopped).then_some(state.position)
    }
}

impl State {
    fn reached(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    fn is_beyond(&self, place: Place) -> bool {
        self.history != Some(place.history) || self.position > place.position
    }
}

/// Starts the thread. It ends within the time that the server may take to answer.
pub(super) fn start(server: Arc<Server>, announced: Arc<Announced>) -> io::Result<()> {
    let thread = thread::Builder::new().name("epochkey-news".to_owned());
    thread.spawn(move || {
        let mut link = Link::new(server);
        // Behind what is known: what is older wakes nobody.
        while let Some(position) = announced.wait_until_known() {
            // A failure is told to those who ask for something themselves.
            if let Ok(Some(position)) = next(&mut link, position) {
                announced.reached_somewhere(position);
            }
        }
    })?;
    Ok(())
}

/// Waits for an entry of the log beyond this position. One is enough to wake who waits; he asks
/// for all there are, and the next question goes on behind them.
fn next(link: &mut Link, after: u64) -> Result<Option<u64>, Failure> {
    link.over_one(|server, connected| {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1);
        command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        command.arg("STREAMS").arg(server.keys.log());
        command.arg(format!("{after}-0"));
        Ok(reply::entry(connected.command(&command, BLOCK)?)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventId;

    fn history(number: u8) -> HistoryId {
        HistoryId::from_bytes([number; 16])
    }

    fn at(position: u64) -> Place {
        Place {
            history: history(1),
            position,
            event: EventId::from_bytes([0; 16]),
        }
    }

    #[test]
    fn who_waits_is_woken_by_what_is_beyond() {
        let announced = Arc::new(Announced::default());
        announced.reached(history(1), 5);
        announced.wait_beyond(at(4), Duration::MAX);
        announced.wake();
        announced.wait_beyond(at(5), Duration::MAX);
        announced.wait_beyond(at(5), Duration::ZERO);
        let waiting = Arc::clone(&announced);
        let waits = thread::spawn(move || waiting.wait_beyond(at(5), Duration::MAX));
        announced.reached_somewhere(6);
        waits.join().unwrap();
    }

    /// Or it would be asked for in vain all the time.
    #[test]
    fn a_late_word_takes_nothing_back_and_another_history_does() {
        let announced = Announced::default();
        announced.reached(history(1), 5);
        announced.reached(history(1), 3);
        assert_eq!(announced.position(), 5);
        announced.reached(history(2), 3);
        assert_eq!(announced.position(), 3);
        announced.wait_beyond(at(9), Duration::MAX);
    }

    #[test]
    fn what_was_announced_and_is_lost_is_waited_for_again() {
        let announced = Announced::default();
        announced.reached(history(1), 5);
        let known_before = announced.position();
        announced.ends_at(history(1), 3, known_before);
        assert_eq!(announced.position(), 3);
        // Somebody was told of more while the answer was on its way.
        let known_before = announced.position();
        announced.reached(history(1), 4);
        announced.ends_at(history(1), 3, known_before);
        assert_eq!(announced.position(), 4);
    }
}
