//! What is asked of the server: statements with their parameters, sent together.

use tokio_postgres::types::{ToSql, Type};

use super::sql::Statement;
use crate::store::{HistoryId, Place};

/// One statement, or a script of several without parameters and answers.
#[derive(Clone)]
pub(super) struct Step<'s> {
    pub(super) sql: &'s str,
    /// If it is said again and again.
    pub(super) name: Option<&'static str>,
    pub(super) is_script: bool,
    pub(super) parameters: Vec<Parameter>,
}

#[derive(Clone)]
pub(super) enum Parameter {
    Bytes(Vec<u8>),
    ManyBytes(Vec<Vec<u8>>),
    Number(i64),
    ManyNumbers(Vec<i64>),
    Integer(i32),
    Flag(bool),
    Text(String),
}

impl<'s> Step<'s> {
    pub(super) fn new(statement: &'s Statement) -> Self {
        Self {
            name: Some(statement.name),
            ..Self::once(&statement.text)
        }
    }

    /// One that is said once or seldom.
    pub(super) fn once(sql: &'s str) -> Self {
        Self {
            sql,
            name: None,
            is_script: false,
            parameters: Vec::new(),
        }
    }

    pub(super) fn script(sql: &'s str) -> Self {
        Self {
            is_script: true,
            ..Self::once(sql)
        }
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        self.with(Parameter::Bytes(bytes.to_vec()))
    }

    pub(super) fn many_bytes<'b>(self, many: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let many = many.into_iter().map(<[u8]>::to_vec);
        self.with(Parameter::ManyBytes(many.collect()))
    }

    /// Positions and times fit an `i64`.
    pub(super) fn number(self, number: u64) -> Self {
        self.with(Parameter::Number(signed(number)))
    }

    pub(super) fn many_numbers(self, many: impl IntoIterator<Item = u64>) -> Self {
        let many = many.into_iter().map(signed);
        self.with(Parameter::ManyNumbers(many.collect()))
    }

    pub(super) fn integer(self, number: i32) -> Self {
        self.with(Parameter::Integer(number))
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.with(Parameter::Flag(flag))
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.with(Parameter::Text(text.to_owned()))
    }

    pub(super) fn history(self, history: HistoryId) -> Self {
        self.bytes(history.as_bytes())
    }

    pub(super) fn place(self, place: Place) -> Self {
        self.history(place.history)
            .number(place.position)
            .bytes(place.event.as_bytes())
    }

    /// The parameters, with their types: so that the statement needs no name at the server,
    /// which a pooler between us would not know.
    pub(super) fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let typed = self.parameters.iter().map(|parameter| {
            let typed: (&(dyn ToSql + Sync), Type) = match parameter {
                Parameter::Bytes(bytes) => (bytes, Type::BYTEA),
                Parameter::ManyBytes(many) => (many, Type::BYTEA_ARRAY),
                Parameter::Number(number) => (number, Type::INT8),
                Parameter::ManyNumbers(many) => (many, Type::INT8_ARRAY),
                Parameter::Integer(number) => (number, Type::INT4),
                Parameter::Flag(flag) => (flag, Type::BOOL),
                Parameter::Text(text) => (text, Type::TEXT),
            };
            typed
        });
        typed.collect()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
