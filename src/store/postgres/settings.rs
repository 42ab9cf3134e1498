//! What a server must be like, looked at whenever it is connected to; and its tables.

use super::{
    connection::Connection,
    failure::Failure,
    options::PostgresOptions,
    row::{Fields, SCHEMA_VERSION, first},
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
pub(super) async fn check(connection: &Connection, options: &PostgresOptions) -> Result<(), Cause> {
    look(connection, options).await.map(drop)
}

async fn look(connection: &Connection, options: &PostgresOptions) -> Result<Found, Cause> {
    let step = Step::once(SETTINGS).text(&options.schema);
    let rows = connection.flight(&[step]).await?;
    let mut fields = Fields::of(first(&rows[0])?);
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
    Ok(Found {
        has_schema: fields.get()?,
        has_tables: fields.get()?,
    })
}

/// As [`check`], and makes the tables if they are missing: where they were dropped, or another
/// server took the place of one that had them, the store is empty, and is to be used.
pub(super) async fn prepare(
    connection: &Connection,
    options: &PostgresOptions,
) -> Result<(), Cause> {
    match look(connection, options).await?.has_tables {
        true => Ok(()),
        false => create(connection, options).await,
    }
}

/// Whether the tables are ours.
pub(super) async fn check_version(
    connection: &Connection,
    options: &PostgresOptions,
) -> Result<(), Cause> {
    let version = format!(
        "SELECT version FROM {}.schema_version",
        quoted(&options.schema)
    );
    let rows = connection.flight(&[Step::once(&version)]).await?;
    let version = rows[0].first().map(|row| Fields::of(row).get());
    match version.transpose()? {
        None | Some(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(Cause::NewerSchema { found }),
    }
}

/// One process makes them, and the others wait for it.
async fn create(connection: &Connection, options: &PostgresOptions) -> Result<(), Cause> {
    let lock = Step::once("SELECT pg_advisory_xact_lock(hashtextextended('epochkey ' || $1, 0))");
    let begin = Step::script("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
    connection
        .flight(&[begin, lock.text(&options.schema)])
        .await?;
    let found = look(connection, options).await?;
    let mut script = String::new();
    if !found.has_schema {
        script += &sql::create_schema(&options.schema);
    }
    if !found.has_tables {
        script += &sql::tables(&options.schema);
    }
    connection
        .flight(&[Step::script(&script), Step::script("COMMIT")])
        .await?;
    Ok(())
}

/// Why what was asked before the first question was not answered.
impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        use std::{io, sync::Arc};
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
