//! Statements that the server keeps, with their plans: planning costs it more than carrying out.
//!
//! By `PREPARE` and not by the protocol's own means: the library numbers its names, so behind a
//! pooler that hands out the server's connections one after the other we could meet somebody
//! else's statement. Ours have names that nobody else has. Where one is not known, we do without
//! from then on.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    failure::Failure,
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

/// The statements of one connection.
pub(super) struct Prepared {
    naming: Naming,
    /// By their names: whether the server keeps them. What it does not keep was said once.
    statements: Mutex<HashMap<&'static str, bool>>,
}

/// How a step is said.
pub(super) enum Form {
    /// As it is.
    Plain,
    /// By this text.
    Execute(String),
    /// The same, after that by which the server is told to keep it.
    PrepareAndExecute(String, String),
}

impl Prepared {
    pub(super) fn new(naming: Naming) -> Self {
        Self {
            naming,
            statements: Mutex::default(),
        }
    }

    pub(super) fn form(&self, step: &Step<'_>) -> Form {
        let Some(name) = step.name else {
            return Form::Plain;
        };
        if self.naming.is_pooled.load(Ordering::SeqCst) {
            return Form::Plain;
        }
        let mut statements = self.statements.lock();
        let Some(is_kept) = statements.get_mut(name) else {
            statements.insert(name, false);
            return Form::Plain;
        };
        let Some(values) = values(step) else {
            return Form::Plain;
        };
        let name = format!("{}_{name}", self.naming.prefix);
        let execute = format!("EXECUTE {name}{values}");
        match std::mem::replace(is_kept, true) {
            true => Form::Execute(execute),
            false => {
                let types = listed(step.parameters.iter().map(type_name));
                let prepare = format!("PREPARE {name}{types} AS {}", step.sql);
                Form::PrepareAndExecute(prepare, execute)
            }
        }
    }

    /// The server did not take it.
    pub(super) fn forget(&self, step: &Step<'_>) {
        if let Some(name) = step.name {
            self.statements.lock().insert(name, false);
        }
    }

    pub(super) fn look_at(&self, failure: &Failure) {
        if failure.is_unknown_statement() {
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

fn type_name(parameter: &Parameter) -> &'static str {
    match parameter {
        Parameter::Bytes(_) => "bytea",
        Parameter::ManyBytes(_) => "bytea[]",
        Parameter::Number(_) => "bigint",
        Parameter::ManyNumbers(_) => "bigint[]",
        Parameter::Integer(_) => "integer",
        Parameter::Flag(_) => "boolean",
        Parameter::Text(_) => "text",
    }
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
        Parameter::Text(text) => {
            format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
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
    use crate::store::postgres::sql::Statement;

    fn text(form: Form) -> String {
        match form {
            Form::Plain => "plain".to_owned(),
            Form::Execute(execute) => execute,
            Form::PrepareAndExecute(prepare, execute) => format!("{prepare}; {execute}"),
        }
    }

    #[test]
    fn what_is_said_again_is_kept_under_a_name() {
        let prepared = Prepared::new(Naming::new(&[0, 0xff]));
        let statement = |name, text: &str| Statement {
            name,
            text: text.to_owned(),
        };
        let (one, other) = (
            statement("one", "SELECT $1"),
            statement("other", "SELECT 1"),
        );
        let step = Step::new(&one)
            .bytes(&[0, 0xab])
            .number(7)
            .text("a'b\\c")
            .many_bytes([&[1][..], &[]])
            .many_numbers([]);
        let values =
            r"E'\\x00ab', 7, E'a''b\\c', ARRAY[E'\\x01',E'\\x']::bytea[], ARRAY[]::bigint[]";
        let execute = format!("EXECUTE epochkey00ff_one ({values})");
        let types = "bytea, bigint, text, bytea[], bigint[]";
        let prepare = format!("PREPARE epochkey00ff_one ({types}) AS {}", step.sql);
        assert_eq!(text(prepared.form(&step)), "plain");
        assert_eq!(text(prepared.form(&step)), format!("{prepare}; {execute}"));
        assert_eq!(text(prepared.form(&step)), execute);
        let without = Step::new(&other);
        prepared.form(&without);
        let said = "PREPARE epochkey00ff_other AS SELECT 1; EXECUTE epochkey00ff_other";
        assert_eq!(text(prepared.form(&without)), said);
        prepared.forget(&without);
        assert_eq!(text(prepared.form(&without)), said);
    }

    #[test]
    fn what_is_long_or_rare_is_said_as_it_is() {
        let prepared = Prepared::new(Naming::new(&[]));
        let statement = Statement {
            name: "one",
            text: "SELECT $1".to_owned(),
        };
        let long = Step::new(&statement).bytes(&[0; LONGEST]);
        let rare = Step::once("SELECT 1");
        for _ in 0..3 {
            assert_eq!(text(prepared.form(&long)), "plain");
            assert_eq!(text(prepared.form(&rare)), "plain");
        }
    }
}
