//! Session rows, found by their id and by their user.

use std::collections::{BTreeSet, HashMap};

use crate::store::{RowId, SessionRow};

#[derive(Default, Clone)]
pub(super) struct SessionRows {
    rows: HashMap<RowId, SessionRow>,
    of_user: HashMap<[u8; 16], BTreeSet<RowId>>,
}

impl SessionRows {
    pub(super) fn get(&self, id: RowId) -> Option<&SessionRow> {
        self.rows.get(&id)
    }

    /// Puts in a row, in the place of the one with its id.
    pub(super) fn put(&mut self, row: SessionRow) {
        let (id, user) = (row.row.id, row.row.user);
        self.remove(id);
        self.rows.insert(id, row);
        self.of_user.entry(user).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, id: RowId) {
        let Some(removed) = self.rows.remove(&id) else {
            return;
        };
        let user = removed.row.user;
        if let Some(ids) = self.of_user.get_mut(&user) {
            ids.remove(&id);
            if ids.is_empty() {
                self.of_user.remove(&user);
            }
        }
    }

    /// The rows of a user, in the order of their ids.
    pub(super) fn of_user(&self, user: [u8; 16]) -> impl Iterator<Item = &SessionRow> {
        let ids = self.of_user.get(&user).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id))
    }

    pub(super) fn remove_if(&mut self, goes: impl Fn(&SessionRow) -> bool) {
        let going = self.rows.values().filter(|row| goes(row));
        let going: Vec<RowId> = going.map(|row| row.row.id).collect();
        for id in going {
            self.remove(id);
        }
    }
}
