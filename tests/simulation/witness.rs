//! What goes over a replica's connection, seen by the model.

use std::{sync::Arc, time::Duration};

use epochkey::{
    Clock, Scope, ScopeKind, Store, StoreError,
    store::{
        Answer, Beginning, Commit, Completion, EventId, Heartbeat, NewHistory, News, Outcome,
        Place, Reach, Receipt, Rewrap, Rows, SessionChange, SessionQuery, SessionRow, Snapshot,
        Standing, StoreTime, StoredEpoch, Tidy,
    },
    testing::{FaultyStore, ManualClock},
};
use parking_lot::Mutex;

use super::{SKEW, STALENESS, ledger::Ledger, rows::Read};

/// A connection whose traffic is noted, and can be interrupted.
pub(crate) struct Witness {
    pub(crate) store: FaultyStore,
    pub(crate) notes: Arc<Notes>,
}

pub(crate) struct Notes {
    pub(crate) clock: ManualClock,
    pub(crate) server_clock: ManualClock,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) seen: Mutex<Seen>,
    interlude: Mutex<Option<Interlude>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// What it was told of, lately.
    pub(crate) places: Vec<Place>,
    /// When it sent the last exchange that may count as fresh news.
    pub(crate) fresh: Option<Sent>,
    /// When it last did, by the server's clock, whether or not that still counts.
    pub(crate) heard: StoreTime,
    /// The scopes of the next bumps.
    pub(crate) scopes: Vec<Scope>,
    /// Whose sessions are asked for next.
    pub(crate) user: Option<String>,
    /// What was there when rows were asked for.
    pub(crate) reads: Vec<Read>,
    /// The events of the last commit.
    pub(crate) committed: Vec<EventId>,
    /// Whether it began a history that it had no right to.
    pub(crate) violation: Option<String>,
    /// Whether an exchange has reached the head, so that what follows is not about news.
    pub(crate) settles: bool,
    /// Whether it may take a snapshot at the head for another reason than to begin a history:
    /// to wrap it anew, or because it cannot read what follows.
    pub(crate) may_load: bool,
    /// Whether what it reads is old.
    pub(crate) lags: bool,
    /// Whether an interlude took place.
    pub(crate) interrupted: bool,
    /// Whether it came back after so long that what it had applied may be trimmed.
    pub(crate) was_away: bool,
}

/// When an exchange was sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) wall: StoreTime,
    pub(crate) monotonic: Duration,
    /// By the server's clock.
    pub(crate) truly: StoreTime,
    /// Whether the answer came from a standby.
    pub(crate) lagged: bool,
}

/// Something that happens while a request is on its way.
pub(crate) struct Interlude {
    pub(crate) during: Request,
    pub(crate) arrives_first: bool,
    pub(crate) happen: Box<dyn FnOnce() + Send>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Events,
    Standing,
    Snapshot,
    Begin,
    Commit,
    Sessions,
}

impl Notes {
    pub(crate) fn new(
        clock: ManualClock,
        server_clock: ManualClock,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            server_clock,
            ledger,
            seen: Mutex::default(),
            interlude: Mutex::default(),
        })
    }

    pub(crate) fn wall(&self) -> StoreTime {
        StoreTime::from_system_time(self.clock.now())
    }

    pub(crate) fn true_time(&self) -> StoreTime {
        StoreTime::from_system_time(self.server_clock.now())
    }

    /// How long ago, by the larger of the replica's clocks, it sent what its news came
    /// from. `None` if it has none, or its clock went back.
    pub(crate) fn age(&self) -> Option<Duration> {
        let sent = self.seen.lock().fresh?;
        let wall = self.wall().as_unix_millis();
        let wall = wall.checked_sub(sent.wall.as_unix_millis())?;
        let monotonic = self.clock.monotonic().saturating_sub(sent.monotonic);
        Some(monotonic.max(Duration::from_millis(wall)))
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age <= STALENESS)
    }

    /// Whether that is so by the server's clock, too, and from the primary.
    pub(crate) fn is_truly_fresh(&self) -> bool {
        let Some(sent) = self.seen.lock().fresh else {
            return false;
        };
        let age = self.true_time().as_unix_millis() - sent.truly.as_unix_millis();
        !sent.lagged && u128::from(age) <= STALENESS.as_millis()
    }

    /// Whether it has not heard from the store for so long that what it had applied may be
    /// trimmed: nothing is left then to prove that it was lost, and no token that it concerns.
    pub(crate) fn is_away(&self) -> bool {
        let heard = self.seen.lock().heard.as_unix_millis();
        self.true_time().as_unix_millis() - heard >= 3_600_000
    }

    /// The replica is about to follow the store.
    pub(crate) fn follows(&self) {
        let is_away = self.is_away();
        let mut seen = self.seen.lock();
        (seen.settles, seen.interrupted) = (false, false);
        seen.was_away |= is_away;
    }

    pub(crate) fn interrupt(&self, interlude: Option<Interlude>) {
        *self.interlude.lock() = interlude;
    }

    fn reached(&self, during: Request, arrives_first: bool) {
        let mut interlude = self.interlude.lock();
        let due =
            interlude.take_if(|due| due.during == during && due.arrives_first == arrives_first);
        drop(interlude);
        if let Some(due) = due {
            self.seen.lock().interrupted = true;
            (due.happen)();
            self.ledger.lock().look();
        }
    }

    /// Makes a request, interrupted before it arrives or before its answer does.
    fn pass<T>(&self, request: Request, make: impl FnOnce() -> T) -> T {
        self.reached(request, false);
        let answer = make();
        self.ledger.lock().look();
        self.reached(request, true);
        answer
    }

    fn note(&self, sent: Sent, applied: Option<Place>, answer: &Answer<News>) {
        let off = |limit: StoreTime| {
            limit
                .as_unix_millis()
                .abs_diff(answer.time.as_unix_millis())
        };
        let now = self.wall();
        let within = (sent.wall.min(now)..=sent.wall.max(now)).contains(&answer.time);
        let off_by = off(sent.wall).min(off(now));
        let mut seen = self.seen.lock();
        if seen.settles {
            return;
        }
        if !within && u128::from(off_by) > SKEW.as_millis() {
            seen.fresh = None;
            return;
        }
        match &answer.value {
            News::Events { events, more } => {
                let (Some(mut place), Some(applied)) = (applied, applied) else {
                    return;
                };
                let first = events.first().map(|event| event.position);
                if first.is_some_and(|first| first != applied.position + 1) {
                    return;
                }
                for event in events {
                    (place.position, place.event) = (event.position, event.id);
                    seen.places.push(place);
                }
                if !more {
                    seen.fresh = Some(sent);
                    seen.heard = sent.truly;
                    seen.settles = true;
                }
            }
            News::TakeSnapshot => {}
            News::NotMyPast => seen.fresh = None,
        }
    }

    /// Whether this history may begin now.
    fn judge(&self, beginning: &Beginning) {
        let ledger = self.ledger.lock();
        if let Beginning::Unknown { place, .. } = beginning
            && !ledger.has_lost(*place)
        {
            let violation = format!("a restart although the store knows {place:?}");
            self.seen.lock().violation = Some(violation);
        }
    }
}

impl Witness {
    /// Lets the ledger know when sessions have begun.
    fn telling(&self, commit: &Commit, done: Completion<Outcome>) -> Completion<Outcome> {
        let rows = commit.sessions.iter().filter_map(|change| match change {
            SessionChange::Start(row) => Some((row.id, row.user)),
            _ => None,
        });
        let (started, ledger) = (rows.collect::<Vec<_>>(), Arc::clone(&self.notes.ledger));
        if started.is_empty() {
            return done;
        }
        Box::new(move |answer| {
            if let Ok(answer) = &answer
                && let Outcome::Done { head } = answer.value
            {
                ledger.lock().has_begun(&started, head);
            }
            done(answer);
        })
    }
}

/// Whose rows a bump ends is known by whom it bumps.
fn name_users(ledger: &mut Ledger, commit: &Commit, scopes: &[Scope]) {
    let users = scopes
        .iter()
        .filter(|scope| scope.kind() == ScopeKind::User);
    let tags = commit.sessions.iter().filter_map(|change| match change {
        SessionChange::EndOfUser { user, except: None } => Some(*user),
        _ => None,
    });
    for (tag, scope) in tags.zip(users) {
        ledger.name_user(tag, scope.id());
    }
}

impl Store for Witness {
    fn reach(&self) -> Reach {
        self.store.reach()
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        let notes = &self.notes;
        let sent = Sent {
            wall: notes.wall(),
            monotonic: notes.clock.monotonic(),
            truly: notes.true_time(),
            lagged: notes.seen.lock().lags,
        };
        let applied = heartbeat.applied;
        let answer = notes.pass(Request::Events, || self.store.events_after(heartbeat, wait))?;
        notes.note(sent, applied, &answer);
        Ok(answer)
    }

    fn standing(&self, place: Place, now: StoreTime) -> Result<Answer<Standing>, StoreError> {
        self.notes
            .pass(Request::Standing, || self.store.standing(place, now))
    }

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let mut seen = self.notes.seen.lock();
        let begins = seen.settles && !seen.may_load;
        if begins {
            // To begin a history it looks at the store's secrets, and trusts no news.
            (seen.settles, seen.fresh) = (false, None);
        }
        drop(seen);
        let answer = self
            .notes
            .pass(Request::Snapshot, || self.store.snapshot(now, epochs))?;
        if let Some(snapshot) = answer.value.as_ref().filter(|_| !begins) {
            self.notes.seen.lock().places.push(snapshot.head);
        }
        Ok(answer)
    }

    fn begin(&self, new: NewHistory) -> Result<Answer<Outcome>, StoreError> {
        let (event, beginning) = (new.event.id, new.beginning.clone());
        let mut seen = self.notes.seen.lock();
        (seen.settles, seen.fresh) = (false, None);
        drop(seen);
        let mut ledger = self.notes.ledger.lock();
        ledger.announce(event, &new.event.effect, None);
        drop(ledger);
        self.notes.pass(Request::Begin, || {
            let answer = self.store.begin(new);
            if matches!(&answer, Ok(answer) if matches!(answer.value, Outcome::Done { .. })) {
                self.notes.judge(&beginning);
            }
            answer
        })
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        let mut scopes = std::mem::take(&mut self.notes.seen.lock().scopes);
        if scopes.is_empty() {
            scopes = Ledger::scopes_of(&commit);
        }
        let mut ledger = self.notes.ledger.lock();
        ledger.announce_rows(&commit, &self.notes.seen.lock().reads);
        name_users(&mut ledger, &commit, &scopes);
        let mut scopes = scopes.into_iter();
        for event in &commit.events {
            let scope = match event.effect {
                epochkey::store::Effect::Epoch { .. } => scopes.next(),
                _ => None,
            };
            ledger.announce(event.id, &event.effect, scope);
        }
        drop(ledger);
        let done = self.telling(&commit, done);
        let ids = commit.events.iter().map(|event| event.id);
        self.notes.seen.lock().committed = ids.collect();
        self.notes
            .pass(Request::Commit, || self.store.commit(commit, done));
    }

    fn sessions(&self, query: SessionQuery, done: Completion<Option<Vec<SessionRow>>>) {
        let notes = &self.notes;
        let user = notes.seen.lock().user.take();
        notes.pass(Request::Sessions, || {
            let mut ledger = notes.ledger.lock();
            match (query.rows, user) {
                (Rows::One(id), _) => {
                    let read = ledger.read(id);
                    notes.seen.lock().reads.push(read);
                }
                (Rows::OfUser(tag), Some(user)) => ledger.name_user(tag, &user),
                (Rows::OfUser(_), None) => {}
            }
            drop(ledger);
            self.store.sessions(query, done);
        });
    }

    fn rewrap(&self, rewrap: Rewrap) -> Result<Answer<Outcome>, StoreError> {
        self.notes.seen.lock().may_load = false;
        self.store.rewrap(rewrap)
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        self.store.tidy(tidy)
    }

    fn receipts(&self, now: StoreTime) -> Result<Answer<Vec<Receipt>>, StoreError> {
        self.store.receipts(now)
    }

    fn wake(&self) {
        self.store.wake();
    }
}
