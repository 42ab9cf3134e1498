//! Where criterion leaves what it has measured.

use std::{env, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

/// # Panics
///
/// If cargo does not know its target directory.
#[must_use]
pub fn criterion_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let find = || match env::var_os("CRITERION_HOME") {
        Some(directory) => directory.into(),
        None => target_directory().join("criterion"),
    };
    DIRECTORY.get_or_init(find).clone()
}

fn target_directory() -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .args(["--manifest-path", manifest])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's metadata");
    let directory = metadata["target_directory"].as_str();
    directory.expect("a target directory").into()
}
