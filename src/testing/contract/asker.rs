//! Asks a store, and fails the clause if there is no answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, SystemTime},
};

use super::fresh::Fresh;
use crate::{
    Store, StoreError,
    store::{
        Answer, Beginning, Commit, Completion, Event, EventId, Heartbeat, HistoryId, NewEvent,
        NewHistory, News, Outcome, Place, Reach, Receipt, ReplicaId, Rewrap, Rows, SessionChange,
        SessionQuery, SessionRow, Snapshot, Standing, StoreTime, StoredEpoch, Tidy,
    },
};

/// How long a store may take for what it should do at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The wall clock of the asker goes on by this with every request.
const TICK: u64 = 10;

/// Asks through each connection in turn. Clones go on with the same clock and the same turns.
#[derive(Clone)]
pub(super) struct Asker {
    connections: Vec<Arc<dyn Store>>,
    turn: Arc<AtomicUsize>,
    now: Arc<AtomicU64>,
    /// Draws what is new in a request.
    pub(super) fresh: Fresh,
    pub(super) replica: ReplicaId,
}

/// A snapshot with its epochs, and when it was made.
pub(super) struct Shown {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) epochs: Vec<StoredEpoch>,
    pub(super) time: StoreTime,
}

impl Asker {
    pub(super) fn new(connections: Vec<Arc<dyn Store>>) -> Self {
        let now = StoreTime::from_system_time(SystemTime::now());
        let fresh = Fresh::default();
        Self {
            connections,
            turn: Arc::default(),
            now: Arc::new(AtomicU64::new(now.as_unix_millis())),
            replica: ReplicaId::from_bytes(fresh.bytes()),
            fresh,
        }
    }

    pub(super) fn let_go(&mut self) {
        self.connections.clear();
    }

    pub(super) fn connect(&mut self, connections: Vec<Arc<dyn Store>>) {
        self.connections = connections;
    }

    pub(super) fn connection(&self) -> &Arc<dyn Store> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        &self.connections[turn % self.connections.len()]
    }

    pub(super) fn reach(&self) -> Reach {
        self.connections[0].reach()
    }

    /// The wall clock of the asker. A shared store has its own.
    pub(super) fn now(&self) -> StoreTime {
        StoreTime::from_unix_millis(self.now.fetch_add(TICK, Ordering::SeqCst) + TICK)
    }

    /// Sets the asker's wall clock.
    pub(super) fn set_now(&self, now: StoreTime) {
        self.now.store(now.as_unix_millis(), Ordering::SeqCst);
    }

    /// Lets a shared store's clock go on; that of another follows the asker's.
    pub(super) fn let_time_pass(&self) {
        if self.reach() == Reach::Shared {
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    pub(super) fn heartbeat(&self, applied: Option<Place>) -> Heartbeat {
        Heartbeat {
            replica: self.replica,
            applied,
            max_staleness: Duration::from_secs(10),
            now: self.now(),
        }
    }

    pub(super) fn hear(&self, heartbeat: Heartbeat, wait: Duration) -> Answer<News> {
        let answer = self.connection().events_after(heartbeat, wait);
        answered("events_after", answer)
    }

    /// What follows a place, in one answer.
    pub(super) fn events_after(&self, applied: Option<Place>) -> News {
        self.hear(self.heartbeat(applied), Duration::ZERO).value
    }

    /// All that follows a place, in as many answers as it takes.
    pub(super) fn follow(&self, place: Place) -> Vec<Event> {
        let (mut place, mut followed) = (place, Vec::new());
        loop {
            let news = self.events_after(Some(place));
            let (events, more) = events_of(news, place);
            assert!(
                !more || !events.is_empty(),
                "an answer without events must not say that there are more"
            );
            for event in events {
                place = next_place(place, &event);
                followed.push(event);
            }
            if !more {
                return followed;
            }
        }
    }

    /// How a place stands to the log.
    pub(super) fn standing(&self, place: Place) -> Standing {
        self.standing_at(place, self.now()).value
    }

    pub(super) fn standing_at(&self, place: Place, now: StoreTime) -> Answer<Standing> {
        answered("standing", self.connection().standing(place, now))
    }

    pub(super) fn snapshot(&self) -> Shown {
        self.snapshot_at(self.now())
    }

    pub(super) fn snapshot_at(&self, now: StoreTime) -> Shown {
        let mut epochs = Vec::new();
        let answer = self
            .connection()
            .snapshot(now, &mut |epoch| epochs.push(epoch));
        let Answer { value, time } = answered("snapshot", answer);
        Shown {
            snapshot: value,
            epochs,
            time,
        }
    }

    pub(super) fn begin(&self, new: NewHistory) -> Answer<Outcome> {
        answered("begin", self.connection().begin(new))
    }

    pub(super) fn commit(&self, commit: Commit) -> Answer<Outcome> {
        completed("commit", |done| self.connection().commit(commit, done))
    }

    pub(super) fn new_commit(
        &self,
        known: Place,
        events: Vec<NewEvent>,
        sessions: Vec<SessionChange>,
    ) -> Commit {
        Commit {
            known,
            newest_key: None,
            events,
            sessions,
            now: self.now(),
        }
    }

    pub(super) fn query(&self, query: SessionQuery) -> Answer<Option<Vec<SessionRow>>> {
        completed("sessions", |done| self.connection().sessions(query, done))
    }

    pub(super) fn sessions(&self, known: Place, rows: Rows) -> Option<Vec<SessionRow>> {
        let now = self.now();
        self.query(SessionQuery { known, rows, now }).value
    }

    pub(super) fn rewrap(&self, rewrap: Rewrap) -> Answer<Outcome> {
        answered("rewrap", self.connection().rewrap(rewrap))
    }

    pub(super) fn tidy(&self, tidy: Tidy) -> Answer<Outcome> {
        answered("tidy", self.connection().tidy(tidy))
    }

    pub(super) fn receipts(&self) -> Answer<Vec<Receipt>> {
        self.receipts_at(self.now())
    }

    pub(super) fn receipts_at(&self, now: StoreTime) -> Answer<Vec<Receipt>> {
        answered("receipts", self.connection().receipts(now))
    }

    /// What this replica last said of itself, as the store keeps it.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        let mut receipts = self.receipts().value;
        receipts.retain(|receipt| receipt.heartbeat.replica == self.replica);
        assert!(
            receipts.len() < 2,
            "of each replica there is one receipt: {receipts:?}"
        );
        receipts.pop()
    }
}

/// The place of the event that follows this one.
pub(super) fn next_place(place: Place, event: &Event) -> Place {
    assert_eq!(
        event.position,
        place.position + 1,
        "events follow a place in the order of their positions, without a gap"
    );
    Place {
        position: event.position,
        event: event.id,
        ..place
    }
}

pub(super) fn events_of(news: News, place: Place) -> (Vec<Event>, bool) {
    match news {
        News::Events { events, more } => (events, more),
        other => panic!("{place:?} is in the log: events should follow it, not {other:?}"),
    }
}

/// A place that no store knows.
pub(super) fn unknown_place(fresh: &Fresh, position: u64) -> Place {
    Place {
        history: HistoryId::from_bytes(fresh.bytes()),
        position,
        event: EventId::from_bytes(fresh.bytes()),
    }
}

/// A beginning over this place, of which no history is known that went before its own.
pub(super) fn over(place: Place) -> Beginning {
    let predecessors = Vec::new();
    Beginning::Unknown {
        place,
        predecessors,
    }
}

fn completed<T: Send + 'static>(what: &str, ask: impl FnOnce(Completion<T>)) -> Answer<T> {
    let (send, receive) = mpsc::channel();
    ask(Box::new(move |answer| {
        // Nobody listens any more only if this clause has failed.
        let _ = send.send(answer);
    }));
    match receive.recv_timeout(PATIENCE) {
        Ok(answer) => answered(what, answer),
        Err(RecvTimeoutError::Timeout) => panic!("`{what}` was not completed in {PATIENCE:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("`{what}` dropped its completion uncalled"),
    }
}

fn answered<T>(what: &str, answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("`{what}` failed with {error:?}"))
}
