//! A server, and what a connection to it begins with.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    connection::Connection,
    endpoint::Endpoint,
    options::PostgresOptions,
    prepared::Naming,
    settings,
    sql::{Scripts, Statements},
};
use crate::{error::PostgresConnectCause as Cause, store::ReplicaId};

/// What was idle for so long may be dead without a sign, or lead to a server that is another
/// by now.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// A server, and how to connect to it.
pub(super) struct Server {
    endpoint: Endpoint,
    pub(super) options: PostgresOptions,
    pub(super) scripts: Scripts,
    pub(super) sql: Statements,
    naming: Naming,
    /// How many connections of this store are not used any more: the others may be no better.
    given_up: AtomicU64,
}

/// A connection to a server that is what it must be.
pub(super) struct Connected {
    pub(super) connection: Connection,
    /// How many connections had been given up before this one was made.
    given_up: u64,
    pub(super) used: Instant,
    /// Whose durable receipt it last gave, and when that was asked for.
    pub(super) receipt: Mutex<Option<(ReplicaId, Instant)>>,
}

impl Server {
    /// With a name that no other has.
    pub(super) fn new(endpoint: Endpoint, options: PostgresOptions, name: &[u8]) -> Self {
        Self {
            naming: Naming::new(name),
            scripts: Scripts::new(&options.schema, options.response_timeout),
            sql: Statements::new(&options.schema),
            endpoint,
            options,
            given_up: AtomicU64::new(0),
        }
    }

    /// Hosts and ports.
    pub(super) fn address(&self) -> String {
        self.endpoint.address()
    }

    /// Also the name of the channel for notifications.
    pub(super) fn schema(&self) -> &str {
        &self.options.schema
    }

    pub(super) fn accepts_loss(&self) -> bool {
        self.options.accepts_loss
    }

    /// Connects to the first host that is what it must be. Makes the tables if they are missing,
    /// and looks whether they are ours.
    pub(super) async fn connect(&self) -> Result<Connected, Cause> {
        let mut last = None;
        for host in 0..self.endpoint.hosts() {
            match self.connect_to(host).await {
                Ok(connected) => return Ok(connected),
                // Of several the one that was reached says more.
                Err(cause @ Cause::Unreachable(_)) => last = last.or(Some(cause)),
                Err(cause) => last = Some(cause),
            }
        }
        Err(last.unwrap_or(Cause::NotUnderstood { asked: "nothing" }))
    }

    async fn connect_to(&self, host: usize) -> Result<Connected, Cause> {
        let given_up = self.given_up.load(Ordering::SeqCst);
        let connection =
            Connection::open(&self.endpoint, host, &self.options, self.naming.clone()).await?;
        settings::prepare(&connection, self).await?;
        settings::check_version(&connection, self).await?;
        connection.prepare(self).await?;
        Ok(Connected {
            connection,
            given_up,
            used: Instant::now(),
            receipt: Mutex::default(),
        })
    }

    /// A connection is not used any more, for a reason that may concern the others.
    pub(super) fn gave_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the connection still leads to a server that is what it must be.
    pub(super) async fn is_fit(&self, connected: &Connected) -> bool {
        let given_up = self.given_up.load(Ordering::SeqCst);
        if connected.given_up != given_up || connected.connection.is_worn() {
            return false;
        }
        let is_idle = connected.used.elapsed() > LONGEST_IDLE;
        !is_idle || settings::check(&connected.connection, self).await.is_ok()
    }
}
