//! Where a replica's state comes from: the store, and what is needed to read it.

use std::{sync::Arc, time::Duration};

use crate::{
    StoreError,
    bug::{self, Bug},
    clock::{Moment, Timekeeper},
    crypto::{Random, RandomError},
    epoch::TableEpoch,
    epoch_log::Change,
    epoch_table::{LoadingTable, Tag},
    history_secrets::NewHistorySecrets,
    key_ring::KeyRing,
    policy::CheckedPolicy,
    ring_key::{NewRingKey, RingKey, SealedKey},
    seal::NOT_BUMPED,
    store::{
        Beginning, EventId, Heartbeat, HistoryId, NewHistory, Place, ReplicaId, Rewrap, Snapshot,
        Store,
    },
    wrapping::WrappingKeys,
};

/// How often a store may turn out to have changed its history while it is read.
pub(super) const MOST_TURNS: usize = 4;

/// The store, and all that is needed to ask it and to read its answers.
pub(crate) struct Source {
    pub(crate) id: ReplicaId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) wrapping: WrappingKeys,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) time: Timekeeper,
    pub(crate) policy: Arc<CheckedPolicy>,
}

impl Source {
    pub(super) fn heartbeat(&self, applied: Option<Place>, sent: Moment) -> Heartbeat {
        Heartbeat {
            replica: self.id,
            applied,
            max_staleness: self.policy.max_staleness(),
            now: sent.store_time(),
        }
    }

    /// Announces the replica, then loads its first state, so that nobody takes a bump
    /// for applied everywhere while this snapshot is on its way.
    pub(super) fn first_state(&self) -> Result<(KeyRing, Place, Vec<HistoryId>), StoreError> {
        let heartbeat = self.heartbeat(None, self.time.sending());
        self.store.events_after(heartbeat, Duration::ZERO)?;
        for _ in 0..MOST_TURNS {
            match self.load()? {
                Some((snapshot, table)) => {
                    let (head, predecessors) = (snapshot.head, snapshot.predecessors.clone());
                    return Ok((self.read(snapshot, table)?, head, predecessors));
                }
                // Whether this replica begins it or another, the next turn finds it.
                None => self.store.begin(self.new_history(Beginning::Empty)?)?,
            };
        }
        Err(StoreError::unsettled())
    }

    /// A snapshot as the store gives it, if it is not empty.
    pub(super) fn load(&self) -> Result<Option<(Snapshot, LoadingTable)>, StoreError> {
        let (mut table, mut newest, mut revives) = (LoadingTable::new(), 0, false);
        let now = self.time.sending().store_time();
        let answer = self.store.snapshot(now, &mut |stored| {
            let epoch = TableEpoch {
                position: stored.position,
                secret: stored.secret,
            };
            newest = newest.max(stored.position);
            revives |= stored.secret == NOT_BUMPED;
            table.add(Tag::from_bytes(stored.tag), epoch);
        })?;
        if let Some(snapshot) = &answer.value {
            let head = snapshot.head.position;
            if newest > head {
                // Of another state: it would hide an epoch that is in force.
                return Err(StoreError::damaged("an epoch is above the log's head"));
            }
            if snapshot.keys.iter().any(|key| key.position > head) {
                // No bump up to there would concern its tokens.
                return Err(StoreError::damaged("a ring key is above the log's head"));
            }
        }
        if revives {
            return Err(StoreError::damaged("an epoch without a secret"));
        }
        Ok(answer.value.map(|snapshot| (snapshot, table)))
    }

    /// The ring and the table that a snapshot shows.
    pub(super) fn read(
        &self,
        snapshot: Snapshot,
        table: LoadingTable,
    ) -> Result<KeyRing, StoreError> {
        let Place {
            history, position, ..
        } = snapshot.head;
        let secrets = NewHistorySecrets::unwrap(&snapshot.secrets, history, &self.wrapping)?;
        let keys: Result<Vec<_>, _> = snapshot
            .keys
            .into_iter()
            .map(|key| RingKey::stored(key, &self.wrapping))
            .collect();
        let keys = keys?;
        let floor = keys.first().map_or(0, RingKey::position);
        let table = table.finish(floor, position);
        KeyRing::new(history, secrets.into(), keys, table)
            .ok_or_else(|| StoreError::unreadable("the key ring"))
    }

    /// A history with new secrets and one new ring key.
    pub(super) fn new_history(&self, beginning: Beginning) -> Result<NewHistory, RandomError> {
        let id = HistoryId::draw(&*self.random)?;
        let secrets = NewHistorySecrets::draw(&*self.random)?;
        let change = Change::Swap(self.new_key(0)?);
        Ok(NewHistory {
            id,
            beginning,
            secrets: secrets.wrap(id, &self.wrapping, &*self.random)?,
            event: change.into_event(EventId::draw(&*self.random)?),
            keeps_sessions: false,
            now: self.time.sending().store_time(),
        })
    }

    /// A new ring key that issues `announce_for` seconds after its introduction.
    pub(crate) fn new_key(&self, announce_for: u64) -> Result<SealedKey, RandomError> {
        let longest_lifetime = self.policy.max_token_lifetime;
        let announce_for = match bug::is_in(Bug::IssuesFromBeforeCommit) {
            true => announce_for + self.time.moment().now,
            false => announce_for,
        };
        NewRingKey::draw(&*self.random, longest_lifetime, announce_for)?
            .seal(&self.wrapping, &*self.random)
    }

    /// What the store keeps, wrapped with the current master secret.
    pub(super) fn rewrapped(&self, snapshot: Snapshot) -> Result<Rewrap, StoreError> {
        let (known, history) = (snapshot.head, snapshot.head.history);
        let secrets = NewHistorySecrets::unwrap(&snapshot.secrets, history, &self.wrapping)?;
        let keys: Result<_, StoreError> = snapshot
            .keys
            .into_iter()
            .map(|key| {
                let (id, record) = (key.id, key.record);
                let key = SealedKey { id, record }.rewrapped(&self.wrapping, &*self.random)?;
                Ok((key.id, key.record))
            })
            .collect();
        Ok(Rewrap {
            known,
            secrets: secrets.wrap(history, &self.wrapping, &*self.random)?,
            keys: keys?,
            now: self.time.sending().store_time(),
        })
    }
}
