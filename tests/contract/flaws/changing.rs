//! Flaws of what changes a store.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use epochkey::{
    Store, StoreError,
    store::{
        Commit, Completion, Effect, EventId, Heartbeat, NewEvent, NewHistory, NewRow, News,
        Outcome, Refusal, RowId, RowVersion, Rows, SessionChange,
    },
    testing::FaultyStore,
};

use crate::broken::{Answered, Flaw, committed, head, rows_of};

found! {
    it_gives_a_position_twice: GivesAPositionTwice => positions_are_consecutive;
    it_answers_with_the_first_event: AnswersWithTheFirstEvent => positions_are_consecutive;
    it_takes_a_position_for_sessions: TakesAPositionForSessions
        => changes_of_sessions_alone_take_no_position;
    it_completes_too_early: CompletesTooEarly => what_is_done_is_seen_by_the_next_request;
    it_drops_completions: DropsCompletions => an_empty_store_knows_nothing_and_refuses_all;
    it_fails_within_a_completion: FailsWithinACompletion => a_completion_may_make_requests;
    it_commits_in_any_history: CommitsInAnyHistory => a_commit_in_another_history_is_refused;
    it_forgets_the_newest_key: ForgetsTheNewestKey
        => a_commit_is_refused_if_another_key_is_the_newest;
    it_removes_any_key: RemovesAnyKey => only_the_oldest_of_several_keys_is_removed;
    it_makes_half_of_a_commit: MakesHalfOfACommit => a_refused_commit_leaves_nothing;
    it_makes_a_commit_in_steps: MakesACommitInSteps => a_snapshot_is_of_one_moment;
    it_counts_outside_the_step: CountsOutsideTheStep
        => commits_at_once_get_positions_one_after_the_other;
    it_shows_commits_out_of_order: ShowsCommitsOutOfOrder
        => commits_become_visible_in_order_and_whole;
    it_checks_a_version_before_the_step: ChecksAVersionBeforeTheStep
        => of_several_under_one_condition_one_is_made;
    it_ends_rows_by_their_version: EndsRowsByTheirVersion
        => all_rows_of_a_user_end_whatever_their_version;
    it_lists_rows_before_it_ends_them: ListsRowsBeforeItEndsThem
        => all_rows_of_a_user_end_in_the_step_of_the_commit;
    it_does_not_look_for_others: DoesNotLookForOthers => a_commit_may_exclude_other_rows;
    it_always_rotates: AlwaysRotates => a_row_keeps_its_rotation_unless_it_rotates;
}

/// An instant that lets other threads in.
fn pause() {
    thread::sleep(Duration::from_millis(1));
}

fn filler() -> NewEvent {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = u128::from(NUMBER.fetch_add(1, Ordering::SeqCst));
    let (tag, secret) = (number.to_be_bytes(), [0; 16]);
    NewEvent {
        id: EventId::from_bytes(tag),
        body: Vec::new(),
        effect: Effect::Epoch { tag, secret },
    }
}

/// After a commit of several events, it goes on as if there had been one.
#[derive(Default)]
struct GivesAPositionTwice {
    last: AtomicU64,
}

impl Flaw for GivesAPositionTwice {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        let answer = good.begin(new)?;
        if let Outcome::Done { head } = answer.value {
            self.last.store(head.position, Ordering::SeqCst);
        }
        Ok(answer)
    }

    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let takes = u64::from(!commit.events.is_empty());
        let mut answer = committed(good, commit);
        if let Outcome::Done { head } = &mut answer.value {
            head.position = self.last.fetch_add(takes, Ordering::SeqCst) + takes;
        }
        done(Ok(answer));
    }
}

/// Who waits for it misses the others.
#[derive(Default)]
struct AnswersWithTheFirstEvent;

impl Flaw for AnswersWithTheFirstEvent {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let ids: Vec<_> = commit.events.iter().map(|event| event.id).collect();
        let mut answer = committed(good, commit);
        if let (Outcome::Done { head }, [first, others @ ..]) = (&mut answer.value, &*ids) {
            head.position -= others.len() as u64;
            head.event = *first;
        }
        done(Ok(answer));
    }
}

#[derive(Default)]
struct TakesAPositionForSessions;

impl Flaw for TakesAPositionForSessions {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        if commit.events.is_empty() && !commit.sessions.is_empty() {
            commit.events.push(filler());
        }
        good.commit(commit, done);
    }
}

/// The first reader after a commit does not see it.
#[derive(Default)]
struct CompletesTooEarly;

impl Flaw for CompletesTooEarly {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        good.lag();
        good.commit(commit, done);
    }

    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let answer = good.events_after(said, wait);
        good.mend();
        answer
    }
}

#[derive(Default)]
struct DropsCompletions;

impl Flaw for DropsCompletions {
    fn commit(&self, good: &FaultyStore, commit: Commit, _done: Completion<Outcome>) {
        committed(good, commit);
    }
}

/// As if it held a lock while it completes.
#[derive(Default)]
struct FailsWithinACompletion {
    completes: Arc<AtomicBool>,
}

impl Flaw for FailsWithinACompletion {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        if self.completes.load(Ordering::SeqCst) {
            return done(Err(StoreError::unavailable("locked")));
        }
        let answer = committed(good, commit);
        self.completes.store(true, Ordering::SeqCst);
        done(Ok(answer));
        self.completes.store(false, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct CommitsInAnyHistory;

impl Flaw for CommitsInAnyHistory {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let known = head(good).unwrap_or(commit.known);
        good.commit(Commit { known, ..commit }, done);
    }
}

#[derive(Default)]
struct ForgetsTheNewestKey;

impl Flaw for ForgetsTheNewestKey {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let newest_key = None;
        good.commit(
            Commit {
                newest_key,
                ..commit
            },
            done,
        );
    }
}

/// It takes the removal of a key that is not the oldest for one of no key.
#[derive(Default)]
struct RemovesAnyKey;

impl Flaw for RemovesAnyKey {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let mut answer = committed(good, commit.clone());
        let removes = |event: &NewEvent| matches!(event.effect, Effect::RemoveKey { .. });
        if answer.value == Outcome::Refused(Refusal::Key) && commit.events.iter().all(removes) {
            let events = vec![filler()];
            answer = committed(good, Commit { events, ..commit });
        }
        done(Ok(answer));
    }
}

/// Events, then sessions, and no way back.
#[derive(Default)]
struct MakesHalfOfACommit;

impl Flaw for MakesHalfOfACommit {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let answer = committed(good, commit.clone());
        if answer.value == Outcome::Refused(Refusal::Session) {
            let sessions = Vec::new();
            committed(good, Commit { sessions, ..commit });
        }
        done(Ok(answer));
    }
}

/// Each bump of many in a step of its own.
#[derive(Default)]
struct MakesACommitInSteps;

impl Flaw for MakesACommitInSteps {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        let is_bump = |event: &NewEvent| matches!(event.effect, Effect::Epoch { .. });
        if !commit.sessions.is_empty()
            || !(2..5).contains(&commit.events.len())
            || !commit.events.iter().all(is_bump)
        {
            return good.commit(commit, done);
        }
        let events = commit.events.split_off(1);
        let mut answer = committed(good, commit.clone());
        for event in events {
            pause();
            let events = vec![event];
            let commit = commit.clone();
            answer = committed(good, Commit { events, ..commit });
        }
        done(Ok(answer));
    }
}

/// The position is read before the change is made.
#[derive(Default)]
struct CountsOutsideTheStep;

impl Flaw for CountsOutsideTheStep {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let before = head(good).map_or(0, |head| head.position);
        let last = before + commit.events.len() as u64;
        thread::yield_now();
        let mut answer = committed(good, commit);
        if let Outcome::Done { head } = &mut answer.value {
            head.position = last;
        }
        done(Ok(answer));
    }
}

/// As with a sequence: who got the lower position may come out later.
#[derive(Default)]
struct ShowsCommitsOutOfOrder {
    hidden: Mutex<HashSet<EventId>>,
}

impl Flaw for ShowsCommitsOutOfOrder {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let ids: Vec<_> = commit.events.iter().map(|event| event.id).collect();
        self.hidden.lock().unwrap().extend(&ids);
        let answer = committed(good, commit);
        if let Outcome::Done { head } = answer.value
            && head.position % 3 == 0
        {
            pause();
        }
        self.hidden.lock().unwrap().retain(|id| !ids.contains(id));
        done(Ok(answer));
    }

    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let hidden = self.hidden.lock().unwrap().clone();
        let mut answer = good.events_after(said, wait)?;
        if let News::Events { events, .. } = &mut answer.value {
            events.retain(|event| !hidden.contains(&event.id));
        }
        Ok(answer)
    }
}

#[derive(Default)]
struct ChecksAVersionBeforeTheStep;

impl Flaw for ChecksAVersionBeforeTheStep {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        if let [SessionChange::Replace { row, expected, .. }] = commit.sessions.as_mut_slice() {
            let version = || {
                let rows = rows_of(good, commit.known, Rows::One(row.id));
                rows.first().map(|kept| kept.row.version)
            };
            if version() == Some(*expected) {
                pause();
                *expected = version().unwrap_or(*expected);
            }
        }
        good.commit(commit, done);
    }
}

/// It knows a row's version from its start.
#[derive(Default)]
struct EndsRowsByTheirVersion {
    started: Mutex<HashMap<RowId, RowVersion>>,
}

impl Flaw for EndsRowsByTheirVersion {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        let mut started = self.started.lock().unwrap();
        for change in &commit.sessions {
            if let SessionChange::Start(row) = change {
                started.insert(row.id, row.version);
            }
        }
        let as_started = |row: &NewRow| started.get(&row.id) == Some(&row.version);
        commit.sessions = ended_one_by_one(good, &commit, as_started);
        good.commit(commit, done);
    }
}

/// Rows that start between the list and the end of those on it stay.
#[derive(Default)]
struct ListsRowsBeforeItEndsThem;

impl Flaw for ListsRowsBeforeItEndsThem {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        if let [SessionChange::EndOfUser { .. }] = commit.sessions.as_slice() {
            commit.sessions = ended_one_by_one(good, &commit, |_| true);
            pause();
        }
        good.commit(commit, done);
    }
}

/// The changes of a commit, with an end of each row of a user that is there in place of
/// the end of all.
fn ended_one_by_one(
    good: &FaultyStore,
    commit: &Commit,
    ends: impl Fn(&NewRow) -> bool,
) -> Vec<SessionChange> {
    let one_by_one = |change: &SessionChange| match change {
        SessionChange::EndOfUser { user, except } => {
            let rows = rows_of(good, commit.known, Rows::OfUser(*user)).into_iter();
            let ended = rows.filter(|kept| Some(kept.row.id) != *except && ends(&kept.row));
            ended
                .map(|kept| SessionChange::End {
                    row: kept.row.id,
                    expected: None,
                })
                .collect()
        }
        change => vec![change.clone()],
    };
    commit.sessions.iter().flat_map(one_by_one).collect()
}

#[derive(Default)]
struct DoesNotLookForOthers;

impl Flaw for DoesNotLookForOthers {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        let changes = |change: &SessionChange| !matches!(change, SessionChange::NoOthers { .. });
        commit.sessions.retain(changes);
        good.commit(commit, done);
    }
}

/// A grace window that slides with every change.
#[derive(Default)]
struct AlwaysRotates;

impl Flaw for AlwaysRotates {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        for change in &mut commit.sessions {
            if let SessionChange::Replace { rotates, .. } = change {
                *rotates = true;
            }
        }
        good.commit(commit, done);
    }
}
