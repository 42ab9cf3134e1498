//! What is known of the file without reading it: the end of its log, and who follows it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::store::{Event, Heartbeat, News, Place, Receipt, ReplicaId, StoreTime};

/// How many of the newest events are remembered.
const MOST_REMEMBERED: usize = 4096;

/// The newest durable events, told to those who wait for them. What a commit was acknowledged
/// for can be applied though the disk fails the moment after.
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    head: Option<Place>,
    recent: Recent,
    /// Whoever is about to wait for news is not to.
    wake: bool,
    /// In memory only: nobody but this process follows the file.
    receipts: HashMap<ReplicaId, Receipt>,
}

impl Watch {
    pub(super) fn new(head: Option<Place>) -> Self {
        Self {
            state: Mutex::new(State {
                head,
                recent: Recent::default(),
                wake: false,
                receipts: HashMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn head(&self) -> Option<Place> {
        self.state.lock().head
    }

    /// Everything up to `head` is durable: it was read in the file.
    pub(super) fn found(&self, head: Option<Place>) {
        let mut state = self.state.lock();
        if state.head != head {
            state.head = head;
            state.recent = Recent::default();
            self.changed.notify_all();
        }
    }

    /// These events are durable, and follow `before` in its history.
    pub(super) fn appended(&self, before: Place, events: Vec<Event>) {
        let mut state = self.state.lock();
        if state.head != Some(before) {
            // The first of another history.
            state.recent = Recent::default();
        }
        state.head = Some(state.recent.append(before, events));
        self.changed.notify_all();
    }

    /// The events up to this position are not kept any more.
    pub(super) fn trimmed(&self, up_to: u64) {
        self.state.lock().recent.trim(up_to);
    }

    /// What follows a place, if that can be told without the file.
    pub(super) fn events_after(&self, place: Place) -> Option<News> {
        let state = self.state.lock();
        let events = match state.head == Some(place) {
            true => Vec::new(),
            false => state.recent.after(place)?,
        };
        let more = false;
        Some(News::Events { events, more })
    }

    /// Waits until there is another head than this, at most so long.
    pub(super) fn wait_for_news(&self, head: Place, wait: Duration) {
        let mut state = self.state.lock();
        if !state.wake && state.head == Some(head) {
            self.changed.wait_for(&mut state, wait);
        }
        state.wake = false;
    }

    pub(super) fn wake(&self) {
        self.state.lock().wake = true;
        self.changed.notify_all();
    }

    pub(super) fn receive(&self, heartbeat: Heartbeat) {
        let receipt = Receipt {
            heartbeat,
            received_at: heartbeat.now,
        };
        self.state
            .lock()
            .receipts
            .insert(heartbeat.replica, receipt);
    }

    pub(super) fn receipts(&self) -> Vec<Receipt> {
        self.state.lock().receipts.values().copied().collect()
    }

    pub(super) fn forget_receipts(&self, before: StoreTime) {
        let mut state = self.state.lock();
        state
            .receipts
            .retain(|_, receipt| receipt.received_at >= before);
    }
}

/// The events up to the head, one after the other, as far as they are remembered.
#[derive(Default)]
struct Recent {
    /// Where the first of them follows.
    begins_after: Option<Place>,
    events: VecDeque<(Place, Event)>,
}

impl Recent {
    /// Gives the place of the last one.
    fn append(&mut self, before: Place, events: Vec<Event>) -> Place {
        if self.events.is_empty() {
            self.begins_after = Some(before);
        }
        let mut last = before;
        for event in events {
            last.position = event.position;
            last.event = event.id;
            self.events.push_back((last, event));
        }
        let too_many = self.events.len().saturating_sub(MOST_REMEMBERED);
        if let Some((place, _)) = self.events.drain(..too_many).next_back() {
            self.begins_after = Some(place);
        }
        last
    }

    fn trim(&mut self, up_to: u64) {
        self.begins_after = self.begins_after.filter(|place| place.position > up_to);
        let kept = |(place, _): &(Place, Event)| place.position > up_to;
        let trimmed = self.events.iter().position(kept);
        self.events.drain(..trimmed.unwrap_or(self.events.len()));
    }

    fn after(&self, place: Place) -> Option<Vec<Event>> {
        let skipped = match self.begins_after == Some(place) {
            true => 0,
            false => self.events.iter().position(|(at, _)| *at == place)? + 1,
        };
        let following = self.events.range(skipped..);
        Some(following.map(|(_, event)| event.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EventId, HistoryId};

    /// The place of an event, in the history that all are of.
    fn at(position: u64) -> Place {
        Place {
            history: HistoryId::from_bytes([1; 16]),
            position,
            event: EventId::from_bytes([position as u8; 16]),
        }
    }

    fn event(position: u64) -> Event {
        Event {
            position,
            id: at(position).event,
            time: StoreTime::default(),
            body: Vec::new(),
        }
    }

    fn following(watch: &Watch, position: u64) -> Option<Vec<u64>> {
        watch.events_after(at(position)).map(|news| match news {
            News::Events { events, more } => {
                assert!(!more);
                events.iter().map(|event| event.position).collect()
            }
            other => panic!("{other:?}"),
        })
    }

    /// A commit that was reported to have failed may be there all the same when the file is
    /// opened anew: who follows must not be told that there is nothing new.
    #[test]
    fn what_is_found_in_the_file_counts() {
        let watch = Watch::new(None);
        watch.found(Some(at(1)));
        watch.appended(at(1), vec![event(2)]);
        assert_eq!(following(&watch, 1), Some(vec![2]));
        watch.found(Some(at(2)));
        assert_eq!(following(&watch, 1), Some(vec![2]), "as it was");
        watch.found(Some(at(3)));
        assert_eq!(watch.head(), Some(at(3)));
        assert_eq!(following(&watch, 3), Some(vec![]));
        assert_eq!(following(&watch, 2), None, "the file knows");
        assert_eq!(following(&watch, 1), None);
        watch.appended(at(3), vec![event(4), event(5)]);
        assert_eq!(following(&watch, 3), Some(vec![4, 5]));
        assert_eq!(following(&watch, 4), Some(vec![5]));
        assert_eq!(following(&watch, 2), None);
    }

    #[test]
    fn what_was_trimmed_is_not_remembered() {
        let watch = Watch::new(Some(at(1)));
        watch.appended(at(1), (2..7).map(event).collect());
        watch.trimmed(4);
        assert_eq!(following(&watch, 3), None);
        assert_eq!(following(&watch, 4), None, "it is for the file to say");
        assert_eq!(following(&watch, 5), Some(vec![6]));
        watch.trimmed(9);
        assert_eq!(following(&watch, 5), None);
        assert_eq!(following(&watch, 6), Some(vec![]), "the head");
        watch.appended(at(6), vec![event(7)]);
        assert_eq!(following(&watch, 6), Some(vec![7]));
    }

    #[test]
    fn what_is_behind_is_remembered_as_long_as_it_is_kept() {
        let watch = Watch::new(Some(at(5)));
        watch.appended(at(5), vec![event(6)]);
        watch.trimmed(3);
        assert_eq!(following(&watch, 5), Some(vec![6]));
        watch.trimmed(5);
        assert_eq!(following(&watch, 5), None);
    }

    #[test]
    fn receipts_are_kept_until_they_may_go() {
        let watch = Watch::new(None);
        for number in [1, 2] {
            watch.receive(Heartbeat {
                replica: ReplicaId::from_bytes([number; 16]),
                applied: None,
                max_staleness: Duration::ZERO,
                now: StoreTime::from_unix_millis(number.into()),
            });
        }
        watch.forget_receipts(StoreTime::from_unix_millis(1));
        assert_eq!(watch.receipts().len(), 2);
        watch.forget_receipts(StoreTime::from_unix_millis(2));
        let [left] = watch.receipts()[..] else {
            panic!("one")
        };
        assert_eq!(left.received_at.as_unix_millis(), 2);
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let watch = Watch::new(Some(at(1)));
        let many = MOST_REMEMBERED as u64;
        watch.appended(at(1), (2..many + 2).map(event).collect());
        assert_eq!(following(&watch, 1).unwrap().len(), MOST_REMEMBERED);
        watch.appended(at(many + 1), vec![event(many + 2)]);
        assert_eq!(following(&watch, 1), None);
        assert_eq!(following(&watch, 2).unwrap().len(), MOST_REMEMBERED);
        assert_eq!(watch.state.lock().recent.events.len(), MOST_REMEMBERED);
    }
}
