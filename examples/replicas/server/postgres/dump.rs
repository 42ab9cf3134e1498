//! Backups, as an operator makes them.

use std::io;

use tempfile::TempDir;

use super::{super::Server, PostgresServer, past_locks, programs};

/// Drops whatever is not PostgreSQL's own. Tables go first, with the sequences of their columns.
const DROP_ALL: &str = r"
    DO $$
    DECLARE
        statements text;
    BEGIN
        SELECT string_agg(
            format('DROP %s IF EXISTS %s CASCADE', type, identity), ';' ORDER BY type <> 'table'
        ) INTO statements FROM (
            SELECT 'schema' AS type, quote_ident(nspname) AS identity FROM pg_namespace
                WHERE oid >= 16384 AND nspname NOT LIKE 'pg\_%'
            UNION ALL
            SELECT object.type, object.identity
                FROM pg_depend, pg_identify_object(classid, objid, 0) AS object
                WHERE refclassid = 'pg_namespace'::regclass
                AND refobjid = 'public'::regnamespace AND deptype = 'n'
        ) AS found;
        IF statements IS NOT NULL THEN
            EXECUTE statements;
        END IF;
    END $$";

/// All that was in a server's database at one moment.
#[derive(Debug)]
pub(crate) struct Dump(TempDir);

impl Dump {
    const NAME: &str = "dump.sql";
}

impl PostgresServer {
    /// Makes a backup while clients work.
    ///
    /// # Errors
    ///
    /// What `pg_dump` says.
    pub(crate) fn dump(&self) -> io::Result<Dump> {
        let dump = Dump(TempDir::new()?);
        let mut program = programs::command("pg_dump");
        program.args(["--dbname", &self.url()]);
        program.arg("--file").arg(dump.0.path().join(Dump::NAME));
        programs::run(&mut program)?;
        Ok(dump)
    }

    /// Replaces all that is in the database by what a backup has, in one transaction. Clients
    /// stay connected.
    ///
    /// # Errors
    ///
    /// What `psql` says.
    pub(crate) fn restore(&self, dump: &Dump) -> io::Result<()> {
        let mut program = programs::command("psql");
        program.args(["--no-psqlrc", "--quiet", "--single-transaction"]);
        program.args(["--set=ON_ERROR_STOP=1", "--dbname", &self.url()]);
        program.args(["--command", DROP_ALL, "--file"]);
        program.arg(dump.0.path().join(Dump::NAME));
        program.env("PGOPTIONS", "-c lock_timeout=1s");
        past_locks(|| programs::run(&mut program)).map(drop)
    }
}
