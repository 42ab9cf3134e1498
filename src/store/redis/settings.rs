//! What a server must be like, looked at whenever it is connected to.

use parking_lot::Mutex;
use redis::{ErrorKind, RedisError, Value, cmd};

use super::{connection::Connection, options::RedisOptions, scripts::Keys};
use crate::error::{RedisConnectCause as Cause, WeakSetting};

/// The oldest version that has all that the scripts use.
const OLDEST_MAJOR_VERSION: u32 = 7;

/// What keeps a change that was acknowledged. With `no-appendfsync-on-rewrite`, the server
/// acknowledges without writing to its disk while it rewrites its file.
const DURABLE: [(&str, &str); 3] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("no-appendfsync-on-rewrite", "no"),
];

/// The server that was last seen to have everything on its disk, by the name of its run and of
/// what it replicates.
#[derive(Default)]
pub(super) struct Settled(Mutex<Option<String>>);

/// Whether the server keeps what it acknowledges, as far as the options ask for that.
pub(super) fn check(
    connection: &mut Connection,
    options: &RedisOptions,
    settled: &Settled,
) -> Result<(), Cause> {
    check_server(connection)?;
    if !options.accepts_loss {
        check_durability(connection)?;
        check_disk(connection, settled)?;
    }
    if !options.accepts_eviction {
        check_eviction(connection)?;
    }
    Ok(())
}

fn check_server(connection: &mut Connection) -> Result<(), Cause> {
    let answer = connection.ask(&cmd("HELLO"))?;
    let properties = pairs(answer).ok_or(Cause::NotUnderstood { asked: "HELLO" })?;
    let property = |name: &str| {
        let found = properties.iter().find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    let version = property("version");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_MAJOR_VERSION) {
        return Err(Cause::OldVersion { found: version });
    }
    match property("role").as_str() {
        "master" => Ok(()),
        role => Err(Cause::NotPrimary {
            role: role.to_owned(),
        }),
    }
}

fn check_durability(connection: &mut Connection) -> Result<(), Cause> {
    let mut command = cmd("CONFIG");
    command.arg("GET");
    for (name, _) in DURABLE {
        command.arg(name);
    }
    let answer = connection.ask(&command);
    let answer = answer.map_err(|error| hidden(error, Cause::HiddenDurability))?;
    let settings = pairs(answer).ok_or(Cause::NotUnderstood {
        asked: "CONFIG GET",
    })?;
    let mut weak = Vec::new();
    for (name, needed) in DURABLE {
        let found = settings.iter().find(|(key, _)| key == name);
        let found = found.map_or("not known", |(_, value)| value);
        if found != needed {
            let found = found.to_owned();
            weak.push(WeakSetting {
                name,
                found,
                needed,
            });
        }
    }
    match weak.is_empty() {
        true => Ok(()),
        false => Err(Cause::Weak(weak)),
    }
}

/// When a server begins to keep a file, or gets all its data from a primary, it acknowledges
/// changes that a crash loses until the file has been written once. Nothing that it tells
/// distinguishes this from writing the file anew, except that it did not write before: then it is
/// the same server still.
fn check_disk(connection: &mut Connection, settled: &Settled) -> Result<(), Cause> {
    let mut info = cmd("INFO");
    info.arg("server").arg("replication").arg("persistence");
    let answer = connection.ask(&info);
    let answer = answer.map_err(|error| hidden(error, Cause::HiddenDurability))?;
    let info = text(answer).ok_or(Cause::NotUnderstood { asked: "INFO" })?;
    let field = |name: &str| {
        let mut values = info.lines().filter_map(|line| line.strip_prefix(name));
        values.next().and_then(|value| value.strip_prefix(':'))
    };
    let known = |name| field(name).ok_or(Cause::NotUnderstood { asked: "INFO" });
    let identity = [known("run_id")?, known("master_replid")?].join(" ");
    let writes = [
        known("aof_rewrite_in_progress")?,
        known("aof_rewrite_scheduled")?,
    ];
    let mut settled = settled.0.lock();
    if writes == ["0", "0"] {
        *settled = Some(identity);
        return Ok(());
    }
    match settled.as_ref() == Some(&identity) {
        true => Ok(()),
        false => Err(Cause::NotOnDisk),
    }
}

fn check_eviction(connection: &mut Connection) -> Result<(), Cause> {
    let mut command = cmd("CONFIG");
    command.arg("GET").arg("maxmemory-policy");
    let policy = match connection.ask(&command) {
        Ok(answer) => pairs(answer).and_then(|settings| Some(settings.into_iter().next()?.1)),
        Err(error) if !is_refusal(&error) => return Err(error.into()),
        Err(_) => {
            let answer = connection.ask(cmd("INFO").arg("memory"));
            let answer = answer.map_err(|error| hidden(error, Cause::HiddenEviction))?;
            text(answer).and_then(|info| {
                let lines = info.lines();
                let mut policies = lines.filter_map(|line| line.strip_prefix("maxmemory_policy:"));
                policies.next().map(str::to_owned)
            })
        }
    };
    match policy.unwrap_or_else(|| "not known".to_owned()) {
        policy if policy == "noeviction" => Ok(()),
        policy => Err(Cause::Evicts { policy }),
    }
}

/// The keys belong to a store, or nobody has them.
pub(super) fn check_keys(connection: &mut Connection, keys: &Keys) -> Result<(), Cause> {
    for (key, kind) in keys.typed() {
        let answer = connection.ask(cmd("TYPE").arg(key))?;
        let found = text(answer).ok_or(Cause::NotUnderstood { asked: "TYPE" })?;
        if found != kind && found != "none" {
            let key = key.to_owned();
            return Err(Cause::TakenKey { key, found });
        }
    }
    Ok(())
}

/// Why something is not to be seen: the server refuses, or gave no answer.
fn hidden(error: RedisError, refused: fn(RedisError) -> Cause) -> Cause {
    match is_refusal(&error) {
        true => refused(error),
        false => error.into(),
    }
}

fn is_refusal(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::SimpleString(text) => Some(text),
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// An array of names and values; values that are not texts are left out.
fn pairs(value: Value) -> Option<Vec<(String, String)>> {
    let Value::Array(values) = value else {
        return None;
    };
    let mut values = values.into_iter();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        if let Some(value) = text(value) {
            pairs.push((text(name)?, value));
        }
    }
    Some(pairs)
}
