//! A private PostgreSQL server that keeps what it has acknowledged.

mod cluster;
mod dump;
mod programs;
mod small_disk;
mod standby;
mod template;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use self::{cluster::Cluster, programs::Account};
pub(crate) use self::{dump::Dump, small_disk::SmallDisk};
use super::{
    Server,
    process::{Process, poll},
};

const PORTS_TRIED: usize = 10;
/// Of the fixture's own connections. No server that runs needs as long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What is said to who cannot have a lock.
const LOCKED: [&str; 2] = ["lock timeout", "deadlock detected"];

/// All tables that are not PostgreSQL's own, at once.
const WIPE: &str = "
    DO $$
    DECLARE
        tables text;
    BEGIN
        SET LOCAL lock_timeout = '1s';
        SELECT string_agg(oid::regclass::text, ', ') INTO tables FROM pg_class
            WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND oid >= 16384;
        IF tables IS NOT NULL THEN
            EXECUTE 'TRUNCATE ' || tables || ' RESTART IDENTITY';
        END IF;
    END $$";

/// See [`Server`] for what it can do besides. It has one database, `postgres`, and lets
/// everybody in as the superuser of the same name.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    // Before the cluster, for it is dropped first.
    process: Process,
    cluster: Cluster,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    primary: Option<SocketAddr>,
}

impl PostgresServer {
    /// As [`with`](Server::with), with files of its own in its directory, which only it may read:
    /// certificates, or who may enter how. They are gone when it is made empty.
    pub(crate) fn with_files(
        settings: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> io::Result<Self> {
        Self::begin(Cluster::new()?, settings, files)
    }

    /// A new connection; the server has to run. A frozen one keeps the caller waiting.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub(crate) fn connection(&self) -> Result<Client, Error> {
        connect(self.address)
    }

    /// Carries out statements, separated by semicolons, over a connection made for them. If one
    /// fails, none has an effect.
    ///
    /// # Errors
    ///
    /// If the server does not answer, and what it answers as an error.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection()?.batch_execute(sql)
    }

    /// The first column of the first row that the server answers, over a connection made for it.
    ///
    /// # Errors
    ///
    /// If the server does not answer, what it answers as an error, and if there is no such value.
    pub(crate) fn value(&self, sql: &str) -> io::Result<String> {
        value(&mut self.connection().map_err(other)?, sql)
    }

    /// Ends it at once, as in an emergency, but by its own means. A frozen server does not end.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub(crate) fn immediate_shutdown(&mut self) -> io::Result<()> {
        self.process.end("QUIT")
    }

    /// Makes a file, or a directory with all in it, belong to whoever servers run as, as they
    /// ask of files with keys.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    pub(crate) fn hand_over(path: &Path) -> io::Result<()> {
        Account::needed(path)?.map_or(Ok(()), |account| account.own(path))
    }

    fn begin(
        cluster: Cluster,
        settings: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> io::Result<Self> {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        cluster.make(&settings)?;
        for (name, text) in files {
            cluster.write(name, text)?;
        }
        let server = Self::start(cluster, settings, None)?;
        server.use_small_disk()?;
        Ok(server)
    }

    fn start(
        cluster: Cluster,
        settings: Vec<(String, String)>,
        primary: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let mut tries = 1;
        loop {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let mut process = cluster.spawn(address)?;
            match cluster.wait_until_ready(&mut process) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < PORTS_TRIED => {
                    tries += 1;
                }
                result => {
                    return result.map(|()| Self {
                        process,
                        cluster,
                        address,
                        settings,
                        primary,
                    });
                }
            }
        }
    }

    /// Starts the server that was killed or has ended.
    fn run(&mut self) -> io::Result<()> {
        // The port may be somebody's for a moment, as the near end of a connection.
        poll(|| {
            self.process = self.cluster.spawn(self.address)?;
            match self.cluster.wait_until_ready(&mut self.process) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::AddrInUse | io::ErrorKind::ResourceBusy
                    ) =>
                {
                    Ok(Err(error))
                }
                result => result.map(Ok),
            }
        })?
    }
}

impl Server for PostgresServer {
    const PROGRAM: &'static str = "postgres";

    fn is_installed() -> bool {
        programs::directory().is_some()
    }

    fn with(settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::with_files(settings, &[])
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/postgres")
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// After SIGTERM it would wait until all clients have gone.
    fn terminate(&mut self) -> io::Result<()> {
        self.process.end("INT")
    }

    fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.run()
    }

    /// It is a primary, whatever it was before.
    fn restart_empty(&mut self) -> io::Result<()> {
        self.kill()?;
        self.cluster.clear()?;
        self.cluster.make(&self.settings)?;
        self.primary = None;
        self.run()?;
        self.use_small_disk()
    }

    /// Empties all tables; they stay. Sequences start over.
    fn wipe(&mut self) -> io::Result<()> {
        past_locks(|| self.execute(WIPE).map_err(other))
    }

    fn freeze(&self) -> io::Result<()> {
        self.process.freeze()
    }

    fn thaw(&self) -> io::Result<()> {
        self.process.thaw()
    }

    fn replica(&self) -> io::Result<Self> {
        let cluster = Cluster::new()?;
        cluster.copy(&self.url(), &self.settings)?;
        let replica = Self::start(cluster, self.settings.clone(), Some(self.address))?;
        replica.catch_up(self.address)?;
        Ok(replica)
    }

    fn cut_off(&mut self) -> io::Result<()> {
        let primary = self
            .primary
            .take()
            .ok_or_else(|| io::Error::other("this server follows none"))?;
        self.catch_up(primary)?;
        self.follow_nobody()
    }

    /// With a copy of all that `primary` has, over the same port: connections are closed.
    fn rejoin(&mut self, primary: &Self) -> io::Result<()> {
        self.kill()?;
        self.cluster.clear()?;
        self.cluster.copy(&primary.url(), &self.settings)?;
        self.primary = Some(primary.address);
        self.run()?;
        self.catch_up(primary.address)
    }

    fn promote(&mut self) -> io::Result<()> {
        self.value("SELECT pg_promote()")?;
        self.primary = None;
        poll(|| match &*self.value("SELECT pg_is_in_recovery()")? {
            "f" => Ok(()),
            _ => Err(io::Error::other("it is not promoted")),
        })
        .map_err(|error| self.process.with_log(&error))
    }
}

/// Clients have locks, for a moment each.
fn past_locks<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    poll(|| match attempt() {
        Err(error) if LOCKED.iter().any(|cause| error.to_string().contains(cause)) => Err(error),
        result => Ok(result),
    })?
}

fn connect(address: SocketAddr) -> Result<Client, Error> {
    let timeout = format!("-c statement_timeout={}", TIMEOUT.as_millis());
    Config::new()
        .host(&address.ip().to_string())
        .port(address.port())
        .user("postgres")
        .dbname("postgres")
        .connect_timeout(TIMEOUT)
        .options(&timeout)
        .connect(NoTls)
}

fn value(client: &mut Client, sql: &str) -> io::Result<String> {
    let answer = client.simple_query(sql).map_err(other)?;
    answer
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("no value: {sql}")))
}

fn other(error: Error) -> io::Error {
    // Of an error that the server answers, `Display` says only that it is one.
    match error.as_db_error() {
        Some(answer) => io::Error::other(format!("{}: {}", answer.message(), answer.code().code())),
        None => io::Error::other(error),
    }
}
