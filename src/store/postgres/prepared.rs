//! Statements that the server keeps, with their plans: planning costs it more than carrying out.
//!
//! By `PREPARE` and not by the protocol's own means: the library numbers its names, so behind a
//! pooler that hands out the server's connections one after the other we could meet somebody
//! else's statement. Ours have names that nobody else has. Where one is not known, we do without
//! from then on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    failure::Failure,
    sql::{self, Statement, Statements},
    step::{Parameter, Step},
};

/// Longer texts are sent as parameters: then what the server plans is little of what it does.
const LONGEST: usize = 4096;

/// What all connections of a store know.
#[derive(Clone)]
pub(super) struct Naming {
    prefix: Arc<str>,
    /// The server's connections are not ours to the end.
    is_pooled: Arc<AtomicBool>,
}

impl Naming {
    /// With a name that nobody else has.
    pub(super) fn new(name: &[u8]) -> Self {
        let mut prefix = "epochkey".to_owned();
        push_hex(&mut prefix, name);
        Self {
            prefix: prefix.into(),
            is_pooled: Arc::default(),
        }
    }
}

/// What one connection has the server keep.
pub(super) struct Prepared {
    naming: Naming,
    is_done: AtomicBool,
}

impl Prepared {
    pub(super) fn new(naming: Naming) -> Self {
        Self {
            naming,
            is_done: AtomicBool::new(false),
        }
    }

    /// What tells the server to keep all statements; `None` if it is of no use.
    pub(super) fn script(&self, statements: &Statements) -> Option<String> {
        if self.is_pooled() {
            return None;
        }
        let prepare = |statement: &Statement| {
            let name = self.name(statement.name);
            format!("PREPARE {name} AS {};\n", statement.text)
        };
        Some(statements.all().into_iter().map(prepare).collect())
    }

    /// It does.
    pub(super) fn done(&self) {
        self.is_done.store(true, Ordering::SeqCst);
    }

    /// By what a step is said, unless it is said as it is.
    pub(super) fn execute(&self, step: &Step<'_>) -> Option<String> {
        let name = step.name.filter(|_| !self.is_pooled())?;
        if !self.is_done.load(Ordering::SeqCst) {
            return None;
        }
        let values = values(step)?;
        Some(format!("EXECUTE {}{values}", self.name(name)))
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.naming.is_pooled.load(Ordering::SeqCst)
    }

    fn name(&self, statement: &str) -> String {
        format!("{}_{statement}", self.naming.prefix)
    }

    /// Looks whether the server's connections are handed out by somebody between.
    pub(super) fn look_at(&self, failure: &Failure) {
        // What another connection has told the server to keep it keeps for this one: they are led
        // to the same connection of the server's.
        if failure.is_unknown_statement() || failure.is_known_statement() {
            self.naming.is_pooled.store(true, Ordering::SeqCst);
        }
    }
}

/// In brackets, if there are any.
fn listed(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut list = String::new();
    for item in items {
        list += if list.is_empty() { " (" } else { ", " };
        list += item.as_ref();
    }
    if !list.is_empty() {
        list += ")";
    }
    list
}

/// The parameters as text; `None` if that is too long.
fn values(step: &Step<'_>) -> Option<String> {
    let size = |parameter: &Parameter| match parameter {
        Parameter::Bytes(bytes) => 2 * bytes.len(),
        Parameter::ManyBytes(many) => many.iter().map(|bytes| 8 + 2 * bytes.len()).sum(),
        Parameter::ManyNumbers(many) => 20 * many.len(),
        Parameter::Text(text) => 2 * text.len(),
        Parameter::Number(_) | Parameter::Integer(_) | Parameter::Flag(_) => 20,
    };
    let size: usize = step.parameters.iter().map(size).sum();
    (size <= LONGEST).then(|| listed(step.parameters.iter().map(literal)))
}

fn literal(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Bytes(bytes) => hex(bytes),
        Parameter::ManyBytes(many) => array(many.iter().map(|bytes| hex(bytes)), "bytea"),
        Parameter::Number(number) => number.to_string(),
        Parameter::ManyNumbers(many) => array(many.iter().map(i64::to_string), "bigint"),
        Parameter::Integer(number) => number.to_string(),
        Parameter::Flag(flag) => flag.to_string(),
        Parameter::Text(text) => sql::literal(text),
    }
}

fn array(items: impl Iterator<Item = String>, of: &str) -> String {
    let items: Vec<String> = items.collect();
    format!("ARRAY[{}]::{of}[]", items.join(","))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = "E'\\\\x".to_owned();
    push_hex(&mut text, bytes);
    text + "'"
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> Statement {
        Statement {
            name: "news",
            text: text.to_owned(),
        }
    }

    #[test]
    fn values_are_written_as_the_server_reads_them() {
        let prepared = Prepared::new(Naming::new(&[0, 0xff]));
        let statement = statement("SELECT $1, $2, $3, $4, $5");
        let step = Step::new(&statement)
            .bytes(&[0, 0xab])
            .number(7)
            .text("a'b\\c")
            .many_bytes([&[1][..], &[]])
            .many_numbers([]);
        assert_eq!(prepared.execute(&step), None, "not kept yet");
        prepared.done();
        let values =
            r"E'\\x00ab', 7, E'a''b\\c', ARRAY[E'\\x01',E'\\x']::bytea[], ARRAY[]::bigint[]";
        let execute = format!("EXECUTE epochkey00ff_news ({values})");
        assert_eq!(prepared.execute(&step), Some(execute));
    }

    #[test]
    fn what_is_long_or_rare_is_said_as_it_is() {
        let prepared = Prepared::new(Naming::new(&[]));
        prepared.done();
        let statement = statement("SELECT $1");
        let long = Step::new(&statement).bytes(&[0; LONGEST]);
        assert_eq!(prepared.execute(&long), None);
        assert_eq!(prepared.execute(&Step::once("SELECT 1")), None);
        let short = Step::new(&statement).bytes(&[0]);
        assert!(prepared.execute(&short).is_some());
    }
}
