//! A server's process with all its descendants, and what signals do to them.

use std::{
    collections::HashMap,
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

/// Killed with its descendants when it is dropped. It stays in the process group of its parent,
/// so that an interrupt from the terminal, or of a timeout, ends it too.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// How long the log was before.
    logged: u64,
}

impl Process {
    /// Runs `command`, and writes what it says to the end of the file `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let logged = file.metadata()?.len();
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
        Ok(Self { child, log, logged })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Itself and its descendants; nobody if it has ended.
    pub(super) fn tree(&mut self) -> io::Result<Vec<u32>> {
        let mut tree = Vec::new();
        if self.ended()?.is_none() {
            tree.push(self.pid());
            tree.extend(descendants(self.pid()));
        }
        Ok(tree)
    }

    /// Kills it and its descendants, also when they are frozen, and waits until all are gone.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // What is frozen starts no more processes that would be missed.
        let descendants = self
            .freeze_tree()
            .unwrap_or_else(|_| descendants(self.pid()));
        self.child.kill()?;
        signal_all("KILL", &descendants);
        self.child.wait()?;
        poll(|| match descendants.iter().find(|&&pid| exists(pid)) {
            Some(pid) => Err(io::Error::other(format!("{pid} still runs after SIGKILL"))),
            None => Ok(()),
        })
    }

    /// Asks it to end with this signal, and waits until it has ended.
    pub(super) fn end(&mut self, name: &str) -> io::Result<()> {
        if self.ended()?.is_none() {
            signal(name, self.pid())?;
        }
        poll(|| match self.ended() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(io::Error::other(format!("still runs after SIG{name}"))),
            Err(error) => Err(error),
        })
        .map_err(|error| self.with_log(&error))
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        self.freeze_tree().map(drop)
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        signal_all("CONT", &descendants(self.pid()));
        signal("CONT", self.pid())
    }

    /// Who was frozen besides.
    fn freeze_tree(&self) -> io::Result<Vec<u32>> {
        signal("STOP", self.pid())?;
        let mut all_frozen = false;
        poll(|| {
            let before = all_frozen;
            let descendants = descendants(self.pid());
            let mut running = descendants.clone();
            running.push(self.pid());
            running.retain(|&pid| runs(pid));
            all_frozen = running.is_empty();
            // Looked for while all were frozen, nobody is missed.
            if all_frozen && before {
                return Ok(descendants);
            }
            signal_all("STOP", &running);
            Err(io::Error::other(format!("not frozen: {running:?}")))
        })
    }

    /// `error`, with the end of what it logged.
    pub(super) fn with_log(&self, error: &io::Error) -> io::Error {
        let log = fs::read(&self.log).unwrap_or_default();
        let before = usize::try_from(self.logged).unwrap_or_default();
        let log = log.get(before..).unwrap_or_default();
        let end = &log[log.len().saturating_sub(SHOWN_OF_LOG)..];
        let end = String::from_utf8_lossy(end);
        io::Error::new(error.kind(), format!("{error}; its log ends:\n{end}"))
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

/// The shell's own `kill`, for not every machine has the program.
fn signal(name: &str, pid: u32) -> io::Result<()> {
    let command = format!("kill -s {name} {pid}");
    let status = Command::new("sh").args(["-c", &command]).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("{command}: {status}")));
    }
    Ok(())
}

/// As [`signal`]. Some may have ended by themselves.
fn signal_all(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let command = format!("kill -s {name} {}", pids.join(" "));
    let mut shell = Command::new("sh");
    let _ = shell.args(["-c", &command]).stderr(Stdio::null()).status();
}

/// State and parent, as in `proc_pid_stat(5)`; `None` where there is no such file.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// Zombies have let go of everything but their pid.
pub(super) fn exists(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'T' | 't' | 'Z' | 'X'))
}

/// Nobody where there is no `/proc`.
fn descendants(root: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children = HashMap::<u32, Vec<u32>>::new();
    for pid in pids {
        if let Some((_, parent)) = stat(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let born = children.remove(&pid).unwrap_or_default();
        found.extend(&born);
        next.extend(born);
    }
    found
}
