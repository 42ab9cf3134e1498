//! A connection that is made when it is needed, and made anew when it broke.

use std::{sync::Arc, thread};

use redis::Value;

use super::{
    failure::Failure,
    request::Request,
    server::{Connected, Server},
};
use crate::{error::RedisConnectCause as Cause, store::pauses::Pauses};

/// A connection for one request after the other, by one thread at a time.
pub(super) struct Link {
    server: Arc<Server>,
    connected: Option<Connected>,
    pauses: Pauses,
}

impl Link {
    /// Connects when it is needed.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            connected: None,
            pauses: Pauses::default(),
        }
    }

    /// Connects now.
    pub(super) fn connected(server: Arc<Server>) -> Result<Self, Cause> {
        let connected = server.connect()?;
        Ok(Self {
            connected: Some(connected),
            ..Self::new(server)
        })
    }

    /// Asks one thing, and reads the answer.
    pub(super) fn ask<T>(
        &mut self,
        request: &Request,
        read: impl FnOnce(Value) -> Result<T, super::Unreadable>,
    ) -> Result<T, Failure> {
        let answer = self.over_one(|server, connected| connected.ask(&server.keys, request));
        let answer = match answer {
            // It has forgotten its scripts, and learns them when it is connected to.
            Err(failure) if failure.is_unknown_script() => {
                self.over_one(|server, connected| connected.ask(&server.keys, request))
            }
            answer => answer,
        };
        // What makes no sense may be the answer to something else.
        Ok(read(answer?).inspect_err(|_| self.connected = None)?)
    }

    /// Asks several things at once. Each is a step of its own, done in this order; one that is
    /// not done does not keep the others from being done.
    pub(super) fn ask_all(&mut self, requests: &[Request]) -> Vec<Result<Value, Failure>> {
        let mut connected = match self.take() {
            Ok(connected) => connected,
            Err(failure) => return vec![Err(failure); requests.len()],
        };
        let mut answers = connected.ask_all(&self.server.keys, requests);
        self.keep(
            connected,
            answers.iter().filter_map(|answer| answer.as_ref().err()),
        );
        for (request, answer) in requests.iter().zip(&mut answers) {
            if answer.as_ref().is_err_and(Failure::is_unknown_script) {
                *answer = self.ask(request, Ok);
            }
        }
        answers
    }

    /// Does something over one connection, from its beginning to its end with one server.
    pub(super) fn over_one<T>(
        &mut self,
        ask: impl FnOnce(&Server, &mut Connected) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut connected = self.take()?;
        let result = ask(&self.server, &mut connected);
        self.keep(connected, result.as_ref().err());
        result
    }

    /// The connection that there is, or a new one. Waits if the last one was of no use.
    fn take(&mut self) -> Result<Connected, Failure> {
        if let Some(mut connected) = self.connected.take()
            && self.server.is_fit(&mut connected)
        {
            return Ok(connected);
        }
        thread::sleep(self.pauses.left());
        self.server.connect().map_err(|cause| {
            self.pauses.begin();
            Failure::NotConnected(cause)
        })
    }

    /// Keeps the connection if it may be used again.
    fn keep<'a>(&mut self, connected: Connected, failures: impl IntoIterator<Item = &'a Failure>) {
        let mut is_of_use = true;
        for failure in failures {
            if failure.is_unknown_script() {
                is_of_use = false;
            } else if failure.wants_other_connection() {
                self.server.gave_up();
                self.pauses.begin();
                return;
            }
        }
        if is_of_use {
            self.connected = Some(connected);
            self.pauses.end();
        }
    }
}
