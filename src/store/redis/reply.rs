//! What the server answers. Nothing of it is believed before it was looked at.

use std::{time::Duration, vec};

use redis::Value;

use crate::store::{
    Answer, Event, EventId, Heartbeat, HistoryId, KeyId, NewRow, News, Outcome, Place, Receipt,
    Refusal, ReplicaId, RowId, RowVersion, SessionRow, Snapshot, Standing, StoreTime, StoredEpoch,
    StoredKey,
};

/// An answer is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

type Result<T> = std::result::Result<T, Unreadable>;

/// The values of an array, one after the other.
struct Fields(vec::IntoIter<Value>);

impl Fields {
    fn of(value: Value) -> Result<Self> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(Unreadable),
        }
    }

    fn value(&mut self) -> Result<Value> {
        self.0.next().ok_or(Unreadable)
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.value()? {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(Unreadable),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        exactly(&self.bytes()?)
    }

    fn number(&mut self) -> Result<u64> {
        number(&self.bytes()?)
    }

    fn time(&mut self) -> Result<StoreTime> {
        self.number().map(StoreTime::from_unix_millis)
    }

    fn fields(&mut self) -> Result<Self> {
        Self::of(self.value()?)
    }

    fn place(&mut self) -> Result<Place> {
        Ok(Place {
            history: HistoryId::from_bytes(self.array()?),
            position: self.number()?,
            event: EventId::from_bytes(self.array()?),
        })
    }

    /// What is left, each made of two values.
    fn pairs<T>(mut self, pair: impl Fn(&[u8], &[u8]) -> Result<T>) -> Result<Vec<T>> {
        let mut pairs = Vec::with_capacity(self.0.len() / 2);
        while self.0.len() > 0 {
            pairs.push(pair(&self.bytes()?, &self.bytes()?)?);
        }
        Ok(pairs)
    }

    fn end(mut self) -> Result<()> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err(Unreadable),
        }
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Unreadable)
}

/// In plain decimal.
fn number(bytes: &[u8]) -> Result<u64> {
    let digits = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Unreadable),
        false => Err(Unreadable),
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8])> {
    bytes.split_first_chunk().ok_or(Unreadable)
}

/// A number, the space behind it, and what follows that.
fn split_number(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ');
    let (digits, rest) = bytes.split_at(space.ok_or(Unreadable)?);
    Ok((number(digits)?, &rest[1..]))
}

/// The time of an answer, what kind of answer it is, and the rest of it.
fn open(value: Value) -> Result<(StoreTime, Vec<u8>, Fields)> {
    let mut fields = Fields::of(value)?;
    Ok((fields.time()?, fields.bytes()?, fields))
}

pub(super) fn outcome(value: Value) -> Result<Answer<Outcome>> {
    let (time, kind, mut fields) = open(value)?;
    let value = match &kind[..] {
        b"done" => {
            let head = fields.place()?;
            Outcome::Done { head }
        }
        b"refused" => Outcome::Refused(match &fields.bytes()?[..] {
            b"place" => Refusal::Place,
            b"key" => Refusal::Key,
            b"session" => Refusal::Session,
            b"beginning" => Refusal::Beginning,
            _ => return Err(Unreadable),
        }),
        _ => return Err(Unreadable),
    };
    fields.end()?;
    Ok(Answer { value, time })
}

/// The outcome of a step of tidying, and whether there is more to forget.
pub(super) fn tidied(value: Value) -> Result<(Answer<Outcome>, bool)> {
    let Value::Array(mut values) = value else {
        return Err(Unreadable);
    };
    let more = match values.len() {
        // Done, with a head.
        6 => values.pop(),
        _ => None,
    };
    let more = match more {
        None => false,
        Some(Value::BulkString(flag)) if flag == b"1" => true,
        Some(Value::BulkString(flag)) if flag == b"0" => false,
        Some(_) => return Err(Unreadable),
    };
    Ok((outcome(Value::Array(values))?, more))
}

/// What follows a place, and the position of the log's head.
pub(super) fn news(value: Value, after: Option<Place>) -> Result<(Answer<News>, Option<u64>)> {
    let (time, kind, mut fields) = open(value)?;
    let (value, head) = match (&kind[..], after) {
        (b"events", Some(after)) => {
            let head = fields.number()?;
            let events: Vec<Event> = fields.fields()?.0.map(event).collect::<Result<_>>()?;
            let last = events.last().map_or(after.position, |event| event.position);
            let more = last != head;
            (News::Events { events, more }, Some(head))
        }
        (b"snapshot", _) => (News::TakeSnapshot, None),
        (b"unknown", Some(_)) => (News::NotMyPast, None),
        _ => return Err(Unreadable),
    };
    fields.end()?;
    Ok((Answer { value, time }, head))
}

/// The position in the id of a stream's entry.
fn entry_position(id: &[u8]) -> Result<u64> {
    number(id.strip_suffix(b"-0").ok_or(Unreadable)?)
}

fn event(entry: Value) -> Result<Event> {
    let mut entry = Fields::of(entry)?;
    let position = entry_position(&entry.bytes()?)?;
    let mut fields = entry.fields()?;
    entry.end()?;
    let (mut id, mut time, mut body) = (None, None, None);
    while fields.0.len() > 0 {
        match &fields.bytes()?[..] {
            b"id" => id = Some(EventId::from_bytes(fields.array()?)),
            b"time" => time = Some(fields.time()?),
            b"body" => body = Some(fields.bytes()?),
            _ => drop(fields.value()?),
        }
    }
    Ok(Event {
        position,
        id: id.ok_or(Unreadable)?,
        time: time.ok_or(Unreadable)?,
        body: body.ok_or(Unreadable)?,
    })
}

pub(super) fn standing(value: Value) -> Result<Answer<Standing>> {
    let (time, kind, fields) = open(value)?;
    fields.end()?;
    let value = match &kind[..] {
        b"part" => Standing::Part,
        b"trimmed" => Standing::Trimmed,
        b"before" => Standing::Before,
        b"unknown" => Standing::Unknown,
        _ => return Err(Unreadable),
    };
    Ok(Answer { value, time })
}

/// The rows that were found, or `None` if they are not given for the place known.
pub(super) fn sessions(value: Value) -> Result<Answer<Option<Vec<SessionRow>>>> {
    let (time, kind, mut fields) = open(value)?;
    let value = match &kind[..] {
        b"rows" => Some(fields.fields()?.pairs(row)?),
        b"refused" if fields.bytes()? == b"place" => None,
        _ => return Err(Unreadable),
    };
    fields.end()?;
    Ok(Answer { value, time })
}

fn row(id: &[u8], value: &[u8]) -> Result<SessionRow> {
    let (version, value) = split(value)?;
    let (user, value) = split(value)?;
    let (rotated, value) = split_number(value)?;
    let (expires, body) = split_number(value)?;
    Ok(SessionRow {
        row: NewRow {
            id: RowId::from_bytes(exactly(id)?),
            user: *user,
            version: RowVersion::from_bytes(*version),
            expires_at: StoreTime::from_unix_millis(expires),
            body: body.to_vec(),
        },
        rotated_at: StoreTime::from_unix_millis(rotated),
    })
}

pub(super) fn receipts(value: Value) -> Result<Answer<Vec<Receipt>>> {
    let mut fields = Fields::of(value)?;
    let time = fields.time()?;
    let value = fields.fields()?.pairs(receipt)?;
    fields.end()?;
    Ok(Answer { value, time })
}

fn receipt(replica: &[u8], value: &[u8]) -> Result<Receipt> {
    let (received, value) = split_number(value)?;
    let (max_staleness, applied) = split_number(value)?;
    let applied = match applied {
        b"-" => None,
        applied => {
            let (position, ids) = split_number(applied)?;
            let (history, event) = split(ids)?;
            Some(Place {
                history: HistoryId::from_bytes(*history),
                position,
                event: EventId::from_bytes(exactly(event)?),
            })
        }
    };
    let received_at = StoreTime::from_unix_millis(received);
    Ok(Receipt {
        heartbeat: Heartbeat {
            replica: ReplicaId::from_bytes(exactly(replica)?),
            applied,
            max_staleness: Duration::from_millis(max_staleness),
            now: received_at,
        },
        received_at,
    })
}

/// How reading a snapshot goes on.
pub(super) enum Shown {
    /// There is nothing.
    Empty,
    /// With these epochs, those found before included, it is whole.
    Whole(Snapshot, Vec<StoredEpoch>),
    /// The epochs are so many: to be read page by page, beginning at this head.
    Scan(Place, usize),
    /// These epochs were bumped up to here, and others behind it.
    More(Place, Vec<StoredEpoch>),
    /// The log does not know any more where reading began.
    Again,
}

pub(super) fn shown(value: Value) -> Result<Answer<Shown>> {
    let (time, kind, mut fields) = open(value)?;
    let value = match &kind[..] {
        b"empty" => Shown::Empty,
        b"again" => Shown::Again,
        b"scan" => {
            let (head, count) = (fields.place()?, fields.number()?);
            Shown::Scan(head, usize::try_from(count).map_err(|_| Unreadable)?)
        }
        b"more" => Shown::More(fields.place()?, fields.fields()?.pairs(epoch)?),
        b"whole" => whole(&mut fields)?,
        _ => return Err(Unreadable),
    };
    fields.end()?;
    Ok(Answer { value, time })
}

fn whole(fields: &mut Fields) -> Result<Shown> {
    let head = fields.place()?;
    let epochs = fields.fields()?.pairs(epoch)?;
    let past = fields.bytes()?;
    let (predecessors, []) = past.as_chunks() else {
        return Err(Unreadable);
    };
    let secrets = fields.bytes()?;
    let mut ring = fields.fields()?;
    let mut keys = Vec::new();
    while ring.0.len() > 0 {
        keys.push(ring_key(&ring.bytes()?)?);
    }
    let predecessors = predecessors.iter().copied();
    let snapshot = Snapshot {
        head,
        predecessors: predecessors.map(HistoryId::from_bytes).collect(),
        secrets,
        keys,
    };
    Ok(Shown::Whole(snapshot, epochs))
}

fn ring_key(value: &[u8]) -> Result<StoredKey> {
    let (id, value) = split(value)?;
    let (position, value) = split_number(value)?;
    let (introduced, record) = split_number(value)?;
    Ok(StoredKey {
        id: KeyId::from_bytes(*id),
        position,
        introduced_at: StoreTime::from_unix_millis(introduced),
        record: record.to_vec(),
    })
}

fn epoch(tag: &[u8], value: &[u8]) -> Result<StoredEpoch> {
    let (secret, position) = split(value)?;
    Ok(StoredEpoch {
        tag: exactly(tag)?,
        position: number(position)?,
        secret: *secret,
    })
}

/// A page of epochs, and the cursor of the next one; `None` after the last.
pub(super) fn page(value: Value) -> Result<(Option<Vec<u8>>, Vec<StoredEpoch>)> {
    let mut fields = Fields::of(value)?;
    let cursor = Some(fields.bytes()?).filter(|cursor| cursor != b"0");
    let epochs = fields.fields()?.pairs(epoch)?;
    fields.end()?;
    Ok((cursor, epochs))
}

/// The position of the entry that `XREAD` gives of one stream, if there is any.
pub(super) fn entry(value: Value) -> Result<Option<u64>> {
    if value == Value::Nil {
        return Ok(None);
    }
    let mut streams = Fields::of(value)?;
    let mut stream = streams.fields()?;
    streams.end()?;
    stream.bytes()?;
    let entry = stream.fields()?.value()?;
    entry_position(&Fields::of(entry)?.bytes()?).map(Some)
}
