//! How much memory it takes to be told what has no end.

use std::{env, fs, process::Command};

/// Four times what an answer may cost, and as much again for the test and its lies.
const MOST: usize = 2 * 4 * 32 * 1024 * 1024;

/// Whether this process runs nothing but the test of this name. If not, it is run by one that
/// does, and the caller has nothing left to do: other tests take memory too.
#[track_caller]
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "EPOCHKEY_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let output = child.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let has_run = output.status.success() && said.contains("1 passed");
    assert!(has_run, "{test}, alone: {said}");
    false
}

/// How large the process was, in bytes; unknown where there is no `/proc`.
pub(crate) struct Memory(Option<usize>);

impl Memory {
    pub(crate) fn now() -> Self {
        Self(of_this_process("VmRSS:"))
    }

    /// That the process has never been much larger since.
    #[track_caller]
    pub(crate) fn assert_bounded(&self, name: &str) {
        if let (Some(then), Some(largest)) = (self.0, of_this_process("VmHWM:")) {
            let grown = largest.saturating_sub(then);
            assert!(grown < MOST, "{name}: {} MiB", grown >> 20);
        }
    }
}

fn of_this_process(name: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
