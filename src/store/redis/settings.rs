//! What a server must be like, looked at whenever it is connected to.

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

/// Whether the server keeps what it acknowledges, as far as the options ask for that.
pub(super) fn check(
    connection: &mut Connection,
    options: &RedisOptions,
    keys: &Keys,
) -> Result<(), Cause> {
    check_server(connection)?;
    if !options.accepts_loss {
        check_durability(connection)?;
    }
    if !options.accepts_eviction {
        check_eviction(connection)?;
    }
    check_keys(connection, keys)
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
        true => check_disk(connection),
        false => Err(Cause::Weak(weak)),
    }
}

/// A replica gets what its primary has as a whole, into memory, and then writes it to its disk. If
/// it is made a primary meanwhile, it acknowledges what a crash would still lose.
fn check_disk(connection: &mut Connection) -> Result<(), Cause> {
    let mut info = |section| {
        let answer = connection.ask(cmd("INFO").arg(section));
        let answer = answer.map_err(|error| hidden(error, Cause::HiddenDurability))?;
        text(answer).ok_or(Cause::NotUnderstood { asked: "INFO" })
    };
    let was_never_replica = "second_repl_offset:-1";
    if info("replication")?
        .lines()
        .any(|line| line == was_never_replica)
    {
        return Ok(());
    }
    let writes = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
    match info("persistence")?
        .lines()
        .any(|line| writes.contains(&line))
    {
        true => Err(Cause::NotOnDisk),
        false => Ok(()),
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
fn check_keys(connection: &mut Connection, keys: &Keys) -> Result<(), Cause> {
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
