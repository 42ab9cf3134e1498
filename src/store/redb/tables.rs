//! What the file holds: seven tables and how their rows are written.

use redb::{
    ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::store::{
    EventId, HistoryId, KeyId, NewRow, Place, RowId, RowVersion, SessionRow, Standing, StoreTime,
    StoredKey,
};

/// The version of these tables. Another one is refused.
pub(super) const SCHEMA: u32 = 1;

pub(super) type Bytes16 = &'static [u8; 16];
/// History, position, event.
pub(super) type HeadFields = (Bytes16, u64, Bytes16);
/// Id, time, record.
pub(super) type KeyFields = (&'static [u8; 12], u64, &'static [u8]);
/// Id, time, body.
pub(super) type EventFields = (Bytes16, u64, &'static [u8]);
/// Position, secret.
pub(super) type EpochFields = (u64, Bytes16);
/// User, version, expiry, rotation, body.
pub(super) type RowFields = (Bytes16, Bytes16, u64, u64, &'static [u8]);

type Definition<K, V> = TableDefinition<'static, K, V>;

/// The schema's version, the predecessors, the secrets.
pub(super) const META: Definition<&str, &[u8]> = TableDefinition::new("meta");
/// History, position and id of the newest event, if there is one.
pub(super) const HEAD: Definition<(), HeadFields> = TableDefinition::new("head");
/// Position → key id, time, record.
pub(super) const KEYS: Definition<u64, KeyFields> = TableDefinition::new("keys");
/// Position → event id, time, body.
pub(super) const LOG: Definition<u64, EventFields> = TableDefinition::new("log");
/// Tag → position, secret. By tag, so that a scope that is bumped again and again takes one
/// row; and the order of tags is that of the epoch table.
pub(super) const EPOCHS: Definition<Bytes16, EpochFields> = TableDefinition::new("epochs");
/// Row id → the row.
pub(super) const SESSIONS: Definition<Bytes16, RowFields> = TableDefinition::new("sessions");
/// User, row id: the rows of each user.
pub(super) const USERS: Definition<(Bytes16, Bytes16), ()> =
    TableDefinition::new("sessions_by_user");

const SCHEMA_ROW: &str = "schema";
const PREDECESSORS_ROW: &str = "predecessors";
const SECRETS_ROW: &str = "secrets";

/// A failure of redb, of whatever kind it says.
pub(super) type Result<T, E = redb::Error> = std::result::Result<T, E>;

fn damaged<T>(what: &str) -> Result<T> {
    Err(redb::Error::Corrupted(what.to_owned()))
}

/// Makes the tables in a new file.
pub(super) fn create(transaction: &WriteTransaction) -> Result<()> {
    transaction
        .open_table(META)?
        .insert(SCHEMA_ROW, &SCHEMA.to_be_bytes()[..])?;
    transaction.open_table(HEAD)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(LOG)?;
    transaction.open_table(EPOCHS)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_table(USERS)?;
    Ok(())
}

/// The schema's version, or `None` if these tables are not there: it is another's file.
pub(super) fn schema(transaction: &ReadTransaction) -> Result<Option<u32>> {
    let meta = match transaction.open_table(META) {
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
        Ok(meta) => meta,
    };
    let Some(row) = meta.get(SCHEMA_ROW)? else {
        return Ok(None);
    };
    match row.value().try_into() {
        Ok(bytes) => Ok(Some(u32::from_be_bytes(bytes))),
        Err(_) => damaged("the schema's version"),
    }
}

/// That no table is missing, and that without a head there is nothing else either.
pub(super) fn check(transaction: &ReadTransaction) -> Result<()> {
    let head = head(&transaction.open_table(HEAD)?)?;
    let is_empty = transaction.open_table(KEYS)?.first()?.is_none()
        && transaction.open_table(LOG)?.first()?.is_none()
        && transaction.open_table(EPOCHS)?.first()?.is_none()
        && transaction.open_table(SESSIONS)?.first()?.is_none()
        && transaction.open_table(USERS)?.first()?.is_none()
        && transaction.open_table(META)?.get(SECRETS_ROW)?.is_none();
    match head.is_none() && !is_empty {
        true => damaged("there is no head, but there are rows"),
        false => Ok(()),
    }
}

/// The newest event, if a history has begun.
pub(super) fn head(head: &impl ReadableTable<(), HeadFields>) -> Result<Option<Place>> {
    Ok(head.get(())?.map(|row| {
        let (history, position, event) = row.value();
        Place {
            history: HistoryId::from_bytes(*history),
            position,
            event: EventId::from_bytes(*event),
        }
    }))
}

pub(super) fn predecessors(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<HistoryId>> {
    let row = meta.get(PREDECESSORS_ROW)?;
    let bytes = row.as_ref().map_or(&[][..], |row| row.value());
    let (ids, rest) = bytes.as_chunks::<16>();
    match rest.is_empty() {
        true => Ok(ids.iter().copied().map(HistoryId::from_bytes).collect()),
        false => damaged("the predecessors"),
    }
}

pub(super) fn put_predecessors(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    predecessors: &[HistoryId],
) -> Result<(), StorageError> {
    let bytes: Vec<u8> = predecessors
        .iter()
        .flat_map(|history| *history.as_bytes())
        .collect();
    meta.insert(PREDECESSORS_ROW, &bytes[..]).map(drop)
}

pub(super) fn secrets(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Vec<u8>> {
    match meta.get(SECRETS_ROW)? {
        Some(row) => Ok(row.value().to_vec()),
        None => damaged("the secrets are missing"),
    }
}

pub(super) fn put_secrets(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    secrets: &[u8],
) -> Result<(), StorageError> {
    meta.insert(SECRETS_ROW, secrets).map(drop)
}

/// The ring keys in the order of their positions.
pub(super) fn keys(keys: &impl ReadableTable<u64, KeyFields>) -> Result<Vec<StoredKey>> {
    keys.iter()?
        .map(|row| {
            let (position, fields) = row?;
            let (id, introduced_at, record) = fields.value();
            Ok(StoredKey {
                id: KeyId::from_bytes(*id),
                position: position.value(),
                introduced_at: StoreTime::from_unix_millis(introduced_at),
                record: record.to_vec(),
            })
        })
        .collect()
}

/// How a place stands to the log that ends at `head`.
pub(super) fn standing(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    log: &impl ReadableTable<u64, EventFields>,
    head: Option<Place>,
    place: Place,
) -> Result<Standing> {
    let Some(head) = head else {
        return Ok(Standing::Unknown);
    };
    if place == head {
        return Ok(Standing::Part);
    }
    if place.history != head.history {
        return Ok(match predecessors(meta)?.contains(&place.history) {
            true => Standing::Before,
            false => Standing::Unknown,
        });
    }
    if let Some(event) = log.get(place.position)? {
        return Ok(match event.value().0 == place.event.as_bytes() {
            true => Standing::Part,
            false => Standing::Unknown,
        });
    }
    let Some((oldest, _)) = log.first()? else {
        return damaged("the log is empty");
    };
    Ok(match place.position < oldest.value() {
        true => Standing::Trimmed,
        false => Standing::Unknown,
    })
}

pub(super) fn session_row(
    id: RowId,
    fields: <RowFields as redb::Value>::SelfType<'_>,
) -> SessionRow {
    let (user, version, expires_at, rotated_at, body) = fields;
    SessionRow {
        row: NewRow {
            id,
            user: *user,
            version: RowVersion::from_bytes(*version),
            expires_at: StoreTime::from_unix_millis(expires_at),
            body: body.to_vec(),
        },
        rotated_at: StoreTime::from_unix_millis(rotated_at),
    }
}

pub(super) fn row_fields(row: &SessionRow) -> <RowFields as redb::Value>::SelfType<'_> {
    (
        &row.row.user,
        row.row.version.as_bytes(),
        row.row.expires_at.as_unix_millis(),
        row.rotated_at.as_unix_millis(),
        &row.row.body,
    )
}

/// The ids of a user's rows.
pub(super) fn rows_of_user(
    users: &impl ReadableTable<(Bytes16, Bytes16), ()>,
    user: [u8; 16],
) -> Result<Vec<RowId>> {
    users
        .range((&user, &[0; 16])..=(&user, &[u8::MAX; 16]))?
        .map(|row| {
            let (key, _) = row?;
            Ok(RowId::from_bytes(*key.value().1))
        })
        .collect()
}
