//! A private `redis-server` that keeps what it has acknowledged.

use std::{
    fmt::Debug,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

use redis::{Client, Connection, RedisError, RedisResult, Value};
use tempfile::TempDir;

use super::{
    Server,
    process::{Process, poll},
};

const SETTINGS: [(&str, &str); 9] = [
    ("bind", "127.0.0.1"),
    ("daemonize", "no"),
    ("loglevel", "warning"),
    ("save", ""),
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("maxmemory-policy", "noeviction"),
    // A replica need not wait for others before it gets its data.
    ("repl-diskless-sync-delay", "0"),
    // It can be small: a replica that fell behind gets everything anew.
    ("repl-backlog-size", "16kb"),
];
const PORTS_TRIED: usize = 10;
/// Of the fixture's own connections. No server that runs needs as long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// See [`Server`] for what it can do besides.
#[derive(Debug)]
pub(crate) struct RedisServer {
    // Before the directory, for it is dropped first.
    process: Process,
    directory: TempDir,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    primary: Option<SocketAddr>,
    /// What a replica that was cut off takes for its primary: it never answers.
    silent: Option<TcpListener>,
}

impl RedisServer {
    /// A new connection; the server has to run.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub(crate) fn connection(&self) -> RedisResult<Connection> {
        connect(self.address)
    }

    /// What the server answers to a command, over a connection made for it.
    ///
    /// # Errors
    ///
    /// If the server does not answer, and what it answers as an error.
    pub(crate) fn command(&self, words: &[&str]) -> RedisResult<Value> {
        send(&mut self.connection()?, words)
    }

    /// A number that the server tells of itself, as under `INFO replication`.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or tells no such number.
    pub(crate) fn number(&self, section: &str, name: &str) -> io::Result<u64> {
        number(&mut self.connection().map_err(other)?, section, name)
    }

    fn spawn(
        directory: &TempDir,
        address: SocketAddr,
        settings: &[(String, String)],
        primary: Option<SocketAddr>,
    ) -> io::Result<Process> {
        let mut command = Command::new(Self::PROGRAM);
        command.arg("--port").arg(address.port().to_string());
        command.arg("--dir").arg(directory.path());
        for (name, value) in SETTINGS {
            command.args([&format!("--{name}"), value]);
        }
        for (name, value) in settings {
            command.args([&format!("--{name}"), value]);
        }
        if let Some(primary) = primary {
            command.arg("--replicaof").arg(primary.ip().to_string());
            command.arg(primary.port().to_string());
        }
        Process::start(&mut command, &directory.path().join("log"))
    }

    /// `AddrInUse` if somebody else has the port.
    fn wait_until_loaded(process: &mut Process, address: SocketAddr) -> io::Result<()> {
        let mut ended = false;
        let answered = poll(|| {
            if process.ended()?.is_some() {
                ended = true;
                return Ok(());
            }
            let mut connection = connect(address).map_err(other)?;
            send(&mut connection, &["PING"]).map_err(other)?;
            // Another server may have had the port for a moment before this one.
            let pid = number(&mut connection, "server", "process_id")?;
            if pid != u64::from(process.pid()) {
                return Err(io::Error::other("another server answers"));
            }
            Ok(())
        });
        match answered {
            Err(error) => Err(process.with_log(&error)),
            Ok(()) if ended => {
                let error = process.with_log(&io::Error::other("it has ended"));
                if error.to_string().contains("Address already in use") {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, error));
                }
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn start(settings: &[(String, String)], primary: Option<SocketAddr>) -> io::Result<Self> {
        let mut tries = 1;
        loop {
            let directory = TempDir::new()?;
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let mut process = Self::spawn(&directory, address, settings, primary)?;
            match Self::wait_until_loaded(&mut process, address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < PORTS_TRIED => {
                    tries += 1;
                }
                result => {
                    return result.map(|()| Self {
                        process,
                        directory,
                        address,
                        settings: settings.to_vec(),
                        primary,
                        silent: None,
                    });
                }
            }
        }
    }

    fn say(&self, words: &[&str]) -> io::Result<()> {
        let answer = self.command(words).map_err(other);
        answer
            .map(drop)
            .map_err(|error| self.process.with_log(&error))
    }

    fn follow(&self, primary: SocketAddr) -> io::Result<()> {
        let (host, port) = (primary.ip().to_string(), primary.port().to_string());
        self.say(&["REPLICAOF", &host, &port])
    }

    /// Waits until this replica is where its primary is, on disk too.
    fn catch_up(&self, primary: SocketAddr) -> io::Result<()> {
        poll(|| {
            let mut here = self.connection().map_err(other)?;
            let replication = info(&mut here, "replication")?;
            if field(&replication, "master_link_status") != Some("up") {
                return Err(io::Error::other("the link to the primary is down"));
            }
            let mut primary = connect(primary).map_err(other)?;
            let wanted = number(&mut primary, "replication", "master_repl_offset")?;
            if number(&mut here, "replication", "slave_repl_offset")? < wanted {
                return Err(io::Error::other("the replica lags"));
            }
            // What came as a whole is in memory only until the log is rewritten.
            for rewrite in ["aof_rewrite_in_progress", "aof_rewrite_scheduled"] {
                if number(&mut here, "persistence", rewrite)? != 0 {
                    return Err(io::Error::other("the replica still writes its log"));
                }
            }
            Ok(())
        })
        .map_err(|error| self.process.with_log(&error))
    }
}

impl Server for RedisServer {
    const PROGRAM: &'static str = "redis-server";

    fn with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self::start(&settings, None)
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://{address}/")
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    fn terminate(&mut self) -> io::Result<()> {
        self.process.end("TERM")
    }

    fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        // The port may be somebody's for a moment, as the near end of a connection.
        poll(|| {
            self.process =
                Self::spawn(&self.directory, self.address, &self.settings, self.primary)?;
            match Self::wait_until_loaded(&mut self.process, self.address) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => Ok(Err(error)),
                result => result.map(Ok),
            }
        })?
    }

    fn restart_empty(&mut self) -> io::Result<()> {
        self.kill()?;
        for entry in fs::read_dir(self.directory.path())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if entry.file_name() != "log" {
                fs::remove_file(entry.path())?;
            }
        }
        self.restart()
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.say(&["FLUSHALL", "SYNC"])
    }

    fn freeze(&self) -> io::Result<()> {
        self.process.freeze()
    }

    fn thaw(&self) -> io::Result<()> {
        self.process.thaw()
    }

    fn replica(&self) -> io::Result<Self> {
        let replica = Self::start(&self.settings, Some(self.address))?;
        replica.catch_up(self.address)?;
        Ok(replica)
    }

    fn cut_off(&mut self) -> io::Result<()> {
        let primary = self
            .primary
            .ok_or_else(|| io::Error::other("this server follows none"))?;
        self.catch_up(primary)?;
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = silent.local_addr()?;
        // Freezing would not do: what reached the socket's buffer is read after the thaw.
        self.follow(address)?;
        self.primary = Some(address);
        self.silent = Some(silent);
        Ok(())
    }

    fn rejoin(&mut self, primary: &Self) -> io::Result<()> {
        self.follow(primary.address)?;
        self.primary = Some(primary.address);
        self.silent = None;
        self.catch_up(primary.address)
    }

    fn promote(&mut self) -> io::Result<()> {
        self.say(&["REPLICAOF", "NO", "ONE"])?;
        self.primary = None;
        self.silent = None;
        Ok(())
    }
}

fn connect(address: SocketAddr) -> RedisResult<Connection> {
    let client = Client::open(format!("redis://{address}/"))?;
    let connection = client.get_connection_with_timeout(TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

fn send(connection: &mut Connection, words: &[&str]) -> RedisResult<Value> {
    let (name, arguments) = words.split_first().unwrap_or((&"", &[]));
    redis::cmd(name).arg(arguments).query(connection)
}

fn info(connection: &mut Connection, section: &str) -> io::Result<String> {
    redis::cmd("INFO")
        .arg(section)
        .query(connection)
        .map_err(other)
}

fn number(connection: &mut Connection, section: &str, name: &str) -> io::Result<u64> {
    let info = info(connection, section)?;
    field(&info, name)
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no number {name}")))
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn other(error: RedisError) -> io::Error {
    io::Error::other(error)
}
