//! What the contract says about a change, for stores that decide it in this process.

use std::collections::VecDeque;

use crate::bug::{self, Bug};

use super::{Beginning, Commit, Effect, HistoryId, KeyId, Place};

/// How far a new history begins above all that is known of the old one.
const LEAP: u64 = 1 << 32;

/// The position of a new history's first event, if the log was at `head`.
pub(super) fn first_position(beginning: &Beginning, head: Option<Place>) -> u64 {
    let other = match beginning {
        Beginning::Empty => return 1,
        Beginning::Unknown { place, .. } => place.position,
        Beginning::InsteadOf(_) => 0,
    };
    let highest = head.map_or(other, |head| head.position.max(other));
    match bug::is_in(Bug::RestartAtNext) {
        true => highest.saturating_add(1),
        false => highest.saturating_add(LEAP),
    }
}

/// The predecessors of a new history: the one that was there with its own, `before`, and
/// those of the place that is lost. Each once.
pub(super) fn predecessors(
    before: Vec<HistoryId>,
    head: Option<Place>,
    beginning: Beginning,
) -> Vec<HistoryId> {
    let mut histories = before;
    histories.extend(head.map(|head| head.history));
    if let Beginning::Unknown {
        place,
        predecessors,
    } = beginning
    {
        for history in predecessors.into_iter().chain([place.history]) {
            if !histories.contains(&history) {
                histories.push(history);
            }
        }
    }
    histories
}

/// Whether a commit may do what it does to a ring of these keys, in the order of their
/// positions.
pub(super) fn ring_allows(commit: &Commit, keys: impl IntoIterator<Item = KeyId>) -> bool {
    let mut keys: VecDeque<KeyId> = keys.into_iter().collect();
    if commit.newest_key.is_some() && commit.newest_key.as_ref() != keys.back() {
        return false;
    }
    for event in &commit.events {
        match &event.effect {
            Effect::Epoch { .. } => {}
            Effect::AddKey { key, .. } | Effect::ReplaceKeys { key, .. } if keys.contains(key) => {
                return false;
            }
            Effect::AddKey { key, .. } => keys.push_back(*key),
            Effect::ReplaceKeys { key, .. } => keys = VecDeque::from([*key]),
            Effect::RemoveKey { key } => {
                if keys.len() < 2 || keys.pop_front() != Some(*key) {
                    return false;
                }
            }
        }
    }
    true
}
