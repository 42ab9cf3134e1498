//! A directory with a database cluster, and the server that runs on it.

use std::{
    fs, io, iter,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    super::process::{Process, poll},
    programs::{self, Account},
    small_disk::{Disk, Limit, Mount, SmallDisk, TABLE_SPACE},
    template::Template,
};

const SETTINGS: [(&str, &str); 17] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    // In the directory, so that nothing of a killed server is left elsewhere.
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_level", "replica"),
    ("max_wal_senders", "10"),
    ("min_wal_size", "32MB"),
    ("wal_keep_size", "64MB"),
    ("hot_standby", "on"),
    // A standby need not be waited for when its primary is back.
    ("wal_retrieve_retry_interval", "100ms"),
    ("autovacuum", "on"),
    ("jit", "off"),
    ("log_checkpoints", "off"),
];

/// On small disks.
const SMALL_SETTINGS: [(&str, &str); 2] = [("min_wal_size", "2MB"), ("wal_keep_size", "0")];

/// Gone when it is dropped.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) disk: Option<Disk>,
    directory: TempDir,
    /// As the server sees it.
    pub(super) data: PathBuf,
    /// What is on the small disk alone, as the server sees it.
    tables: Option<PathBuf>,
    pub(super) account: Option<Account>,
}

impl Cluster {
    pub(super) fn new() -> io::Result<Self> {
        let directory = TempDir::new()?;
        let account = Account::needed(directory.path())?;
        let cluster = Self {
            disk: None,
            data: directory.path().join("data"),
            tables: None,
            directory,
            account,
        };
        cluster.own(cluster.directory.path())?;
        Ok(cluster)
    }

    /// `Unsupported` where nothing can be mounted.
    pub(super) fn on_mount(what: SmallDisk) -> io::Result<Self> {
        let mut cluster = Self::new()?;
        let at = cluster.directory.path().join("disk");
        fs::create_dir(&at)?;
        match what {
            SmallDisk::Tables => cluster.tables = Some(at.join("tables")),
            SmallDisk::Everything => cluster.data = at.join("data"),
        }
        let mount = Mount::new(&at, Template::get()?.bytes())?;
        cluster.own(&mount.seen(&at))?;
        cluster.disk = Some(Disk::Mounted(mount));
        Ok(cluster)
    }

    pub(super) fn with_limit(what: SmallDisk) -> io::Result<Self> {
        let mut cluster = Self::new()?;
        cluster.disk = Some(Disk::Limited(Limit::new(what)));
        Ok(cluster)
    }

    pub(super) fn tables(&self) -> Option<&Path> {
        self.tables.as_deref()
    }

    /// Where this process sees what the server sees at `path`.
    fn seen(&self, path: &Path) -> PathBuf {
        match &self.disk {
            Some(Disk::Mounted(mount)) => mount.seen(path),
            _ => path.to_owned(),
        }
    }

    /// Makes `path` and all that is in it the server's.
    fn own(&self, path: &Path) -> io::Result<()> {
        self.account.map_or(Ok(()), |account| account.own(path))
    }

    /// One of PostgreSQL's programs, to run as whoever the server runs as.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = match &self.disk {
            Some(disk) => programs::command_by(disk.command(self.account), program),
            None => programs::command(program),
        };
        if let (None, Some(account)) = (&self.disk, self.account) {
            account.run(&mut command);
        }
        // Not everybody may be where this process is.
        command.current_dir("/");
        command
    }

    /// Makes a new cluster.
    pub(super) fn make(&self, settings: &[(String, String)]) -> io::Result<()> {
        Template::get()?.write(&self.seen(&self.data))?;
        if let Some(tables) = &self.tables {
            fs::create_dir(self.seen(tables))?;
            self.own(&self.seen(tables))?;
        }
        self.finish(settings)?;
        if self.disk.is_some() {
            self.shorten_segments()?;
        }
        Ok(())
    }

    /// Those of the write-ahead log, from 16 MiB to 1 MiB.
    fn shorten_segments(&self) -> io::Result<()> {
        let mut resetwal = self.command("pg_resetwal");
        resetwal
            .arg("--wal-segsize=1")
            .arg("--pgdata")
            .arg(&self.data);
        programs::run(&mut resetwal).map(drop)
    }

    /// Copies the cluster of the server at `url`, to be a standby of it.
    pub(super) fn copy(&self, url: &str, settings: &[(String, String)]) -> io::Result<()> {
        let mut backup = self.command("pg_basebackup");
        backup.args(["--dbname", url, "--wal-method=stream", "--checkpoint=fast"]);
        backup.args(["--write-recovery-conf", "--no-sync"]);
        backup.arg("--pgdata").arg(&self.data);
        programs::run(&mut backup)?;
        self.finish(settings)
    }

    /// Settings in a file, and not in arguments, over which `ALTER SYSTEM` would have no power.
    fn finish(&self, settings: &[(String, String)]) -> io::Result<()> {
        let mut all = SETTINGS.to_vec();
        if self.disk.is_some() {
            all.extend(SMALL_SETTINGS);
        }
        if self.tables.is_some() {
            all.push(("default_tablespace", TABLE_SPACE));
        }
        all.extend(settings.iter().map(|(name, value)| (&**name, &**value)));
        let lines = all.iter().map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('\'', "''");
            format!("{name} = '{value}'\n")
        });
        let data = self.seen(&self.data);
        fs::write(data.join("postgresql.conf"), lines.collect::<String>())?;
        self.own(&data)
    }

    /// Removes the data of a server that does not run, if there is any.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.free_memory();
        for path in iter::once(&self.data).chain(&self.tables) {
            match fs::remove_dir_all(self.seen(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts a file beside the data, which only the server may read.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.seen(&self.data).join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        self.own(&path)
    }

    pub(super) fn spawn(&self, address: SocketAddr) -> io::Result<Process> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data);
        command.arg("-p").arg(address.port().to_string());
        Process::start(&mut command, &self.directory.path().join("log"))
    }

    /// `AddrInUse` if somebody else has the port, `ResourceBusy` if processes of a server that
    /// was here before are not gone yet.
    pub(super) fn wait_until_ready(&self, process: &mut Process) -> io::Result<()> {
        let mut ended = false;
        let ready = poll(|| {
            if process.ended()?.is_some() {
                ended = true;
                return Ok(());
            }
            self.says_ready(process.pid())
        });
        let error = match ready {
            Ok(()) if !ended => return Ok(()),
            Ok(()) => process.with_log(&io::Error::other("it has ended")),
            Err(error) => return Err(process.with_log(&error)),
        };
        let text = error.to_string();
        if text.contains("Address already in use") {
            Err(io::Error::new(io::ErrorKind::AddrInUse, error))
        } else if text.contains("is still in use") {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, error))
        } else {
            Err(error)
        }
    }

    /// What a server that was killed has left in the system. The next one on the same data
    /// would do the same.
    fn free_memory(&self) {
        let file = self.lock_file().unwrap_or_default();
        let segment = file
            .lines()
            .nth(6)
            .and_then(|line| line.split(' ').next_back());
        if let Some(segment) = segment {
            let _ = Command::new("ipcrm").args(["--shmem-id", segment]).output();
        }
    }

    fn lock_file(&self) -> io::Result<String> {
        fs::read_to_string(self.seen(&self.data).join("postmaster.pid"))
    }

    /// What the server itself writes to a file: the port may be somebody else's.
    fn says_ready(&self, pid: u32) -> io::Result<()> {
        let file = self.lock_file()?;
        let mut lines = file.lines().map(str::trim_end);
        let own = lines.next().and_then(|line| line.parse().ok()) == Some(pid);
        match lines.nth(6) {
            Some("ready") if own => Ok(()),
            _ => Err(io::Error::other("it does not say that it is ready")),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.free_memory();
    }
}
