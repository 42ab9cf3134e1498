//! What the process that is to be killed is told, and what it says line by line.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Scope, SessionId,
    store::{HistoryId, RowId, RowVersion},
};
use serde::{Deserialize, Serialize};

/// Begins every line, for the test runner writes to the same pipe.
const MARK: &str = "kill> ";

/// What a process is to do. It follows from this, but for the turns its threads take.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) path: PathBuf,
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    /// When its clock starts, in seconds since 1970.
    pub(crate) clock: u64,
    /// The number of its master secret, and of the previous ones.
    pub(crate) secrets: Vec<u64>,
    /// With none it holds the file until it is killed.
    pub(crate) threads: usize,
    /// How many operations each thread does.
    pub(crate) operations: usize,
    /// The refresh token that each client holds; `None` for one that has to log in.
    pub(crate) clients: Vec<Option<String>>,
}

/// What is done most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Plan {
    Bumps,
    Rings,
    Rows,
    Openings,
    Sessions,
}

/// Something that a process says.
///
/// What it attempts is said before it begins, what it was told to be done afterwards: so the
/// order of the lines proves the order of what happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Line {
    Opening,
    Opened,
    NotOpened(String),
    /// The clock is about to be moved to this second.
    Clock(u64),
    Issuing(u64),
    Issued {
        token: u64,
        scopes: Vec<String>,
        text: String,
    },
    NotIssued {
        token: u64,
        label: String,
    },
    Trying {
        attempt: u64,
        change: Change,
    },
    Done {
        attempt: u64,
        epochs: Vec<String>,
    },
    Failed {
        attempt: u64,
        label: String,
    },
    Client {
        client: usize,
        said: Said,
    },
    /// Everything is done, and the store was let go of.
    Closed,
}

/// What a client does with its session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Said {
    LoggingIn,
    Refreshing,
    Got { refresh: String, access: String },
    NotRefreshed(String),
    LoggingOut,
    LoggedOut,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    Bump(Vec<String>),
    Rotate,
    Swap,
    StartOver,
    Rewrap,
    /// All in one commit.
    Rows(Vec<RowChange>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowChange {
    pub(crate) id: [u8; 16],
    pub(crate) user: [u8; 16],
    /// The versions; `None` where there is no row.
    pub(crate) before: Option<[u8; 16]>,
    pub(crate) after: Option<[u8; 16]>,
}

impl RowChange {
    pub(crate) fn id(&self) -> RowId {
        RowId::from_bytes(self.id)
    }

    pub(crate) fn expected(&self) -> Option<RowVersion> {
        self.before.map(RowVersion::from_bytes)
    }
}

impl Line {
    /// Says it to the parent, if there still is one.
    pub(crate) fn say(&self) {
        let json = serde_json::to_string(self).unwrap();
        // One write: a line is there as a whole or not at all, whenever the process is killed.
        let line = format!("{MARK}{json}\n");
        if io::stdout().lock().write_all(line.as_bytes()).is_err() {
            std::process::exit(1);
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let json = text.strip_prefix(MARK)?;
        Some(serde_json::from_str(json).unwrap())
    }
}

/// A scope by the name that lines give it, such as `group:g-1`.
pub(crate) fn scope(name: &str) -> Scope {
    match name.split_once(':') {
        Some(("user", id)) => Scope::user(id),
        Some(("session", id)) => Scope::session(&id.parse::<SessionId>().unwrap()),
        Some(("group", id)) => Scope::group(id),
        _ => panic!("{name} names no scope"),
    }
}

/// The history that an epoch is of.
pub(crate) fn history_of(epoch: &str) -> HistoryId {
    let history = epoch.split('.').next().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(history).unwrap();
    HistoryId::from_bytes(bytes.try_into().unwrap())
}

/// `iat` and `exp` of a token.
pub(crate) fn times(token: &str) -> (u64, u64) {
    let payload = token.split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let time = |name: &str| payload[name].as_u64().unwrap();
    (time("iat"), time("exp"))
}
