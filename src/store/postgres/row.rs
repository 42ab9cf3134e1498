//! What the server answers. Nothing of it is believed before it was looked at.

use std::{error::Error, time::Duration};

use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::failure::Failure;
use crate::store::{
    Event, EventId, Heartbeat, HistoryId, KeyId, NewRow, Place, Receipt, ReplicaId, RowId,
    RowVersion, SessionRow, Standing, StoreTime, StoredEpoch, StoredKey,
};

/// The version of the tables that this crate reads and writes.
pub(super) const SCHEMA_VERSION: i32 = 1;

type Result<T, E = Failure> = std::result::Result<T, E>;

/// The values of a row, one after the other.
pub(super) struct Fields<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Fields<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn get<T: FromSql<'r>>(&mut self) -> Result<T> {
        let value = self.row.try_get(self.next);
        self.next += 1;
        value.map_err(|_| Failure::Unreadable)
    }

    pub(super) fn skip(&mut self, fields: usize) {
        self.next += fields;
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        self.get()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        exactly(self.get()?)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        unsigned(self.get()?)
    }

    pub(super) fn time(&mut self) -> Result<StoreTime> {
        self.number().map(StoreTime::from_unix_millis)
    }

    pub(super) fn place(&mut self) -> Result<Place> {
        Ok(Place {
            history: HistoryId::from_bytes(self.array()?),
            position: self.number()?,
            event: EventId::from_bytes(self.array()?),
        })
    }

    /// As [`place`](Self::place), where there may be none: then the fields are skipped.
    pub(super) fn place_if_any(&mut self) -> Result<Option<Place>> {
        match self.row.try_get::<_, Option<&[u8]>>(self.next) {
            Ok(Some(_)) => self.place().map(Some),
            Ok(None) => {
                self.next += 3;
                Ok(None)
            }
            Err(_) => Err(Failure::Unreadable),
        }
    }

    pub(super) fn histories(&mut self) -> Result<Vec<HistoryId>> {
        let Elements(histories) = self.get()?;
        let histories = histories.into_iter().map(exactly);
        histories
            .map(|history| history.map(HistoryId::from_bytes))
            .collect()
    }

    /// The store's clock, in an answer of a primary whose tables we know.
    pub(super) fn heading(&mut self) -> Result<StoreTime> {
        let (version, is_standby): (Option<i32>, bool) = (self.get()?, self.get()?);
        let time = self.time()?;
        match (version, is_standby) {
            (_, true) => Err(Failure::NotPrimary),
            // All tables may have been emptied.
            (None | Some(SCHEMA_VERSION), false) => Ok(time),
            _ => Err(Failure::Newer),
        }
    }
}

/// The elements of an array of bytes.
struct Elements<'a>(Vec<&'a [u8]>);

impl<'a> FromSql<'a> for Elements<'a> {
    fn from_sql(kind: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // The library makes room for as many as are announced, and ends the process if there is
        // not so much. Each has its length before it.
        if let Some(&announced) = bytes.get(12..).and_then(<[u8]>::first_chunk)
            && u32::from_be_bytes(announced) as usize > bytes.len() / 4
        {
            return Err("more elements than bytes for them".into());
        }
        Vec::from_sql(kind, bytes).map(Self)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::BYTEA_ARRAY
    }
}

pub(super) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Failure::Unreadable)
}

pub(super) fn unsigned(number: i64) -> Result<u64> {
    number.try_into().map_err(|_| Failure::Unreadable)
}

/// The first of several rows.
pub(super) fn first(rows: &[Row]) -> Result<&Row> {
    rows.first().ok_or(Failure::Unreadable)
}

/// What every row of an answer to a question about a place begins with.
pub(super) struct State {
    pub(super) time: StoreTime,
    pub(super) log: Option<Log>,
}

/// The log, as far as it concerns a place.
pub(super) struct Log {
    pub(super) head: Place,
    pub(super) predecessors: Vec<HistoryId>,
    /// The event at the place's position.
    pub(super) event_there: Option<EventId>,
    pub(super) oldest: Option<u64>,
}

impl State {
    /// Reads it, and leaves the fields behind it.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self> {
        let time = fields.heading()?;
        let head = fields.place_if_any()?;
        let log = match head {
            None => {
                fields.skip(5);
                None
            }
            Some(head) => {
                let predecessors = fields.histories()?;
                fields.skip(1);
                let there: Option<&[u8]> = fields.get()?;
                let event_there = there.map(exactly).transpose()?.map(EventId::from_bytes);
                let oldest: Option<i64> = fields.get()?;
                fields.skip(1);
                Some(Log {
                    head,
                    predecessors,
                    event_there,
                    oldest: oldest.map(unsigned).transpose()?,
                })
            }
        };
        Ok(Self { time, log })
    }

    pub(super) fn standing(&self, place: Place) -> Result<Standing> {
        let log = self.log.as_ref();
        log.map_or(Ok(Standing::Unknown), |log| log.standing(place))
    }
}

impl Log {
    pub(super) fn standing(&self, place: Place) -> Result<Standing> {
        if place.history != self.head.history {
            return Ok(match self.predecessors.contains(&place.history) {
                true => Standing::Before,
                false => Standing::Unknown,
            });
        }
        if place.position > self.head.position {
            return Ok(Standing::Unknown);
        }
        match (self.event_there, self.oldest) {
            (Some(event), _) if event == place.event => Ok(Standing::Part),
            (Some(_), _) => Ok(Standing::Unknown),
            (None, Some(oldest)) if place.position < oldest => Ok(Standing::Trimmed),
            (None, _) => Err(Failure::Damaged("events are missing from the log")),
        }
    }
}

/// An event behind the state, if the row has one.
pub(super) fn event(fields: &mut Fields<'_>) -> Result<Option<Event>> {
    let Some(position) = fields.get::<Option<i64>>()? else {
        return Ok(None);
    };
    Ok(Some(Event {
        position: unsigned(position)?,
        id: EventId::from_bytes(fields.array()?),
        time: fields.time()?,
        body: fields.bytes()?,
    }))
}

/// A session behind the state, if the row has one.
pub(super) fn session(fields: &mut Fields<'_>) -> Result<Option<SessionRow>> {
    let Some(id) = fields.get::<Option<&[u8]>>()? else {
        return Ok(None);
    };
    let (user, version) = (fields.array()?, fields.array()?);
    let (rotated_at, expires_at) = (fields.time()?, fields.time()?);
    Ok(Some(SessionRow {
        row: NewRow {
            id: RowId::from_bytes(exactly(id)?),
            user,
            version: RowVersion::from_bytes(version),
            expires_at,
            body: fields.bytes()?,
        },
        rotated_at,
    }))
}

/// A receipt behind the heading, if the row has one.
pub(super) fn receipt(fields: &mut Fields<'_>) -> Result<Option<Receipt>> {
    let Some(replica) = fields.get::<Option<&[u8]>>()? else {
        return Ok(None);
    };
    let received_at = fields.time()?;
    let max_staleness = Duration::from_millis(fields.number()?);
    Ok(Some(Receipt {
        heartbeat: Heartbeat {
            replica: ReplicaId::from_bytes(exactly(replica)?),
            applied: fields.place_if_any()?,
            max_staleness,
            now: received_at,
        },
        received_at,
    }))
}

pub(super) fn ring_key(row: &Row) -> Result<StoredKey> {
    let mut fields = Fields::of(row);
    Ok(StoredKey {
        id: KeyId::from_bytes(fields.array()?),
        position: fields.number()?,
        introduced_at: fields.time()?,
        record: fields.bytes()?,
    })
}

pub(super) fn epoch(row: &Row) -> Result<StoredEpoch> {
    let mut fields = Fields::of(row);
    Ok(StoredEpoch {
        tag: fields.array()?,
        position: fields.number()?,
        secret: fields.array()?,
    })
}
