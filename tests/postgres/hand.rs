//! What an operator does to a server by hand.

use std::{error::Error, sync::LazyLock};

use epochkey::{
    Authority, AuthorityBuilder, Grant, MasterSecret, PostgresConnectError, PostgresOptions,
    PostgresStore,
};

use crate::{
    faults::fleet::{LONG, until},
    server::{PostgresServer, Server},
};

/// One, for some servers are connected to in several ways.
static SECRET: LazyLock<MasterSecret> = LazyLock::new(|| MasterSecret::generate().unwrap());

pub(crate) fn builder() -> AuthorityBuilder {
    Authority::builder("https://issuer.test", "api").master_secret(SECRET.clone())
}

/// For a server that is there, however slow the machine is.
pub(crate) fn patient() -> PostgresOptions {
    let options = PostgresOptions::new().connect_timeout(LONG);
    options.response_timeout(LONG)
}

pub(crate) fn connect(
    server: &PostgresServer,
    options: PostgresOptions,
) -> Result<PostgresStore, PostgresConnectError> {
    PostgresStore::connect(&server.url(), options)
}

/// Changes a setting of a server that runs, and waits until it is in force.
pub(crate) fn set(server: &PostgresServer, name: &str, value: &str) {
    let mut client = server.connection().unwrap();
    // Each by itself: it is not to be in a transaction.
    for sql in [
        &*format!("ALTER SYSTEM SET {name} = '{value}'"),
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).unwrap();
    }
    let show = format!("SHOW {name}");
    until(&show, || server.value(&show).unwrap() == value);
}

/// Sends the processes of the stores that such a condition finds something.
pub(crate) fn signal(server: &PostgresServer, function: &str, condition: &str) -> u64 {
    let sql = format!(
        "SELECT count({function}(pid)) FROM pg_stat_activity \
         WHERE application_name = 'epochkey' AND ({condition})"
    );
    server.value(&sql).unwrap().parse().unwrap()
}

/// How many of the stores' processes are so.
pub(crate) fn count(server: &PostgresServer, condition: &str) -> u64 {
    signal(server, "", condition)
}

/// What an error says, with all that is behind it.
pub(crate) fn said(error: &dyn Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(source) = next {
        text = format!("{text}: {source} ({source:?})");
        next = source.source();
    }
    text
}

/// Refused with this label, and an error that says these parts.
#[track_caller]
pub(crate) fn assert_refused(
    result: Result<PostgresStore, PostgresConnectError>,
    label: &'static str,
    parts: &[&str],
) {
    let error = result.expect_err(label);
    let said = said(&error);
    assert_eq!(error.label(), label, "{said}");
    for part in parts {
        assert!(said.contains(part), "{said} lacks {part}");
    }
}

/// What is accepted works, too.
#[track_caller]
pub(crate) fn assert_works(store: Result<PostgresStore, PostgresConnectError>) {
    let authority = builder().open(store.unwrap()).unwrap();
    let sessions = authority.sessions();
    let pair = sessions.start(Grant::user("u"), "").wait().unwrap();
    assert!(authority.verify(&pair.access).is_ok());
    let pair = sessions.refresh(&pair.refresh).wait().unwrap();
    assert!(authority.verify(&pair.access).is_ok());
    sessions.end_all("u").wait().unwrap();
    assert!(authority.verify(&pair.access).is_err());
}
