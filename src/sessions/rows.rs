//! Rows of the store: read, shown, replaced.

use std::sync::Arc;

use super::{
    Session,
    record::{Clear, Record},
    refresh_token::session_row,
};
use crate::{
    Authority, Op, RandomError, SessionError, SessionId, StoreError,
    authority::Inner,
    bug::{self, Bug},
    key_ring::KeyRing,
    replica::{Changes, answering},
    scope::ScopeKind,
    store::{
        Place, Refusal, RowId, RowVersion, Rows, SessionChange, SessionQuery, SessionRow, StoreTime,
    },
};

/// What is read and written together: a ring, and the place that it stands for.
#[derive(Clone)]
pub(super) struct View {
    pub(super) ring: Arc<KeyRing>,
    pub(super) known: Place,
}

/// A session as it is kept, and as it is meant.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) row: SessionRow,
    pub(super) record: Record,
}

impl View {
    /// `None` while the history changes, or while there is no fresh news.
    pub(super) fn of(inner: &Inner) -> Option<Self> {
        if !inner.replica.now().is_fresh {
            return None;
        }
        // The place first: the ring is then not older.
        let known = inner.replica.applied();
        let ring = inner.replica.ring_to_keep();
        (known.history == ring.history()).then_some(Self { ring, known })
    }

    /// What stands for a user in the store.
    pub(super) fn user_tag(&self, user: &str) -> [u8; 16] {
        self.ring.table_key().tag(ScopeKind::User, user).to_bytes()
    }

    pub(super) fn read(&self, row: SessionRow) -> Result<Kept, StoreError> {
        let record = Record::of_row(&row.row, self.ring.row_key())?;
        Ok(Kept { row, record })
    }

    /// The change that puts a record in the place of what is kept, if that is still the same.
    pub(super) fn replacing(
        &self,
        inner: &Inner,
        kept: &Kept,
        record: &Record,
        expires_at: StoreTime,
        rotates: bool,
    ) -> Result<Changes, RandomError> {
        let random = &*inner.replica.source().random;
        let clear = Clear {
            id: kept.id(),
            user: kept.row.row.user,
            version: match bug::is_in(Bug::VersionsCount) {
                true => {
                    let before = u128::from_be_bytes(*kept.row.row.version.as_bytes());
                    RowVersion::from_bytes(before.wrapping_add(1).to_be_bytes())
                }
                false => RowVersion::draw(random)?,
            },
            expires_at,
        };
        let row = record
            .clone()
            .into_row(clear, self.ring.row_key(), random)?;
        Ok(Changes {
            ring: Arc::clone(&self.ring),
            newest_key: None,
            changes: Vec::new(),
            sessions: vec![SessionChange::Replace {
                row,
                expected: kept.row.row.version,
                rotates,
            }],
        })
    }

    /// Asks for rows; `then` gets them with the store's time.
    pub(super) fn ask(
        &self,
        inner: &Inner,
        rows: Rows,
        then: impl FnOnce(Result<(Vec<Kept>, StoreTime), StoreError>) + Send + 'static,
    ) {
        let replica = Arc::clone(&inner.replica);
        let sent = replica.source().time.sending();
        let query = SessionQuery {
            known: self.known,
            rows,
            now: sent.store_time(),
        };
        let view = self.clone();
        inner.replica.source().store.sessions(
            query,
            Box::new(move |answer| {
                let read = answer.and_then(|answer| {
                    replica.compare_clocks(sent, answer.time)?;
                    let found = answer.value.ok_or(StoreError::refused(Refusal::Place))?;
                    if !are_asked_for(rows, &found) {
                        return Err(StoreError::damaged("a session that was not asked for"));
                    }
                    let kept: Result<_, _> = found.into_iter().map(|row| view.read(row)).collect();
                    Ok((kept?, answer.time))
                });
                // It holds the store.
                drop(replica);
                answering(|| then(read));
            }),
        );
    }
}

/// Each row can be read under its own name alone, but whoever answers may give another one's:
/// whoever shows a refresh token of theirs would go on as somebody else.
fn are_asked_for(asked: Rows, found: &[SessionRow]) -> bool {
    match asked {
        Rows::One(id) => found.len() <= 1 && found.iter().all(|row| row.row.id == id),
        Rows::OfUser(user) => found.iter().all(|row| row.row.user == user),
    }
}

impl Kept {
    pub(super) fn id(&self) -> RowId {
        self.row.row.id
    }

    pub(super) fn show(&self) -> Session {
        Session::new(self.id(), self.record.clone(), self.row.row.expires_at)
    }

    pub(super) fn has_expired(&self, now: StoreTime) -> bool {
        now >= self.row.row.expires_at
    }
}

pub(super) fn list(authority: &Authority, user: &str) -> Op<Vec<Session>, SessionError> {
    let Some(view) = View::of(&authority.inner) else {
        return Op::finished(Err(SessionError::StaleEpochs));
    };
    let (op, finish) = authority.operation();
    let rows = Rows::OfUser(view.user_tag(user));
    view.ask(&authority.inner, rows, move |answer| {
        let shown = answer.map(|(mut rows, now)| {
            rows.retain(|kept| !kept.has_expired(now));
            rows.sort_by_key(|kept| (kept.record.created_at, kept.id()));
            rows.iter().map(Kept::show).collect()
        });
        finish(shown.map_err(SessionError::from));
    });
    op
}

pub(super) fn get(authority: &Authority, session: &SessionId) -> Op<Option<Session>, SessionError> {
    let Some(id) = session_row(session.as_str()) else {
        return Op::finished(Ok(None));
    };
    let Some(view) = View::of(&authority.inner) else {
        return Op::finished(Err(SessionError::StaleEpochs));
    };
    let (op, finish) = authority.operation();
    view.ask(&authority.inner, Rows::One(id), move |answer| {
        let shown = answer.map(|(rows, now)| {
            let live = rows.iter().find(|kept| !kept.has_expired(now));
            live.map(Kept::show)
        });
        finish(shown.map_err(SessionError::from));
    });
    op
}
