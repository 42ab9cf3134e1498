//! The store's log as it truly is, and what follows from it.
//!
//! A tree of events, for a store that loses its tail grows another. Every event that was
//! ever kept stays here, with the state that the log's events up to it add up to. What
//! a replica should answer follows from the event that it applied last.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use epochkey::{
    Epoch, Scope, Store,
    store::{
        Effect, Event, EventId, Heartbeat, HistoryId, KeyId, News, Place, ReplicaId, StoreTime,
    },
    testing::FaultyStore,
};

use super::rows::Sessions;

pub(crate) struct Ledger {
    /// A connection without faults.
    spy: FaultyStore,
    pub(super) sessions: Sessions,
    announced: HashMap<EventId, Change>,
    entries: HashMap<EventId, Entry>,
    head: Option<EventId>,
    /// How often the head was not above where it had been.
    breaks: usize,
    /// The first events of histories, and retired keys, that nobody has looked at yet.
    pub(crate) begun: Vec<EventId>,
    pub(crate) retired: Vec<(KeyId, StoreTime)>,
}

#[derive(Clone)]
pub(crate) enum Change {
    Bump(Scope),
    Introduce(KeyId),
    Swap(KeyId),
    Retire(KeyId),
}

struct Entry {
    place: Place,
    committed_at: StoreTime,
    parent: Option<EventId>,
    state: Arc<State>,
}

/// What the events of a log add up to.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) history: HistoryId,
    pub(crate) predecessors: Vec<HistoryId>,
    /// With positions, oldest first.
    pub(crate) ring: Vec<(KeyId, u64)>,
    pub(crate) gone: HashSet<KeyId>,
    /// The newest bump of each scope.
    pub(crate) bumps: HashMap<Scope, (EventId, u64)>,
}

impl State {
    fn after(&self, place: Place, change: &Change) -> Self {
        let mut state = self.clone();
        match change {
            Change::Bump(scope) => {
                let bump = (place.event, place.position);
                state.bumps.insert(scope.clone(), bump);
            }
            Change::Introduce(key) => state.ring.push((*key, place.position)),
            Change::Swap(key) => {
                state.gone.extend(state.ring.drain(..).map(|(key, _)| key));
                state.ring.push((*key, place.position));
            }
            Change::Retire(key) => {
                state.ring.retain(|(kept, _)| kept != key);
                state.gone.insert(*key);
            }
        }
        state
    }

    pub(crate) fn floor(&self) -> u64 {
        self.ring.first().map_or(0, |(_, position)| *position)
    }
}

impl Ledger {
    pub(crate) fn new(server: &FaultyStore) -> Self {
        Self {
            spy: server.connect(),
            sessions: Sessions::default(),
            announced: HashMap::new(),
            entries: HashMap::new(),
            head: None,
            breaks: 0,
            begun: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// Somebody is about to commit this event. `scope` is what it bumps, if it is a bump
    /// and that matters.
    pub(crate) fn announce(&mut self, event: EventId, effect: &Effect, scope: Option<Scope>) {
        let change = match effect {
            Effect::Epoch { .. } => Change::Bump(scope.unwrap_or_else(|| Scope::user("somebody"))),
            Effect::AddKey { key, .. } => Change::Introduce(*key),
            Effect::ReplaceKeys { key, .. } => Change::Swap(*key),
            Effect::RemoveKey { key } => Change::Retire(*key),
        };
        self.announced.insert(event, change);
    }

    /// Looks at the store again. To be called after everything that may change it.
    pub(crate) fn look(&mut self) {
        loop {
            let applied = self.head.map(|head| self.entries[&head].place);
            let heartbeat = Heartbeat {
                replica: ReplicaId::from_bytes([0; 16]),
                applied,
                max_staleness: Duration::ZERO,
                now: StoreTime::default(),
            };
            let news = self.spy.events_after(heartbeat, Duration::ZERO);
            match news.expect("the spy is never cut").value {
                News::Events { events, more } => {
                    for event in events {
                        self.append(event);
                    }
                    if !more {
                        return;
                    }
                }
                News::TakeSnapshot | News::NotMyPast => return self.look_at_the_head(),
            }
        }
    }

    fn append(&mut self, event: Event) {
        let parent = self.head.expect("an event follows the head");
        let before = &self.entries[&parent];
        let place = Place {
            position: event.position,
            event: event.id,
            ..before.place
        };
        let change = &self.announced[&event.id];
        if let Change::Retire(key) = change {
            self.retired.push((*key, event.time));
        }
        let state = Arc::new(before.state.after(place, change));
        let entry = Entry {
            place,
            committed_at: event.time,
            parent: Some(parent),
            state,
        };
        self.entries.insert(event.id, entry);
        self.head = Some(event.id);
    }

    /// The store is back at an event that is known, or a history has just begun.
    fn look_at_the_head(&mut self) {
        let snapshot = self.spy.snapshot(StoreTime::default(), &mut |_| {});
        let snapshot = snapshot.expect("the spy is never cut").value;
        self.head = snapshot.as_ref().map(|snapshot| snapshot.head.event);
        self.breaks += 1;
        let Some(snapshot) = snapshot else { return };
        let place = snapshot.head;
        if self.entries.contains_key(&place.event) {
            return;
        }
        let empty = State {
            history: place.history,
            predecessors: snapshot.predecessors,
            ring: Vec::new(),
            gone: HashSet::new(),
            bumps: HashMap::new(),
        };
        let entry = Entry {
            place,
            committed_at: snapshot
                .keys
                .last()
                .map_or_else(StoreTime::default, |key| key.introduced_at),
            parent: None,
            state: Arc::new(empty.after(place, &self.announced[&place.event])),
        };
        self.entries.insert(place.event, entry);
        self.begun.push(place.event);
    }
}

/// Questions about the tree.
impl Ledger {
    /// The event at the store's head, unless the store is empty.
    pub(crate) fn head(&self) -> Option<EventId> {
        self.head
    }

    /// How often the log was broken off, by a loss or a new history.
    pub(crate) fn breaks(&self) -> usize {
        self.breaks
    }

    pub(super) fn spy(&self) -> &FaultyStore {
        &self.spy
    }

    pub(crate) fn knows(&self, event: EventId) -> bool {
        self.entries.contains_key(&event)
    }

    pub(crate) fn place(&self, event: EventId) -> Place {
        self.entries[&event].place
    }

    /// When the event was committed, by the store's clock.
    pub(crate) fn committed_at(&self, event: EventId) -> StoreTime {
        self.entries[&event].committed_at
    }

    /// The state that the log up to this event adds up to.
    pub(crate) fn state(&self, event: EventId) -> &Arc<State> {
        &self.entries[&event].state
    }

    /// The event that began a history, by its epoch.
    pub(crate) fn first_event(&self, epoch: Epoch) -> Option<EventId> {
        let mut entries = self.entries.iter();
        let first = entries.find(|(_, entry)| {
            let Place {
                history, position, ..
            } = entry.place;
            entry.parent.is_none()
                && format!("{epoch:?}") == format!("Epoch({position} of {history})")
        });
        first.map(|(event, _)| *event)
    }

    /// Whether the log up to `later` contains `event`.
    pub(crate) fn contains(&self, later: EventId, event: EventId) -> bool {
        let Some(place) = self.entries.get(&event).map(|entry| entry.place) else {
            return false;
        };
        let mut at = Some(later);
        while let Some(id) = at {
            let entry = &self.entries[&id];
            if id == event {
                return true;
            }
            if entry.place.position <= place.position {
                return false;
            }
            at = entry.parent;
        }
        false
    }

    /// Whether the store contains the event at this moment.
    pub(crate) fn keeps(&self, event: EventId) -> bool {
        self.head.is_some_and(|head| self.contains(head, event))
    }

    /// Whether what the event did is in force for one who has applied the log up to
    /// `later`: it is contained, or everything from its history is dead.
    pub(crate) fn in_force(&self, later: EventId, event: EventId) -> bool {
        let Some(entry) = self.entries.get(&event) else {
            return false;
        };
        let state = self.state(later);
        self.contains(later, event) || state.predecessors.contains(&entry.place.history)
    }

    /// Whether the store knows nothing of this event, so that a restart is right.
    pub(crate) fn has_lost(&self, place: Place) -> bool {
        let Some(head) = self.head else { return true };
        !self.contains(head, place.event) && !self.state(head).predecessors.contains(&place.history)
    }
}
