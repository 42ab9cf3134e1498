//! The immutable set of live ring keys, swapped whole.

use std::sync::Arc;

use crate::{
    Mark,
    bug::{self, Bug},
    clock::UnixSeconds,
    crypto::{HmacKey, Secret},
    epoch_table::{EpochTable, TableKey},
    history_secrets::HistorySecrets,
    ring_key::RingKey,
    store::{HistoryId, KeyId},
};

/// An immutable snapshot of the live ring keys, with all that goes with them: a
/// history's secrets and its epoch table. Whoever holds one sees a ring and a table
/// that fit together.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    history: HistoryId,
    secrets: HistorySecrets,
    /// In the order of their positions; never empty.
    keys: Vec<RingKey>,
    table: Arc<EpochTable>,
}

impl KeyRing {
    /// How many live keys there may be: every verify looks through them.
    pub(crate) const MOST_KEYS: usize = 32;

    /// The ring of a history with these keys, in the order of their positions.
    ///
    /// `None` without keys: there is no state without an issuing key. `None` if one is there
    /// twice: a token would be judged by the position of either.
    pub(crate) fn new(
        history: HistoryId,
        secrets: HistorySecrets,
        keys: Vec<RingKey>,
        table: EpochTable,
    ) -> Option<Self> {
        let in_order = keys.is_sorted_by(|a, b| a.position() < b.position());
        let mut behind = keys.iter().enumerate();
        let each_once = behind.all(|(n, key)| keys[..n].iter().all(|other| other.id() != key.id()));
        (in_order && each_once && !keys.is_empty()).then(|| Self {
            history,
            secrets,
            keys,
            table: Arc::new(table),
        })
    }

    /// The ring after a key was introduced.
    pub(crate) fn with(&self, key: RingKey) -> Self {
        let mut ring = self.clone();
        ring.keys.push(key);
        ring
    }

    /// The ring after a swap: `key` alone.
    pub(crate) fn swapped(&self, key: RingKey) -> Self {
        if bug::is_in(Bug::SwapKeepsKeys) {
            return self.with(key);
        }
        Self {
            keys: vec![key],
            ..self.clone()
        }
    }

    /// The ring without its oldest key, if that is `key` and not the only one.
    pub(crate) fn without(&self, key: KeyId) -> Option<Self> {
        match &*self.keys {
            [oldest, rest @ ..] if oldest.id() == key && !rest.is_empty() => Some(Self {
                keys: rest.to_vec(),
                ..self.clone()
            }),
            _ => None,
        }
    }

    /// Whether a key of this ring was at another position in an earlier one: the bumps in between
    /// would come undone.
    pub(crate) fn has_moved_since(&self, earlier: &Self) -> bool {
        self.keys.iter().any(|key| {
            let before = earlier.key(key.id());
            before.is_some_and(|before| before.position() != key.position())
        })
    }

    pub(crate) fn history(&self) -> HistoryId {
        self.history
    }

    /// The live key whose tokens begin with this encoded header.
    pub(crate) fn key_of_header(&self, header: &[u8]) -> Option<&RingKey> {
        self.keys
            .iter()
            .find(|key| key.header().as_bytes() == header)
    }

    /// The live key whose header a token begins with, and what follows the dot behind it.
    pub(crate) fn key_of_token<'a>(&self, token: &'a [u8]) -> Option<(&RingKey, &'a [u8])> {
        self.keys.iter().find_map(|key| {
            let rest = token.strip_prefix(key.header().as_bytes())?;
            Some((key, rest.strip_prefix(b".")?))
        })
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key that signs new tokens: the newest that is not only announced, or the
    /// oldest if the clock says that none is.
    pub(crate) fn issuing_key(&self, now: UnixSeconds) -> Option<&RingKey> {
        let mut newest_first = self.keys.iter().rev();
        newest_first
            .find(|key| key.issues_from() <= now)
            .or(self.keys.first())
    }

    /// When the key at `index` stops issuing: when any newer one begins to.
    pub(crate) fn stops_issuing(&self, index: usize) -> Option<UnixSeconds> {
        let newer = self.keys.iter().skip(index + 1);
        newer.map(RingKey::issues_from).min()
    }

    /// The live keys in the order of their positions.
    pub(crate) fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The lowest position of a live key: what was bumped before it concerns no token.
    pub(crate) fn lowest_position(&self) -> u64 {
        self.keys.first().map_or(0, RingKey::position)
    }

    pub(crate) fn seal_key(&self) -> &HmacKey {
        &self.secrets.seal_key
    }

    /// Tags refresh tokens.
    pub(crate) fn refresh_key(&self) -> &HmacKey {
        &self.secrets.refresh_key
    }

    /// Gives the keys of session rows.
    pub(crate) fn row_key(&self) -> &Secret<32> {
        &self.secrets.row_key
    }

    pub(crate) fn table_key(&self) -> &TableKey {
        &self.secrets.table_key
    }

    /// The epochs of all scopes that were bumped since the oldest live key.
    pub(crate) fn table(&self) -> &EpochTable {
        &self.table
    }

    /// This moment in the epoch log.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            history: self.history,
            position: self.table.applied(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        MasterSecret, crypto::SystemRandom, history_secrets::NewHistorySecrets,
        ring_key::NewRingKey, store::StoreTime, wrapping::WrappingKeys,
    };

    pub(crate) fn ring_key(position: u64, introduced_at: u64, announce_for: u64) -> RingKey {
        let wrapping = WrappingKeys::new(&MasterSecret::generate().unwrap(), &[]);
        let new = NewRingKey::draw(&SystemRandom, 900, announce_for).unwrap();
        let sealed = new.seal(&wrapping, &SystemRandom).unwrap();
        let time = StoreTime::from_unix_millis(introduced_at * 1000);
        sealed.introduced(position, time, &wrapping).unwrap()
    }

    fn ring(keys: Vec<RingKey>) -> Option<KeyRing> {
        let history = HistoryId::draw(&SystemRandom).unwrap();
        let secrets = NewHistorySecrets::draw(&SystemRandom).unwrap().into();
        KeyRing::new(history, secrets, keys, EpochTable::new(0, 0))
    }

    #[test]
    fn there_is_no_ring_without_keys_or_out_of_order() {
        assert!(ring(vec![]).is_none());
        assert!(ring(vec![ring_key(2, 0, 0), ring_key(2, 0, 0)]).is_none());
        assert!(ring(vec![ring_key(2, 0, 0), ring_key(1, 0, 0)]).is_none());
        let one = ring(vec![ring_key(1, 0, 0)]).unwrap();
        assert!(one.without(one.keys()[0].id()).is_none(), "the last stays");
    }

    #[test]
    fn keys_issue_in_turn_and_the_oldest_when_the_clock_lies() {
        let keys = vec![
            ring_key(1, 100, 0),
            ring_key(4, 200, 14),
            ring_key(9, 205, 14),
        ];
        let ids: Vec<_> = keys.iter().map(RingKey::id).collect();
        let ring = ring(keys).unwrap();
        let issuing = |now| ring.issuing_key(now).map(RingKey::id).unwrap();
        for (now, index) in [(0, 0), (100, 0), (213, 0), (214, 1), (218, 1), (219, 2)] {
            assert_eq!(issuing(now), ids[index], "at {now}");
        }
        assert_eq!(ring.stops_issuing(0), Some(214));
        assert_eq!(ring.stops_issuing(1), Some(219));
        assert_eq!(ring.stops_issuing(2), None);
    }

    /// A key that a wrong clock announced for next month does not hold up the others.
    #[test]
    fn a_key_dated_in_the_future_does_not_block() {
        let keys = vec![
            ring_key(1, 0, 0),
            ring_key(2, 1_000_000, 14),
            ring_key(3, 50, 14),
        ];
        let (first, last) = (keys[0].id(), keys[2].id());
        let ring = ring(keys).unwrap();
        assert_eq!(ring.issuing_key(60).unwrap().id(), first);
        assert_eq!(ring.issuing_key(64).unwrap().id(), last);
        assert_eq!(ring.stops_issuing(0), Some(64));
        let ring = ring.without(first).unwrap();
        assert!(ring.without(last).is_none(), "oldest first");
        assert_eq!(ring.lowest_position(), 2);
    }

    #[test]
    fn a_swap_leaves_one_key() {
        let keys = vec![ring_key(1, 0, 0), ring_key(2, 0, 0)];
        let before = ring(keys.clone()).unwrap();
        let ring = before.swapped(ring_key(5, 0, 0));
        assert_eq!((ring.keys().len(), ring.lowest_position()), (1, 5));
        for key in keys {
            assert!(ring.key(key.id()).is_none());
            assert!(ring.key_of_header(key.header().as_bytes()).is_none());
        }
        let key = &ring.keys()[0];
        let found = ring.key_of_header(key.header().as_bytes());
        assert_eq!(found.map(RingKey::id), Some(key.id()));
        assert!(ring.key_of_header(&key.header().as_bytes()[1..]).is_none());
    }

    #[test]
    fn debug_is_redacted() {
        let text = format!("{:?}", ring(vec![ring_key(1, 0, 0)]));
        let bare = text
            .replace("HmacKey(redacted)", "")
            .replace("Secret(redacted)", "");
        assert_eq!(text.matches("redacted").count(), 5, "{text}");
        assert!(
            !bare.to_lowercase().contains("secret(") && !bare.contains("seal_key: ["),
            "{text}"
        );
    }
}
