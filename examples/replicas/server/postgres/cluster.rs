//! A directory with a database cluster, and the server that runs on it.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use super::{
    super::process::{Process, poll},
    programs::{self, Account},
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

/// The files of a new cluster. Making them takes longer than writing them.
struct Template {
    directories: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// In memory, because a directory would outlive the process.
static TEMPLATE: Mutex<Option<Arc<Template>>> = Mutex::new(None);

impl Template {
    fn get() -> io::Result<Arc<Self>> {
        let mut kept = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = &*kept {
            return Ok(Arc::clone(template));
        }
        let template = Arc::new(Self::make()?);
        *kept = Some(Arc::clone(&template));
        Ok(template)
    }

    fn make() -> io::Result<Self> {
        let directory = Directory::new()?;
        let mut initdb = directory.command("initdb");
        initdb.args(["--no-sync", "--no-instructions", "--auth=trust"]);
        initdb.args(["--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pgdata").arg(directory.data());
        programs::run(&mut initdb)?;
        let mut template = Self {
            directories: Vec::new(),
            files: Vec::new(),
        };
        template.read(&directory.data(), Path::new(""))?;
        Ok(template)
    }

    fn read(&mut self, data: &Path, inner: &Path) -> io::Result<()> {
        for entry in fs::read_dir(data.join(inner))? {
            let entry = entry?;
            let name = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.directories.push(name.clone());
                self.read(data, &name)?;
            } else {
                self.files.push((name, fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    fn write(&self, data: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(data)?;
        for name in &self.directories {
            fs::create_dir(data.join(name))?;
        }
        for (name, bytes) in &self.files {
            fs::write(data.join(name), bytes)?;
        }
        Ok(())
    }
}

/// Where a server has its data and its log. Gone when it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    directory: TempDir,
    account: Option<Account>,
}

impl Directory {
    pub(super) fn new() -> io::Result<Self> {
        let directory = TempDir::new()?;
        let account = Account::needed(directory.path())?;
        let directory = Self { directory, account };
        directory.own(directory.directory.path())?;
        Ok(directory)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Makes `path` and all that is in it the server's.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        self.account.map_or(Ok(()), |account| account.own(path))
    }

    /// One of PostgreSQL's programs, to run as whoever the server runs as.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = programs::command(program);
        command.current_dir(self.directory.path());
        if let Some(account) = self.account {
            account.run_as(&mut command);
        }
        command
    }

    /// Removes the cluster of a server that does not run, if there is one.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.free_memory();
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a new cluster.
    pub(super) fn fill(&self, settings: &[(String, String)]) -> io::Result<()> {
        Template::get()?.write(&self.data())?;
        self.configure(settings)?;
        self.own(&self.data())
    }

    /// Here and not by arguments, over which `ALTER SYSTEM` has no power.
    pub(super) fn configure(&self, settings: &[(String, String)]) -> io::Result<()> {
        let mut lines = String::new();
        let own = SETTINGS.iter().copied();
        let given = settings.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in own.chain(given) {
            let value = value.replace('\\', "\\\\").replace('\'', "''");
            lines.push_str(&format!("{name} = '{value}'\n"));
        }
        fs::write(self.data().join("postgresql.conf"), lines)
    }

    pub(super) fn spawn(&self, address: SocketAddr) -> io::Result<Process> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
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
        fs::read_to_string(self.data().join("postmaster.pid"))
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

impl Drop for Directory {
    fn drop(&mut self) {
        self.free_memory();
    }
}
