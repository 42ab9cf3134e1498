//! What a refresh token stands for, by the row that it names.

use std::time::Duration;

use super::record::Record;
use crate::{
    bug::{self, Bug},
    policy::CheckedPolicy,
    store::{SessionRow, StoreTime},
};

/// What is to be done with a refresh token whose tag is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the current one: the next takes its place.
    Rotate,
    /// It is the one before, a moment after: the same successor again.
    Replay,
    /// It was used long ago, or is from a future that was lost: theft or loss.
    Reuse,
    /// Not refreshed for too long.
    Idle,
    /// The session has reached its absolute end.
    Over,
}

/// Judges by the store's time, `now`.
pub(super) fn judge(
    row: &SessionRow,
    record: &Record,
    counter: u64,
    now: StoreTime,
    policy: &CheckedPolicy,
) -> Verdict {
    if now >= record.ends_at {
        return Verdict::Over;
    }
    if now >= row.row.expires_at && !bug::is_in(Bug::IdleGoesOn) {
        return Verdict::Idle;
    }
    if counter == record.counter {
        return Verdict::Rotate;
    }
    match counter.checked_add(1) == Some(record.counter) && is_in_grace(row.rotated_at, now, policy)
    {
        true => Verdict::Replay,
        false => Verdict::Reuse,
    }
}

/// Whether a moment is in the grace window after a rotation. One before the rotation counts
/// as late, beyond what clocks may differ by.
fn is_in_grace(rotated_at: StoreTime, now: StoreTime, policy: &CheckedPolicy) -> bool {
    let distance = now.distance(rotated_at);
    match now < rotated_at {
        true => distance <= Duration::from_secs(2 * policy.max_clock_skew),
        false => distance < Duration::from_secs(policy.refresh_grace),
    }
}
