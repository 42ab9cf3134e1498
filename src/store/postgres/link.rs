//! A connection that is made when it is needed, and made anew when it broke.

use std::{io, sync::Arc, time::Instant};

use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use super::{
    failure::Failure,
    server::{Connected, Server},
};
use crate::{error::PostgresConnectCause as Cause, store::pauses::Pauses};

/// How often what conflicts with somebody else's is tried.
const MOST_ATTEMPTS: usize = 5;

/// A connection for one question after the other, by one thread, which must not be one of an
/// async runtime: this has a runtime of its own.
pub(super) struct Link {
    pub(super) server: Arc<Server>,
    // Before the runtime that carries it: it is dropped first.
    connected: Option<Connected>,
    pauses: Pauses,
    runtime: Runtime,
}

impl Link {
    /// Connects when it is needed.
    pub(super) fn new(server: Arc<Server>) -> io::Result<Self> {
        Ok(Self {
            server,
            connected: None,
            pauses: Pauses::default(),
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Connects now.
    pub(super) fn prepare(&mut self) -> Result<(), Cause> {
        let connected = self.runtime.block_on(self.server.connect())?;
        self.connected = Some(connected);
        Ok(())
    }

    /// Asks over one connection. What had no effect, for the connection was dead by then or
    /// somebody else was in the way, is asked again: `ask` fails with [`Failure::Broken`] or a
    /// conflict only where that is so.
    pub(super) fn ask<T>(
        &mut self,
        ask: impl AsyncFn(&Server, &Connected) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let is_new = self.connected.is_none();
            let mut connected = self.take()?;
            let answer = self.runtime.block_on(ask(&self.server, &connected));
            connected.used = Instant::now();
            self.keep(connected, answer.as_ref().err());
            match &answer {
                Err(failure) if failure.is_broken() && !is_new && attempts == 1 => {}
                Err(failure) if failure.is_conflict() && attempts < MOST_ATTEMPTS => {}
                _ => return answer,
            }
        }
    }

    /// The connection that there is, or a new one. Waits if the last one was of no use.
    fn take(&mut self) -> Result<Connected, Failure> {
        let server = &self.server;
        let before = self.connected.take();
        let left = self.pauses.left();
        let connected = self.runtime.block_on(async {
            if let Some(connected) = before
                && server.is_fit(&connected).await
            {
                return Ok(connected);
            }
            sleep(left).await;
            server.connect().await
        });
        connected.map_err(|cause| {
            self.pauses.begin();
            Failure::NotConnected(cause)
        })
    }

    /// Keeps the connection if it may be used again.
    fn keep(&mut self, connected: Connected, failure: Option<&Failure>) {
        if failure.is_some_and(Failure::wants_other_connection) {
            self.server.gave_up();
            self.pauses.begin();
        } else {
            self.connected = Some(connected);
            self.pauses.end();
        }
    }
}
