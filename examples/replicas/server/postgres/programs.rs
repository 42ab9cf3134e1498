//! PostgreSQL's programs, and whom they run as.

use std::{
    env, fs, io,
    os::unix::{
        fs::{MetadataExt, lchown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

/// Debian's packages put the programs of each version in a directory of its own here.
const VERSIONS: &str = "/usr/lib/postgresql";
const OLDEST_VERSION: u32 = 14;

/// Where `postgres` and the programs of the same version are.
pub(super) fn directory() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .find_map(|directory| with_server(&directory))
        .or_else(newest_version)
}

fn newest_version() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, with_server(&entry.path().join("bin"))?))
        })
        .filter(|(version, _)| *version >= OLDEST_VERSION)
        .max()
        .map(|(_, directory)| directory)
}

/// The directory itself, or where its `postgres` is a link to.
fn with_server(directory: &Path) -> Option<PathBuf> {
    let program = fs::canonicalize(directory.join("postgres")).ok()?;
    program.parent().map(Path::to_owned)
}

/// Speaks English, and knows nothing of variables by which programs find other servers.
pub(super) fn command(name: &str) -> Command {
    isolated(Command::new(path(name)))
}

/// As [`command`], run by another program that takes it for its last arguments.
pub(super) fn command_by(mut runner: Command, name: &str) -> Command {
    runner.arg(path(name));
    isolated(runner)
}

fn path(name: &str) -> PathBuf {
    directory().map_or_else(|| name.into(), |directory| directory.join(name))
}

fn isolated(mut command: Command) -> Command {
    command.env_clear().env("LC_ALL", "C");
    command
}

/// What `command` writes to its standard output.
pub(super) fn run(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    if !output.status.success() {
        let program = command.get_program().display();
        let said = String::from_utf8_lossy(&output.stderr);
        let error = format!("{program}: {}: {said}", output.status);
        return Err(io::Error::other(error));
    }
    Ok(output.stdout)
}

/// Whom servers run as where root, whom they refuse, runs the tests: the account that comes with
/// the package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// `None`: servers run as whoever runs the tests, whose `directory` is.
    pub(super) fn needed(directory: &Path) -> io::Result<Option<Self>> {
        if fs::metadata(directory)?.uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let account = accounts.lines().find_map(Self::parse);
        account
            .map(Some)
            .ok_or_else(|| io::Error::other("root needs an account `postgres` to run servers as"))
    }

    /// A line of `passwd(5)`, if it is the account's.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some(Self {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    }

    /// Makes it the one that `command` will run as.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives it `path` and all that is in it.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        lchown(path, Some(self.uid), Some(self.gid))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}
