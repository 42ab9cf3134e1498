//! What an application is shown of a session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{RefreshToken, record::Record};
use crate::{
    SessionId, Token,
    store::{RowId, StoreTime},
};

/// A session: one log-in on one device, for a list of "where you are logged in".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    id: SessionId,
    record: Record,
    expires_at: StoreTime,
}

impl Session {
    pub(super) fn new(id: RowId, record: Record, expires_at: StoreTime) -> Self {
        Self {
            id: SessionId::of_checked(&id.to_string()),
            record,
            expires_at,
        }
    }

    /// Its id: the `sid` of its access tokens.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whose it is.
    pub fn user(&self) -> &str {
        &self.record.user
    }

    /// What the application called it when it began, such as `Firefox on Linux`.
    pub fn label(&self) -> &str {
        &self.record.label
    }

    /// The groups of the grant that it issues with.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.record.groups.iter().map(String::as_str)
    }

    /// When it began.
    pub fn created_at(&self) -> SystemTime {
        system_time(self.record.created_at)
    }

    /// When it was last refreshed, or began.
    pub fn last_used_at(&self) -> SystemTime {
        system_time(self.record.used_at)
    }

    /// When the user last proved who they are in it, in whole seconds: by the clock of the
    /// replica that was told, or by the store's if that is behind it.
    pub fn authenticated_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.record.authenticated_at)
    }

    /// When it ends unless it is refreshed before.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.expires_at)
    }

    /// When it ends, however often it is refreshed.
    pub fn ends_at(&self) -> SystemTime {
        system_time(self.record.ends_at)
    }
}

fn system_time(time: StoreTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(time.as_unix_millis())
}

/// What a client is given when it logs in or refreshes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenPair {
    /// For requests.
    pub access: Token,
    /// For the next refresh.
    pub refresh: RefreshToken,
    /// The session that both belong to.
    pub session: Session,
}
