use std::{env, fs, path::PathBuf, process::Command};

use epochkey::{MasterSecret, MasterSecretError};

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn outcome(result: Result<MasterSecret, MasterSecretError>) -> String {
    match result {
        Ok(secret) => secret.expose_hex().as_ref().to_owned(),
        Err(error) => error.label().to_owned(),
    }
}

/// Setting a variable of one's own process is unsafe, so a child gets it: this very test,
/// which then reads it.
#[test]
fn from_env() {
    const CHILD: &str = "EPOCHKEY_TEST_CHILD";
    const SECRET: &str = "EPOCHKEY_TEST_MASTER_SECRET";
    if env::var_os(CHILD).is_some() {
        println!("\noutcome: {}", outcome(MasterSecret::from_env(SECRET)));
        return;
    }
    let in_child = |value: Option<&str>| {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "master_secret::from_env", "--nocapture"]);
        child.env(CHILD, "1").env_remove(SECRET);
        if let Some(value) = value {
            child.env(SECRET, value);
        }
        let stdout = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let line = stdout
            .lines()
            .find_map(|line| line.strip_prefix("outcome: "));
        line.expect(&stdout).to_owned()
    };
    assert_eq!(in_child(Some(HEX)), HEX);
    assert_eq!(in_child(Some(BASE64)), HEX);
    assert_eq!(in_child(Some("")), "too_short");
    assert_eq!(in_child(Some("change me")), "undecodable");
    assert_eq!(in_child(None), "not_set");
}

#[test]
fn from_file() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("master_secret");
    for (text, expected) in [
        (format!("{HEX}\n"), HEX),
        (format!("  {BASE64}\r\n"), HEX),
        (String::new(), "too_short"),
        (HEX.repeat(200), "too_long"),
        (HEX.repeat(10_000), "too_long"),
        ("change me".to_owned(), "undecodable"),
    ] {
        fs::write(&path, &text).unwrap();
        assert_eq!(outcome(MasterSecret::from_file(&path)), expected);
    }
    fs::write(&path, (0x80..0xff).collect::<Vec<u8>>()).unwrap();
    assert_eq!(outcome(MasterSecret::from_file(&path)), "undecodable");

    let generated = MasterSecret::generate().unwrap();
    fs::write(&path, generated.expose_hex().as_ref()).unwrap();
    let read = MasterSecret::from_file(&path);
    assert_eq!(outcome(read), outcome(Ok(generated)));
}

#[test]
fn a_file_that_cannot_be_read() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no_such_file");
    let error = MasterSecret::from_file(&path).unwrap_err();
    assert_eq!(error.label(), "unreadable");
    assert!(error.to_string().contains("no_such_file"), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<std::io::Error>());

    let directory = MasterSecret::from_file(env!("CARGO_TARGET_TMPDIR"));
    assert_eq!(outcome(directory), "unreadable");
}

#[test]
#[cfg(unix)]
fn a_file_without_end_is_read_only_so_far() {
    assert_eq!(outcome(MasterSecret::from_file("/dev/zero")), "too_long");
}
