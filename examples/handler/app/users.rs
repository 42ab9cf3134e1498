//! A table of users, for the demo.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Passwords as they are typed, which is for a demo only. A real service keeps a slow
/// hash of them (Argon2id), spends as long on users it does not know, and does both in
/// `spawn_blocking`.
pub(super) struct Users {
    by_name: Mutex<HashMap<&'static str, User>>,
}

struct User {
    password: String,
    groups: &'static [&'static str],
}

impl Users {
    pub(super) fn demo() -> Self {
        let user = |password: &str, groups| User {
            password: password.to_owned(),
            groups,
        };
        let by_name = HashMap::from([
            ("ada", user("engine", &["admin"])),
            ("bob", user("builder", &[])),
        ]);
        Self {
            by_name: Mutex::new(by_name),
        }
    }

    /// The groups of the user with this password, if it is theirs.
    pub(super) fn groups_of(&self, name: &str, password: &str) -> Option<&'static [&'static str]> {
        let users = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let user = users.get(name)?;
        (user.password == password).then_some(user.groups)
    }

    pub(super) fn set_password(&self, name: &str, password: String) {
        let mut users = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = users.get_mut(name) {
            user.password = password;
        }
    }
}
