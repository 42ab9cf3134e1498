//! What a server must be like, looked at whenever it is connected to; and its tables.

use std::{io, sync::Arc};

use tokio_postgres::Row;

use super::{
    connection::Connection,
    failure::Failure,
    options::PostgresOptions,
    row::{Fields, SCHEMA_VERSION, first},
    server::Server,
    sql::{self, quoted},
    step::Step,
};
use crate::error::PostgresConnectCause as Cause;

const SETTINGS: &str = include_str!("sql/settings.sql");

/// The oldest version that its makers still look after.
const OLDEST_MAJOR_VERSION: i32 = 14;

struct Found {
    has_schema: bool,
    has_tables: bool,
}

/// Whether the server keeps what it acknowledges, as far as the options ask for that.
pub(super) async fn check(connection: &Connection, server: &Server) -> Result<(), Cause> {
    look(connection, server).await.map(drop)
}

async fn look(connection: &Connection, server: &Server) -> Result<Found, Cause> {
    let rows = read(connection, server, look_for(&server.options)).await?;
    found(&rows, &server.options)
}

async fn read(
    connection: &Connection,
    server: &Server,
    step: Step<'_>,
) -> Result<Vec<Row>, Failure> {
    let (begin, commit) = (&server.scripts.begin_reading, &server.scripts.commit);
    let steps = [Step::script(begin), step, Step::script(commit)];
    let mut answers = connection.flight(&steps).await?;
    Ok(answers.swap_remove(1))
}

fn look_for(options: &PostgresOptions) -> Step<'static> {
    Step::once(SETTINGS).text(&options.schema)
}

fn found(rows: &[Row], options: &PostgresOptions) -> Result<Found, Cause> {
    let mut fields = Fields::of(first(rows)?);
    let is_standby: bool = fields.get()?;
    let (version, number): (String, i32) = (fields.get()?, fields.get()?);
    let (settings, tables): (Option<String>, Option<String>) = (fields.get()?, fields.get()?);
    if number / 10_000 < OLDEST_MAJOR_VERSION {
        return Err(Cause::OldVersion { found: version });
    }
    if is_standby {
        return Err(Cause::NotPrimary);
    }
    let weak = settings.into_iter().chain(tables).collect::<Vec<_>>();
    if !weak.is_empty() && !options.accepts_loss {
        return Err(Cause::Weak(weak.join(", ")));
    }
    if let Some(missing) = fields.get::<Option<String>>()? {
        let missing = format!("the role lacks {missing}");
        return Err(Cause::Refused(Arc::new(io::Error::other(missing))));
    }
    Ok(Found {
        has_schema: fields.get()?,
        has_tables: fields.get()?,
    })
}

/// As [`check`], and makes the tables if they are missing: where they were dropped, or another
/// server took the place of one that had them, the store is empty, and is to be used.
pub(super) async fn prepare(connection: &Connection, server: &Server) -> Result<(), Cause> {
    match look(connection, server).await?.has_tables {
        true => Ok(()),
        false => create(connection, server).await,
    }
}

/// Whether the tables are ours.
pub(super) async fn check_version(connection: &Connection, server: &Server) -> Result<(), Cause> {
    let version = format!(
        "SELECT version FROM {}.schema_version",
        quoted(server.schema())
    );
    let rows = read(connection, server, Step::once(&version)).await?;
    let version = rows.first().map(|row| Fields::of(row).get());
    match version.transpose()? {
        None | Some(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(Cause::NewerSchema { found }),
    }
}

/// One process makes them, and the others wait for it.
async fn create(connection: &Connection, server: &Server) -> Result<(), Cause> {
    let lock = Step::once("SELECT pg_advisory_xact_lock(hashtextextended('epochkey ' || $1, 0))");
    let begin = Step::script(&server.scripts.begin);
    connection
        .flight(&[begin, lock.text(server.schema())])
        .await?;
    let answers = connection.flight(&[look_for(&server.options)]).await?;
    let found = found(&answers[0], &server.options)?;
    let mut script = String::new();
    if !found.has_schema {
        script += &sql::create_schema(server.schema());
    }
    if !found.has_tables {
        script += &sql::tables(server.schema());
    }
    let commit = Step::script(&server.scripts.commit);
    connection.flight(&[Step::script(&script), commit]).await?;
    Ok(())
}

/// Why what was asked before the first question was not answered.
impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotConnected(cause) => cause,
            Failure::Broken(error) => Self::Unreachable(error),
            Failure::Refused(error) => Self::Refused(error),
            Failure::TimedOut => {
                Self::Unreachable(Arc::new(io::Error::from(io::ErrorKind::TimedOut)))
            }
            Failure::NotPrimary => Self::NotPrimary,
            _ => Self::NotUnderstood {
                asked: "its settings",
            },
        }
    }
}
