//! A table of users, for the demo.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use epochkey::Grant;

/// Passwords as they are typed, which is for a demo only. A real service keeps a slow
/// hash of them (Argon2id), spends as long on users it does not know, and does both in
/// `spawn_blocking`.
pub(super) struct Users {
    by_name: Mutex<HashMap<&'static str, User>>,
}

struct User {
    password: String,
    groups: Vec<&'static str>,
}

impl Users {
    pub(super) fn demo() -> Self {
        let user = |password: &str, groups| User {
            password: password.to_owned(),
            groups,
        };
        let by_name = HashMap::from([
            ("ada", user("engine", vec!["admin"])),
            ("bob", user("builder", Vec::new())),
        ]);
        Self {
            by_name: Mutex::new(by_name),
        }
    }

    pub(super) fn has_password(&self, name: &str, password: &str) -> bool {
        let users = self.lock();
        users
            .get(name)
            .is_some_and(|user| user.password == password)
    }

    /// What a token of this user says today.
    pub(super) fn grant(&self, name: &str) -> Grant {
        let users = self.lock();
        let groups = users.get(name).map_or(&[][..], |user| &user.groups);
        Grant::user(name)
            .group(groups_of(name))
            .groups(groups.iter().copied())
    }

    pub(super) fn set_password(&self, name: &str, password: String) {
        if let Some(user) = self.lock().get_mut(name) {
            user.password = password;
        }
    }

    pub(super) fn take_from_group(&self, name: &str, group: &str) {
        if let Some(user) = self.lock().get_mut(name) {
            user.groups.retain(|other| *other != group);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, User>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group of one: to bump it kills the user's access tokens and leaves the sessions, so that
/// every device refreshes and is told its groups of today.
pub(super) fn groups_of(name: &str) -> String {
    format!("groups-of:{name}")
}
