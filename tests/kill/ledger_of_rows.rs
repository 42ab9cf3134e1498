//! In which version each session row may be.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Checked, line::RowChange};

/// What a row may be: in one of these versions, or gone.
pub(crate) type Version = Option<[u8; 16]>;

#[derive(Default)]
pub(crate) struct RowLedger {
    pub(crate) rows: BTreeMap<[u8; 16], HeldRow>,
}

pub(crate) struct HeldRow {
    pub(crate) user: [u8; 16],
    pub(crate) may_be: BTreeSet<Version>,
    /// The line at which it was last attempted to be changed.
    pub(crate) tried_at: u64,
}

impl RowLedger {
    /// Who begins may not have heard yet that a new history has ended all sessions: a change
    /// of a row that cannot be as expected is not made.
    pub(crate) fn begin(&mut self, changes: &[RowChange], line: u64, is_starting_over: bool) {
        for change in changes {
            self.rows.entry(change.id).or_insert_with(|| HeldRow {
                user: change.user,
                may_be: BTreeSet::from([None]),
                tried_at: line,
            });
        }
        let is_possible =
            |change: &RowChange| self.rows[&change.id].may_be.contains(&change.before);
        let may_be_made = changes.iter().all(is_possible);
        for change in changes {
            let row = self.rows.get_mut(&change.id).unwrap();
            row.tried_at = line;
            if may_be_made {
                row.may_be.insert(change.after);
            }
            if is_starting_over {
                row.may_be.insert(None);
            }
        }
    }

    /// With a new history under way meanwhile, the change may have been made before it, and
    /// the row be gone again by now.
    pub(crate) fn acknowledge(&mut self, changes: &[RowChange], may_start_over: bool) -> Checked {
        for change in changes {
            let may_be = &mut self.rows.get_mut(&change.id).unwrap().may_be;
            if !may_be.contains(&change.after) && !may_start_over {
                return Err(format!(
                    "{change:?} was made, of what can only be {may_be:?}"
                ));
            }
            may_be.clear();
            may_be.insert(change.after);
            if may_start_over {
                may_be.insert(None);
            }
        }
        Ok(())
    }

    /// A version is never given twice, so it is not one that the row had before.
    pub(crate) fn refuse(&mut self, changes: &[RowChange]) {
        for change in changes.iter().filter(|change| change.after.is_some()) {
            let row = self.rows.get_mut(&change.id).unwrap();
            row.may_be.remove(&change.after);
        }
    }

    /// All sessions are about to be ended.
    pub(crate) fn may_be_gone(&mut self) {
        for row in self.rows.values_mut() {
            row.may_be.insert(None);
        }
    }

    /// All sessions were ended at some moment after this line.
    pub(crate) fn are_gone_unless_changed_after(&mut self, line: u64) {
        for row in self.rows.values_mut().filter(|row| row.tried_at < line) {
            row.may_be = BTreeSet::from([None]);
        }
    }
}
