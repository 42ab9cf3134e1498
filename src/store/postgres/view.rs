//! What a change sees before it is decided: read after the lock that all changes take, so nothing
//! of it changes until it is done.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::{
    failure::Failure,
    row::{self, Fields, Log, first},
    server::{Connected, Server},
    step::Step,
};
use crate::store::{
    Commit, Effect, EventId, HistoryId, Place, RowId, RowVersion, SessionChange, Standing,
    StoreTime, StoredKey,
};

type Result<T> = std::result::Result<T, Failure>;

/// How many fields there are before an event.
const EVENT_FROM: usize = 5;

/// What is to be looked at besides the log's head.
#[derive(Default)]
pub(super) struct Wanted {
    /// The events at these positions.
    pub(super) positions: HashSet<u64>,
    pub(super) ring_keys: bool,
    pub(super) rows: HashSet<RowId>,
    pub(super) users: HashSet<[u8; 16]>,
    pub(super) tags: HashSet<[u8; 16]>,
}

/// A session's row, as far as changes are decided by it.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) user: [u8; 16],
    pub(super) version: RowVersion,
    pub(super) rotated_at: StoreTime,
}

/// The log's head, and what is kept beside it.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) place: Place,
    pub(super) predecessors: Vec<HistoryId>,
    pub(super) session_line: Vec<u8>,
    pub(super) ring_keys: u64,
    pub(super) epochs: u64,
    pub(super) swept: u64,
}

pub(super) struct View {
    pub(super) time: StoreTime,
    pub(super) head: Option<Head>,
    events: HashMap<u64, EventId>,
    oldest: Option<u64>,
    pub(super) ring_keys: Vec<StoredKey>,
    pub(super) sessions: HashMap<RowId, Held>,
    pub(super) tags: HashSet<[u8; 16]>,
}

impl Wanted {
    pub(super) fn add(&mut self, commit: &Commit) {
        self.positions.insert(commit.known.position);
        self.ring_keys |= commit.newest_key.is_some();
        for event in &commit.events {
            match &event.effect {
                Effect::Epoch { tag, .. } => drop(self.tags.insert(*tag)),
                _ => self.ring_keys = true,
            }
        }
        for change in &commit.sessions {
            match change {
                SessionChange::Start(row) | SessionChange::Replace { row, .. } => {
                    self.rows.insert(row.id);
                }
                SessionChange::End { row, .. } => drop(self.rows.insert(*row)),
                SessionChange::EndOfUser { user, .. } | SessionChange::NoOthers { user, .. } => {
                    self.users.insert(*user);
                }
            }
        }
    }
}

impl View {
    /// Begins a transaction, locks the head and looks. If this fails, nothing is open.
    pub(super) async fn open(
        server: &Server,
        connected: &Connected,
        wanted: &Wanted,
    ) -> Result<Self> {
        let sql = &server.sql;
        let positions = wanted.positions.iter().copied();
        let mut steps = vec![
            Step::script(&server.scripts.begin_change),
            Step::new(&sql.lock_head),
            Step::new(&sql.surroundings).many_numbers(positions),
        ];
        if wanted.ring_keys {
            steps.push(Step::new(&sql.ring_keys));
        }
        let has_sessions = !wanted.rows.is_empty() || !wanted.users.is_empty();
        if has_sessions {
            let rows = wanted.rows.iter().map(|row| &row.as_bytes()[..]);
            let users = wanted.users.iter().map(|user| &user[..]);
            let step = Step::new(&sql.sessions_touched);
            steps.push(step.many_bytes(rows).many_bytes(users));
        }
        if !wanted.tags.is_empty() {
            let tags = wanted.tags.iter().map(|tag| &tag[..]);
            steps.push(Step::new(&sql.tags_known).many_bytes(tags));
        }
        let view = match connected.connection.flight(&steps).await {
            Ok(answers) => Self::read(server, wanted, &answers[1..]),
            Err(failure) => Err(failure),
        };
        match view {
            Ok(view) => Ok(view),
            Err(failure) => {
                leave(server, connected, failure.wants_other_connection()).await?;
                Err(failure)
            }
        }
    }

    fn read(server: &Server, wanted: &Wanted, answers: &[Vec<Row>]) -> Result<Self> {
        let mut answers = answers.iter();
        let mut next = || answers.next().ok_or(Failure::Unreadable);
        let head = next()?.first().map(head).transpose()?;
        let surroundings = next()?;
        let mut fields = Fields::of(first(surroundings)?);
        let time = fields.heading()?;
        if !fields.get::<bool>()? && !server.accepts_loss() {
            return Err(Failure::Weak);
        }
        let oldest: Option<i64> = fields.get()?;
        let oldest = oldest.map(row::unsigned).transpose()?;
        let events = events(surroundings)?;
        let mut view = Self {
            time,
            head,
            events,
            oldest,
            ring_keys: Vec::new(),
            sessions: HashMap::new(),
            tags: HashSet::new(),
        };
        if wanted.ring_keys {
            view.ring_keys = next()?.iter().map(row::ring_key).collect::<Result<_>>()?;
        }
        if !wanted.rows.is_empty() || !wanted.users.is_empty() {
            view.sessions = next()?.iter().map(held).collect::<Result<_>>()?;
        }
        if !wanted.tags.is_empty() {
            let tags = next()?.iter().map(|row| Fields::of(row).array());
            view.tags = tags.collect::<Result<_>>()?;
        }
        view.check(wanted)?;
        Ok(view)
    }

    /// Whether what belongs together is there together.
    fn check(&self, wanted: &Wanted) -> Result<()> {
        let Some(head) = &self.head else {
            return Ok(());
        };
        if self.events.get(&head.place.position) != Some(&head.place.event) {
            return Err(Failure::Damaged("the log does not end at its head"));
        }
        if wanted.ring_keys && self.ring_keys.len() as u64 != head.ring_keys {
            return Err(Failure::Damaged("ring keys are missing"));
        }
        Ok(())
    }

    pub(super) fn standing(&self, place: Place) -> Result<Standing> {
        let Some(head) = &self.head else {
            return Ok(Standing::Unknown);
        };
        let log = Log {
            head: head.place,
            predecessors: head.predecessors.clone(),
            event_there: self.events.get(&place.position).copied(),
            oldest: self.oldest,
        };
        log.standing(place)
    }

    /// The head, if the log is a later state of what is known.
    pub(super) fn head_since(&self, known: Place) -> Result<Option<&Head>> {
        let is_since = matches!(self.standing(known)?, Standing::Part | Standing::Trimmed);
        Ok(self.head.as_ref().filter(|_| is_since))
    }
}

/// Ends a transaction that is to change nothing.
pub(super) async fn leave(server: &Server, connected: &Connected, is_lost: bool) -> Result<()> {
    if is_lost {
        return Ok(());
    }
    let rollback = Step::script(&server.scripts.rollback);
    connected.connection.flight(&[rollback]).await.map(drop)
}

fn head(row: &Row) -> Result<Head> {
    let mut fields = Fields::of(row);
    Ok(Head {
        place: fields.place()?,
        predecessors: fields.histories()?,
        session_line: fields.bytes()?,
        ring_keys: fields.number()?,
        epochs: fields.number()?,
        swept: fields.number()?,
    })
}

/// Events by their positions.
fn events(rows: &[Row]) -> Result<HashMap<u64, EventId>> {
    let mut events = HashMap::new();
    for row in rows {
        let mut fields = Fields::of(row);
        fields.skip(EVENT_FROM);
        let (position, id): (Option<i64>, Option<&[u8]>) = (fields.get()?, fields.get()?);
        if let (Some(position), Some(id)) = (position, id) {
            let id = EventId::from_bytes(row::exactly(id)?);
            events.insert(row::unsigned(position)?, id);
        }
    }
    Ok(events)
}

fn held(row: &Row) -> Result<(RowId, Held)> {
    let mut fields = Fields::of(row);
    let id = RowId::from_bytes(fields.array()?);
    let held = Held {
        user: fields.array()?,
        version: RowVersion::from_bytes(fields.array()?),
        rotated_at: fields.time()?,
    };
    Ok((id, held))
}
