//! A real process, which is killed with SIGKILL and by nothing else.

use std::{
    env,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::line::{Assignment, Line};

const ASSIGNMENT: &str = "EPOCHKEY_KILL_ASSIGNMENT";
const SIGKILL: i32 = 9;

/// What this process was started for, if it is one that is to be killed.
pub(crate) fn assignment() -> Option<Assignment> {
    let json = env::var(ASSIGNMENT).ok()?;
    Some(serde_json::from_str(&json).unwrap())
}

/// Killed when it is dropped. If this process goes first, the end of its standard input
/// tells it to go too.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    _input: ChildStdin,
}

impl Process {
    /// Starts this test binary again, for the one test that looks for an assignment.
    pub(crate) fn start(test: &str, assignment: &Assignment) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ASSIGNMENT, serde_json::to_string(assignment).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            _input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// What it says next; `None` when it says nothing any more.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        loop {
            let mut text = String::new();
            self.output.read_line(&mut text).unwrap();
            let text = text.strip_suffix('\n')?;
            if let Some(line) = Line::read(text) {
                return Some(line);
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for it, and says how it ended if it was not killed: by a panic then.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let status = self.child.wait().unwrap();
        match status.signal() {
            Some(SIGKILL) => Ok(()),
            _ => Err(format!("the process was not killed, but ended: {status}")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
