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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    /// Where the window and what clocks may differ by are not the same.
    #[test]
    fn what_comes_before_the_rotation_is_late_beyond_what_clocks_differ_by() {
        let policy = Policy::default()
            .refresh_grace(Duration::from_secs(10))
            .max_clock_skew(Duration::from_secs(3));
        let policy = policy.check().unwrap();
        let at = StoreTime::from_unix_millis;
        let is_in_grace = |now| is_in_grace(at(100_000), at(now), &policy);
        assert!(is_in_grace(94_000));
        assert!(!is_in_grace(93_999));
        assert!(is_in_grace(100_000));
        assert!(is_in_grace(109_999));
        assert!(!is_in_grace(110_000));
    }

    #[test]
    fn a_window_of_no_time_holds_nothing() {
        let policy = Policy::default().refresh_grace(Duration::ZERO);
        let policy = policy.check().unwrap();
        let now = StoreTime::from_unix_millis(100_000);
        assert!(!is_in_grace(now, now, &policy));
    }
}
