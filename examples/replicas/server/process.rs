//! A server's process, and what signals do to it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// With [`PAUSE`] in between, half a minute: machines that run tests can be slow.
const TRIES: usize = 3000;
const PAUSE: Duration = Duration::from_millis(10);
const SHOWN_OF_LOG: usize = 2000;

/// Killed when it is dropped. It stays in the process group of its parent, so that an
/// interrupt from the terminal, or of a timeout, ends it too.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs `command`, and writes what it says to the end of the file `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| {
                let program = command.get_program().display();
                io::Error::new(error.kind(), format!("{program} is needed, and: {error}"))
            })?;
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    pub(super) fn terminate(&mut self) -> io::Result<()> {
        if self.ended()?.is_none() {
            self.signal("TERM")?;
        }
        poll(|| match self.ended() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(io::Error::other("still runs after SIGTERM")),
            Err(error) => Err(error),
        })
        .map_err(|error| self.with_log(&error))
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        self.signal("STOP")?;
        // The signal may be under way still.
        poll(|| match self.state() {
            Some('T') | None => Ok(()),
            Some(state) => Err(io::Error::other(format!("not frozen but {state}"))),
        })
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    /// `error`, with the end of the log.
    pub(super) fn with_log(&self, error: &io::Error) -> io::Error {
        let log = fs::read(&self.log).unwrap_or_default();
        let end = &log[log.len().saturating_sub(SHOWN_OF_LOG)..];
        let end = String::from_utf8_lossy(end);
        io::Error::new(error.kind(), format!("{error}; its log ends:\n{end}"))
    }

    /// The shell's own `kill`, for not every machine has the program.
    fn signal(&self, name: &str) -> io::Result<()> {
        let command = format!("kill -s {name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &command]).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{command}: {status}")));
        }
        Ok(())
    }

    /// As in `proc_pid_stat(5)`; `None` where there is no such file.
    fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        fields.chars().next()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Tries until it works, or gives up with the last error.
pub(super) fn poll<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 1;
    loop {
        match attempt() {
            Err(_) if tries < TRIES => thread::sleep(PAUSE),
            result => return result,
        }
        tries += 1;
    }
}
