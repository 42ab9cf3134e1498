//! What is asked of the file, each answered from one read transaction.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::tables::{self, EPOCHS, HEAD, KEYS, LOG, META, Result, SESSIONS, USERS};
use crate::store::{
    Event, EventId, News, Place, Rows, SessionQuery, SessionRow, Snapshot, Standing, StoreTime,
    StoredEpoch,
};

/// The most events handed out at once.
const EVENTS_AT_ONCE: usize = 4096;

/// One view of the file.
pub(super) struct Reading(ReadTransaction);

impl Reading {
    pub(super) fn of(database: &Database) -> Result<Self> {
        Ok(Self(database.begin_read()?))
    }

    pub(super) fn head(&self) -> Result<Option<Place>> {
        tables::head(&self.0.open_table(HEAD)?)
    }

    pub(super) fn standing(&self, place: Place) -> Result<Standing> {
        let (meta, log) = (self.0.open_table(META)?, self.0.open_table(LOG)?);
        tables::standing(&meta, &log, self.head()?, place)
    }

    pub(super) fn events_after(&self, place: Place) -> Result<News> {
        match self.standing(place)? {
            Standing::Part => {}
            Standing::Trimmed | Standing::Before => return Ok(News::TakeSnapshot),
            Standing::Unknown => return Ok(News::NotMyPast),
        }
        let log = self.0.open_table(LOG)?;
        let mut following = log.range(place.position.saturating_add(1)..)?;
        let mut events = Vec::new();
        for row in following.by_ref().take(EVENTS_AT_ONCE) {
            let (position, fields) = row?;
            let (id, time, body) = fields.value();
            events.push(Event {
                position: position.value(),
                id: EventId::from_bytes(*id),
                time: StoreTime::from_unix_millis(time),
                body: body.to_vec(),
            });
        }
        let more = following.next().transpose()?.is_some();
        Ok(News::Events { events, more })
    }

    pub(super) fn snapshot(&self, epochs: &mut dyn FnMut(StoredEpoch)) -> Result<Option<Snapshot>> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        let meta = self.0.open_table(META)?;
        let keys = tables::keys(&self.0.open_table(KEYS)?)?;
        let floor = keys.first().map_or(0, |key| key.position);
        for row in self.0.open_table(EPOCHS)?.iter()? {
            let (tag, fields) = row?;
            let (position, secret) = fields.value();
            if position > floor {
                epochs(StoredEpoch {
                    tag: *tag.value(),
                    position,
                    secret: *secret,
                });
            }
        }
        Ok(Some(Snapshot {
            head,
            predecessors: tables::predecessors(&meta)?,
            secrets: tables::secrets(&meta)?,
            keys,
        }))
    }

    pub(super) fn sessions(&self, query: &SessionQuery) -> Result<Option<Vec<SessionRow>>> {
        if !matches!(
            self.standing(query.known)?,
            Standing::Part | Standing::Trimmed
        ) {
            return Ok(None);
        }
        let ids = match query.rows {
            Rows::One(id) => vec![id],
            Rows::OfUser(user) => tables::rows_of_user(&self.0.open_table(USERS)?, user)?,
        };
        let sessions = self.0.open_table(SESSIONS)?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(row) = sessions.get(id.as_bytes())? {
                rows.push(tables::session_row(id, row.value()));
            }
        }
        Ok(Some(rows))
    }
}
