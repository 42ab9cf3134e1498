//! Session rows, changed through the store itself: no other part of the crate does so yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
};

use epochkey::{
    RedbStore,
    store::{
        Answer, Commit, HistoryId, NewRow, Outcome, Place, RowId, RowVersion, Rows, SessionChange,
        SessionQuery, SessionRow, Store, StoreTime,
    },
};

use crate::{
    line::{Change, RowChange},
    random::Random,
    work::Bench,
};

/// Long after everything else has expired.
const ROW_LIFETIME: u64 = 365 * 24 * 3600;
const USERS: u8 = 3;

/// Id to user and version.
type KnownRows = BTreeMap<[u8; 16], ([u8; 16], [u8; 16])>;

/// The rows of a few users that nobody else changes, so that their versions are known.
pub(crate) struct RowWork<'a> {
    bench: &'a Bench<'a>,
    users: Vec<[u8; 16]>,
    /// What the history has of them. `None` if that has to be asked for.
    known: Option<(HistoryId, KnownRows)>,
}

/// The body of a row in this version: what is read back must be whole.
pub(crate) fn body(version: [u8; 16]) -> Vec<u8> {
    version.repeat(usize::from(version[0]))
}

pub(crate) fn head(store: &impl Store) -> Place {
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {}).unwrap();
    snapshot.value.unwrap().head
}

/// The rows that a query finds; `None` if the history has changed since `known`.
pub(crate) fn ask(store: &impl Store, known: Place, rows: Rows) -> Option<Vec<SessionRow>> {
    let (answered, answer) = mpsc::channel();
    let query = SessionQuery {
        known,
        rows,
        now: StoreTime::default(),
    };
    let done = move |answer: Result<Answer<_>, _>| answered.send(answer).unwrap();
    store.sessions(query, Box::new(done));
    answer.recv().unwrap().unwrap().value
}

impl<'a> RowWork<'a> {
    pub(crate) fn new(bench: &'a Bench<'a>, number: usize) -> Self {
        let user = |user| {
            [
                number as u8 + 1,
                user,
                7,
                7,
                7,
                7,
                7,
                7,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ]
        };
        Self {
            bench,
            users: (0..USERS).map(user).collect(),
            known: None,
        }
    }

    pub(crate) fn change(&mut self, random: &mut Random) {
        let store = Arc::clone(&self.bench.store);
        let place = head(&store);
        let known = self.known.take();
        let known = known.filter(|(history, _)| *history == place.history);
        let known = known.map(|(_, rows)| rows);
        let Some(mut known) = known.or_else(|| self.find(&store, place)) else {
            return;
        };
        let (changes, asked) = match random.chance(10) {
            true => self.end_of_user(&known, random),
            false => self.some_changes(&known, random),
        };
        let attempt = self.bench.attempt(Change::Rows(changes.clone()));
        match self.commit(&store, place, asked) {
            Outcome::Done { .. } => {
                self.bench.done(attempt, &[]);
                keep(&mut known, &changes);
                self.known = Some((place.history, known));
            }
            refused => {
                let label = format!("{refused:?}");
                self.bench.failed(attempt, label, "refused");
            }
        }
    }

    fn find(&self, store: &RedbStore, place: Place) -> Option<KnownRows> {
        let mut known = BTreeMap::new();
        for user in &self.users {
            for row in ask(store, place, Rows::OfUser(*user))? {
                let version = *row.row.version.as_bytes();
                known.insert(*row.row.id.as_bytes(), (*user, version));
            }
        }
        Some(known)
    }

    /// One to four rows started, replaced or ended, each another one; now and then only if
    /// a user has no rows but those known.
    fn some_changes(
        &self,
        known: &KnownRows,
        random: &mut Random,
    ) -> (Vec<RowChange>, Vec<SessionChange>) {
        let mut present: Vec<_> = known.iter().collect();
        let changes: Vec<_> = (0..random.between(1, 4))
            .map(|_| match present.len() {
                0..4 => RowChange {
                    id: bytes(random),
                    user: *random.pick(&self.users),
                    before: None,
                    after: Some(bytes(random)),
                },
                more => {
                    let (id, (user, version)) = present.swap_remove(random.below(more));
                    RowChange {
                        id: *id,
                        user: *user,
                        before: Some(*version),
                        after: random.chance(65).then(|| bytes(random)),
                    }
                }
            })
            .collect();
        let asked = changes.iter().map(|change| self.asked(change, random));
        let mut asked: Vec<_> = asked.collect();
        if random.chance(50) {
            let user = *random.pick(&self.users);
            let of_user = known.iter().filter(|(_, (of, _))| *of == user);
            let rows = of_user.map(|(id, _)| RowId::from_bytes(*id)).collect();
            asked.push(SessionChange::NoOthers { user, rows });
        }
        (changes, asked)
    }

    fn asked(&self, change: &RowChange, random: &mut Random) -> SessionChange {
        let new_row = |version| NewRow {
            id: change.id(),
            user: change.user,
            version: RowVersion::from_bytes(version),
            expires_at: StoreTime::from_unix_millis((self.bench.now() + ROW_LIFETIME) * 1000),
            body: body(version),
        };
        match (change.expected(), change.after) {
            (None, Some(version)) => SessionChange::Start(new_row(version)),
            (Some(expected), Some(version)) => SessionChange::Replace {
                row: new_row(version),
                expected,
                rotates: random.chance(50),
            },
            (expected, None) => SessionChange::End {
                row: change.id(),
                expected: expected.filter(|_| random.chance(50)),
            },
        }
    }

    fn end_of_user(
        &self,
        known: &KnownRows,
        random: &mut Random,
    ) -> (Vec<RowChange>, Vec<SessionChange>) {
        let user = *random.pick(&self.users);
        let changes =
            known
                .iter()
                .filter(|(_, (of, _))| *of == user)
                .map(|(id, (user, version))| RowChange {
                    id: *id,
                    user: *user,
                    before: Some(*version),
                    after: None,
                });
        let except = None;
        let asked = vec![SessionChange::EndOfUser { user, except }];
        (changes.collect(), asked)
    }

    fn commit(&self, store: &RedbStore, known: Place, sessions: Vec<SessionChange>) -> Outcome {
        let (answered, answer) = mpsc::channel();
        let commit = Commit {
            known,
            newest_key: None,
            events: vec![],
            sessions,
            now: StoreTime::from_unix_millis(self.bench.now() * 1000),
        };
        let done = move |answer: Result<Answer<_>, _>| answered.send(answer).unwrap();
        store.commit(commit, Box::new(done));
        answer.recv().unwrap().unwrap().value
    }
}

fn keep(known: &mut KnownRows, changes: &[RowChange]) {
    for change in changes {
        match change.after {
            Some(version) => known.insert(change.id, (change.user, version)),
            None => known.remove(&change.id),
        };
    }
}

fn bytes(random: &mut Random) -> [u8; 16] {
    let halves = [random.next(), random.next()];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&halves[0].to_le_bytes());
    bytes[8..].copy_from_slice(&halves[1].to_le_bytes());
    bytes
}
