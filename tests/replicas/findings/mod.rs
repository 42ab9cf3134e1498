//! What broke simpler designs, each as a test. The numbers are names: the mistakes that
//! `tests/simulation` makes on purpose have them too. 18 to 26 are in `tests/sessions/findings.rs`.
//!
//! | | what broke | so |
//! |---|---|---|
//! | 1 | a replica that writes its state back undoes a revocation after a loss | the store is the truth; a loss is answered by a new history |
//! | 2 | a bump applied here before the events in front of it | one's own events are applied in their turn |
//! | 3 | a late answer, or a union of two rings, brings a swapped key back | state is replaced, never by an older one; what is missing is gone |
//! | 4 | a ring is loaded, the table pruned, an absent entry read as "not bumped" | each shard has the floor below which it knows nothing |
//! | 5 | entries that were pruned by time revive tokens of who lags | entries go with the keys that they concern |
//! | 6 | a stale replica goes on issuing | stale means: no token, no refresh, no maintenance |
//! | 7 | a clock that is off mints tokens that outlive their key | the store's time decides, and clocks are compared with it |
//! | 8 | a lifetime that is changed retires keys early | a key has a lifetime of its own; the oldest retires first |
//! | 9 | bumped at one replica, logged in at another, "revoked" at a third that lags | newer than the news, with a margin, is `StaleEpochs` |
//! | 10 | a loss goes unnoticed because positions are used again | a place is a history, a position and an event's id |
//! | 11 | a snapshot of an older history is adopted, or replicas start over in turns | histories name their predecessors |
//! | 12 | a commit lands in another history than it was made for | commits name the history they expect |
//! | 13 | a new history begins below a replica that is ahead | it begins 2³² above |
//! | 14 | freshness by arrival, by a part of the news, or by a standby that lags | by one exchange, up to the head, from when it was sent |
//! | 15 | a lagging read makes everybody start over | a new history begins only if the store still does not know the place |
//! | 16 | a replica that starts is not waited for | it announces itself, then loads |
//! | 17 | one wrong step of a clock stays | time here is at most `max_clock_skew` above the wall clock |

mod history;
mod state;
mod time;
