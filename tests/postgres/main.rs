//! The store on PostgreSQL, with private servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use epochkey::{PostgresOptions, PostgresStore};

#[path = "../servers/certificates.rs"]
mod certificates;
mod conflicts;
mod contract;
#[path = "../deceived/mod.rs"]
mod deceived;
mod disk;
mod durability;
mod entering;
#[path = "../faults/mod.rs"]
mod faults;
mod flights;
mod hand;
mod held;
mod hostile;
mod hosts;
mod many;
#[path = "../servers/network/mod.rs"]
mod network;
mod pages;
#[path = "../simulation/random.rs"]
mod random;
mod raw;
mod restored;
mod schema;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod snapshots;
mod surroundings;
mod synchronous;
mod tables;
mod tasks;
mod terminated;
mod tidying;
mod tls;

use crate::{
    faults::{Change, Kind, fleet::until_some},
    server::PostgresServer,
};

struct Postgres;

impl Kind for Postgres {
    type Server = PostgresServer;
    type Store = PostgresStore;

    /// Before it come the statements of the transaction, and behind it a notification.
    const DECIDES: Option<&'static str> = Some("COMMIT\0");

    /// Tries again: the server starts a process for each connection, and on a slow machine the
    /// time-out may be over by then.
    fn connect(url: &str, timeout: Duration) -> PostgresStore {
        let options = PostgresOptions::new()
            .connect_timeout(timeout)
            .response_timeout(timeout);
        until_some("a connection", || {
            PostgresStore::connect(url, options.clone()).ok()
        })
    }

    /// By which the statement is executed that writes to the table of its own.
    fn marker(change: Change) -> &'static str {
        match change {
            Change::BumpOfUser | Change::End => "_put_epochs (",
            Change::Start | Change::Refresh => "_put_sessions (",
        }
    }
}

faults::instantiate!(Postgres);

mod disturbed {
    crate::faults::network::instantiate!(super::Postgres);
}
