//! Streaming standbys.

use std::{io, net::SocketAddr};

use super::{super::process::poll, PostgresServer, connect, other, value};

/// How far a server's log goes, a primary's or a standby's.
const POSITION: &str = "SELECT CASE WHEN pg_is_in_recovery()
    THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";

impl PostgresServer {
    /// Waits until this standby streams, and has replayed all that its primary has. What is
    /// replayed is on disk.
    pub(super) fn catch_up(&self, primary: SocketAddr) -> io::Result<()> {
        poll(|| {
            let receivers = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
            if self.value(receivers)? == "0" {
                return Err(io::Error::other("the standby does not stream"));
            }
            let mut primary = connect(primary).map_err(other)?;
            let wanted = value(&mut primary, POSITION)?;
            let replayed = format!("SELECT ({POSITION}) >= '{wanted}'::pg_lsn");
            match &*self.value(&replayed)? {
                "t" => Ok(()),
                _ => Err(io::Error::other("the standby lags")),
            }
        })
        .map_err(|error| self.process.with_log(&error))
    }

    /// From now on, also over restarts.
    pub(super) fn follow_nobody(&self) -> io::Result<()> {
        let mut client = self.connection().map_err(other)?;
        client
            .batch_execute("ALTER SYSTEM SET primary_conninfo = ''")
            .map_err(other)?;
        client
            .batch_execute("SELECT pg_reload_conf()")
            .map_err(other)?;
        poll(
            || match &*value(&mut client, "SELECT count(*) FROM pg_stat_wal_receiver")? {
                "0" => Ok(()),
                _ => Err(io::Error::other("the standby still streams")),
            },
        )
        .map_err(|error| self.process.with_log(&error))
    }
}
