//! What the quickstart keeps from one run to the next, beside its executable.

use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use epochkey::MasterSecret;

pub(crate) struct State {
    directory: PathBuf,
}

/// The tokens that a run leaves to the next.
pub(crate) struct Left {
    pub(crate) good: String,
    pub(crate) revoked: Vec<String>,
}

impl State {
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        let executable = env::current_exe()?;
        let beside = executable
            .parent()
            .ok_or("the executable has no directory")?;
        let directory = beside.join("quickstart-state");
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.join("auth.redb")
    }

    /// A service is given its master secret by whoever deploys it, as an environment variable
    /// or a file, and keeps it where the store and its backups are not.
    pub(crate) fn master_secret(&self) -> Result<MasterSecret, Box<dyn Error>> {
        let path = self.directory.join("master-secret");
        if !path.exists() {
            let secret = MasterSecret::generate()?;
            write_for_owner(&path, secret.expose_hex().as_ref())?;
        }
        Ok(MasterSecret::from_file(path)?)
    }

    pub(crate) fn left(&self) -> io::Result<Option<Left>> {
        let text = match fs::read_to_string(self.tokens()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let mut lines = text.lines().map(str::to_owned);
        Ok(lines.next().map(|good| Left {
            good,
            revoked: lines.collect(),
        }))
    }

    pub(crate) fn leave(&self, good: &str, revoked: &[String]) -> Result<(), Box<dyn Error>> {
        let lines = [good, &revoked.join("\n")].join("\n");
        Ok(write_for_owner(&self.tokens(), &lines)?)
    }

    fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }
}

fn write_for_owner(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
