//! The contract of stores, and what this one has to say beyond it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use epochkey::{
    Authority, BumpError, MasterSecret, RedisOptions, RedisStore, Scope, Store,
    store::{
        Beginning, Commit, Effect, EventId, HistoryId, KeyId, NewEvent, NewHistory, Outcome, Place,
        StoreTime,
    },
    testing::{self, store_contract},
};

use crate::server::{self, Server};

#[test]
fn the_store_on_redis_keeps_its_contract() {
    let Some(server) = server::redis() else {
        return;
    };
    let clauses = AtomicUsize::new(0);
    store_contract(|| {
        let prefix = format!("clause-{}", clauses.fetch_add(1, Ordering::SeqCst));
        let url = server.url();
        move || RedisStore::connect(&url, RedisOptions::new().prefix(&prefix)).unwrap()
    });
}

/// Beyond 2^53, up to which the server's scripts could count without care.
#[test]
fn positions_are_counted_exactly() {
    let Some(server) = server::redis() else {
        return;
    };
    let store = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    let store = Arc::new(store);
    let clock = StoreTime::default();
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    drop(testing::by_hand(builder).open(Arc::clone(&store)).unwrap());
    for (lost, first) in [
        ((1 << 53) + 1, (1 << 53) + 1 + (1_u64 << 32)),
        (999_999_999_999_999_999, 1_000_000_004_294_967_295),
    ] {
        let head = store
            .snapshot(clock, &mut |_| {})
            .unwrap()
            .value
            .unwrap()
            .head;
        let place = Place {
            position: lost,
            ..head
        };
        let event = |id, effect| NewEvent {
            id: EventId::from_bytes([id; 16]),
            body: Vec::new(),
            effect,
        };
        let began = store.begin(NewHistory {
            id: HistoryId::from_bytes(lost.to_be_bytes().repeat(2).try_into().unwrap()),
            beginning: Beginning::Unknown {
                place,
                predecessors: Vec::new(),
            },
            secrets: Vec::new(),
            event: event(
                1,
                Effect::AddKey {
                    key: KeyId::from_bytes([1; 12]),
                    record: Vec::new(),
                },
            ),
            keeps_sessions: false,
            now: clock,
        });
        let Outcome::Done { head } = began.unwrap().value else {
            panic!("the place is above the head");
        };
        assert_eq!(head.position, first);
        let (answered, answer) = mpsc::channel();
        let commit = Commit {
            known: head,
            newest_key: None,
            events: (2..=4)
                .map(|id| {
                    let (tag, secret) = ([id; 16], [id; 16]);
                    event(id, Effect::Epoch { tag, secret })
                })
                .collect(),
            sessions: Vec::new(),
            now: clock,
        };
        store.commit(commit, Box::new(move |answer| drop(answered.send(answer))));
        let Outcome::Done { head } = answer.recv().unwrap().unwrap().value else {
            panic!("the head is part of the log");
        };
        assert_eq!(
            (head.position, head.event),
            (first + 3, EventId::from_bytes([4; 16]))
        );
    }
}

#[test]
fn a_commit_too_large_is_refused_whole() {
    let Some(server) = server::redis() else {
        return;
    };
    let store = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    let authority = builder.open(store).unwrap();
    let users = |count: u32| (0..count).map(|user| Scope::user(format!("user-{user}")));
    let refused = authority.bump_many(users(20_001)).wait().unwrap_err();
    let BumpError::Store(cause) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((cause.label(), cause.is_transient()), ("too_large", false));
    assert!(refused.to_string().contains("none was bumped"), "{refused}");
    authority.bump_many(users(5_000)).wait().unwrap();
    assert_eq!(authority.stats().epochs, 5_000);
    assert_eq!(authority.stats().position, 5_001);
}
