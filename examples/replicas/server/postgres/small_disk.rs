//! Disks that can be full.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    super::process::exists,
    PostgresServer,
    cluster::Cluster,
    other,
    programs::{self, Account},
};

pub(super) const TABLE_SPACE: &str = "small_disk";

/// Too short for anything.
const SHORT_FILE: u64 = 1 << 13;

/// What is on the small disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmallDisk {
    /// Tables and their indexes. While it is full, what needs more room is refused.
    Tables,
    /// All data, with the write-ahead log. Soon after it is full the server ends in a panic, and
    /// may be unable to start until there is room again.
    Everything,
}

#[derive(Debug)]
pub(super) enum Disk {
    Mounted(Mount),
    Limited(Limit),
}

impl Disk {
    /// To be given a program and its arguments, which then run on this disk.
    pub(super) fn command(&self, account: Option<Account>) -> Command {
        match self {
            Self::Mounted(mount) => mount.command(account),
            Self::Limited(limit) => limit.command(account),
        }
    }
}

impl PostgresServer {
    /// As [`with`](crate::server::Server::with), on a disk that can be made full. It can have no
    /// replicas.
    ///
    /// Where this process may not mount one, the length of files is limited instead. On a full
    /// disk no table, and no index, then becomes longer than the longest, and than 1 MiB, and
    /// who tries is answered with an internal error and not `disk_full`.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) fn on_small_disk(what: SmallDisk, settings: &[(&str, &str)]) -> io::Result<Self> {
        match Cluster::on_mount(what) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                Self::with_limited_files(what, settings)
            }
            cluster => Self::begin(cluster?, settings, &[]),
        }
    }

    /// What [`on_small_disk`](Self::on_small_disk) does where nothing can be mounted.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) fn with_limited_files(
        what: SmallDisk,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        Self::begin(Cluster::with_limit(what)?, settings, &[])
    }

    /// From now on there is no room.
    ///
    /// # Errors
    ///
    /// If this server has no small disk.
    pub(crate) fn fill_disk(&mut self) -> io::Result<()> {
        let Cluster {
            disk,
            data,
            account,
            ..
        } = &mut self.cluster;
        match disk {
            Some(Disk::Mounted(mount)) => mount.fill(),
            Some(Disk::Limited(limit)) => {
                limit.fill(data)?;
                limit.apply(*account, &self.process.tree()?)
            }
            None => Err(no_small_disk()),
        }
    }

    /// There is room again.
    ///
    /// # Errors
    ///
    /// If this server has no small disk.
    pub(crate) fn relieve_disk(&mut self) -> io::Result<()> {
        match &mut self.cluster.disk {
            Some(Disk::Mounted(mount)) => mount.relieve(),
            Some(Disk::Limited(limit)) => {
                limit.bytes = None;
                limit.apply(self.cluster.account, &self.process.tree()?)
            }
            None => Err(no_small_disk()),
        }
    }

    /// New tables are on the small disk from now on, if there is one.
    pub(super) fn use_small_disk(&self) -> io::Result<()> {
        let Some(location) = self.cluster.tables() else {
            return Ok(());
        };
        let location = location.display();
        self.execute(&format!(
            "CREATE TABLESPACE {TABLE_SPACE} LOCATION '{location}'"
        ))
        .map_err(other)
    }
}

fn no_small_disk() -> io::Error {
    io::Error::other("it has no small disk")
}

/// A disk in memory that only the server's processes see. It is gone with the last of them, also
/// when this process is killed.
#[derive(Debug)]
pub(super) struct Mount {
    /// Ends with its standard input, and so with this process.
    holder: Child,
    at: PathBuf,
}

impl Mount {
    const ROOM: u64 = 64 << 20;
    const COMMAND: &str =
        "mount -t tmpfs -o size=$1,mode=755 tmpfs \"$2\" && echo mounted && exec cat";

    /// At an empty directory, with some room besides `bytes`. `Unsupported` where nothing can be
    /// mounted.
    pub(super) fn new(at: &Path, bytes: u64) -> io::Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", Self::COMMAND, "sh"])
            .arg((bytes + Self::ROOM).to_string())
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(ErrorKind::Unsupported, error))?;
        let output = holder.stdout.take();
        let at = at.to_owned();
        let mount = Self { holder, at };
        let mut said = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut said)?;
        }
        if said != "mounted\n" {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(mount)
    }

    fn command(&self, account: Option<Account>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string()]);
        if let Some(Account { uid, gid }) = account {
            command.args(["--setuid", &uid.to_string(), "--setgid", &gid.to_string()]);
        }
        command.arg("--");
        command
    }

    /// Where this process sees what the server sees at `path`.
    pub(super) fn seen(&self, path: &Path) -> PathBuf {
        let root = Path::new("/proc").join(self.holder.id().to_string());
        root.join("root")
            .join(path.strip_prefix("/").unwrap_or(path))
    }

    fn ballast(&self) -> PathBuf {
        self.seen(&self.at).join("ballast")
    }

    fn fill(&self) -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.ballast())?;
        for bytes in [1 << 20, 1 << 12] {
            let zeros = vec![0; bytes];
            loop {
                match file.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn relieve(&self) -> io::Result<()> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// How long files can be while the disk is said to be full.
#[derive(Debug)]
pub(super) struct Limit {
    what: SmallDisk,
    /// While it is full.
    bytes: Option<u64>,
}

impl Limit {
    pub(super) fn new(what: SmallDisk) -> Self {
        Self { what, bytes: None }
    }

    /// What is longer could not be written anew, and the server has to be able to go on.
    fn fill(&mut self, data: &Path) -> io::Result<()> {
        self.bytes = Some(match self.what {
            SmallDisk::Tables => longest_file(data)?,
            SmallDisk::Everything => SHORT_FILE,
        });
        Ok(())
    }

    /// Of a server that runs.
    fn apply(&self, account: Option<Account>, processes: &[u32]) -> io::Result<()> {
        for &pid in processes {
            let mut command = self.prlimit(account);
            let changed = programs::run(command.args(["--pid", &pid.to_string()]));
            if changed.is_err() && exists(pid) {
                return changed.map(drop);
            }
        }
        Ok(())
    }

    fn command(&self, account: Option<Account>) -> Command {
        let mut command = self.prlimit(account);
        command.arg("--");
        command
    }

    /// As who may do it: root need not be allowed to, for processes of others.
    fn prlimit(&self, account: Option<Account>) -> Command {
        let mut command = Command::new("prlimit");
        // Without an upper bound, so that it can be undone.
        command.arg(match self.bytes {
            Some(bytes) => format!("--fsize={bytes}:"),
            None => "--fsize=unlimited:".to_owned(),
        });
        if let Some(account) = account {
            account.run(&mut command);
        }
        command
    }
}

fn longest_file(directory: &Path) -> io::Result<u64> {
    let mut longest = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let length = match entry.file_type()?.is_dir() {
            true => longest_file(&entry.path()),
            false => entry.metadata().map(|metadata| metadata.len()),
        };
        match length {
            // The server works.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            length => longest = longest.max(length?),
        }
    }
    Ok(longest)
}
