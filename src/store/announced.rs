//! What is known of news without asking, for stores that are told of it.
//!
//! It only wakes whoever waits, who then asks for himself: news that is missed here comes late,
//! and not never.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{HistoryId, Place};

/// The position up to which there is news, as far as is known.
#[derive(Default)]
pub(in crate::store) struct Announced {
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
    pub(in crate::store) fn reached(&self, history: HistoryId, position: u64) {
        let mut state = self.state.lock();
        if state.history != Some(history) {
            state.history = Some(history);
            state.position = 0;
        }
        state.reached(position);
        self.changed.notify_all();
    }

    /// There are events up to this position, of whatever history.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn reached_somewhere(&self, position: u64) {
        self.state.lock().reached(position);
        self.changed.notify_all();
    }

    pub(in crate::store) fn wake(&self) {
        self.state.lock().wake = true;
        self.changed.notify_all();
    }

    /// Waits until something is announced beyond this place, at most so long.
    pub(in crate::store) fn wait_beyond(&self, place: Place, wait: Duration) {
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
    pub(in crate::store) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    #[cfg(feature = "postgres")]
    pub(in crate::store) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    pub(in crate::store) fn position(&self) -> u64 {
        self.state.lock().position
    }

    /// The log of this history ended here when it was asked for, and before that more was known
    /// than this. If nobody has heard of more since, it is lost: positions below it are news.
    pub(in crate::store) fn ends_at(&self, history: HistoryId, position: u64, known_before: u64) {
        let mut state = self.state.lock();
        let is_unchanged = state.history == Some(history) && state.position == known_before;
        if is_unchanged && position < known_before {
            state.position = position;
        }
    }

    /// The position when there is one; `None` when nobody waits any more.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn wait_until_known(&self) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

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
        announced.reached(history(1), 6);
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

    #[test]
    fn who_waits_is_not_woken_before() {
        for position in [5, 6] {
            let announced = Announced::default();
            announced.reached(history(1), position);
            let is_told = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    is_told.store(true, Ordering::SeqCst);
                    announced.reached(history(1), 7);
                });
                announced.wait_beyond(at(6), Duration::MAX);
                assert!(is_told.load(Ordering::SeqCst), "{position}");
            });
        }
    }

    #[test]
    fn a_late_word_of_the_end_takes_nothing_back() {
        let announced = Announced::default();
        announced.reached(history(1), 5);
        let known_before = announced.position();
        announced.reached(history(1), 6);
        announced.ends_at(history(1), 3, known_before);
        assert_eq!(announced.position(), 6);
        announced.ends_at(history(1), 7, 6);
        assert_eq!(announced.position(), 6, "that is not for it to say");
        announced.ends_at(history(2), 3, 6);
        assert_eq!(announced.position(), 6, "of another history");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_position_of_whatever_history_wakes_who_waits() {
        let announced = Announced::default();
        announced.reached(history(1), 5);
        thread::scope(|scope| {
            scope.spawn(|| announced.reached_somewhere(6));
            announced.wait_beyond(at(5), Duration::MAX);
        });
        announced.reached_somewhere(4);
        assert_eq!(announced.position(), 6);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn who_needs_a_position_waits_for_one_or_for_the_end() {
        let announced = Announced::default();
        thread::scope(|scope| {
            scope.spawn(|| announced.reached(history(1), 5));
            assert_eq!(announced.wait_until_known(), Some(5));
        });
        announced.stop();
        assert_eq!(announced.wait_until_known(), None);
        let announced = Announced::default();
        thread::scope(|scope| {
            scope.spawn(|| announced.stop());
            assert_eq!(announced.wait_until_known(), None);
        });
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn it_is_stopped_once_it_is_told() {
        let announced = Announced::default();
        assert!(!announced.is_stopped());
        announced.stop();
        assert!(announced.is_stopped());
    }
}
