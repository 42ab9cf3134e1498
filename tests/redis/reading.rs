//! A snapshot that is read page by page, while the way to the server changes.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use epochkey::{
    Authority, AuthorityBuilder, Grant, MasterSecret, Policy, RedisOptions, RedisStore, Scope,
    Store, Token,
    store::{Rows, SessionQuery, StoreTime},
};

use crate::{
    faults::fleet::until,
    network::{Hostile, Lie, Proxy},
    server::{self, RedisServer, Server},
};

const USERS: usize = 20_000;

fn builder(secret: &MasterSecret) -> AuthorityBuilder {
    let policy = Policy::default().max_staleness(Duration::from_secs(60));
    let builder = Authority::builder("https://issuer.test", "api").policy(policy);
    builder.master_secret(secret.clone())
}

fn connect(url: &str) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(url, RedisOptions::new()).unwrap())
}

/// Many users are revoked, of whom some had tokens.
fn revoke_many(authority: &Authority) -> Vec<Token> {
    let users = (0..USERS).map(|number| format!("user-{number}"));
    let some = users.clone().take(500);
    let tokens = some.map(|user| authority.issue(Grant::user(user)).unwrap());
    let tokens = tokens.collect();
    authority.bump_many(users.map(Scope::user)).wait().unwrap();
    tokens
}

/// How many pages the server has given.
pub(crate) fn pages(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "commandstats"]).unwrap();
    let info: String = redis::from_redis_value(info).unwrap();
    let calls = info.lines().find_map(|line| {
        let line = line.strip_prefix("cmdstat_hscan:calls=")?;
        line.split(',').next()?.parse().ok()
    });
    calls.unwrap_or(0)
}

/// The cursor of one server means something else to another, though both have the same.
#[test]
fn a_snapshot_is_of_one_server() {
    let Some(primary) = server::redis() else {
        return;
    };
    let secret = MasterSecret::generate().unwrap();
    let before = builder(&secret).open(connect(&primary.url())).unwrap();
    let tokens = revoke_many(&before);
    let mut promoted = primary.replica().unwrap();
    promoted.promote().unwrap();

    let proxy = Proxy::to_server(primary.address()).unwrap();
    let store = connect(&primary.url_at(proxy.address()));
    // The other connection of this store is there.
    let known = store.snapshot(StoreTime::default(), &mut |_| {});
    let known = known.unwrap().value.unwrap().head;
    let query = SessionQuery {
        known,
        rows: Rows::OfUser([0; 16]),
        now: StoreTime::default(),
    };
    let ask = || {
        let (answered, answer) = mpsc::channel();
        store.sessions(query, Box::new(move |rows| drop(answered.send(rows))));
        answer.recv().unwrap()
    };
    ask().unwrap();

    proxy.delay(Duration::from_millis(20)..Duration::from_millis(21));
    let given = pages(&primary);
    let fresh = thread::scope(|scope| {
        let opening = scope.spawn(|| builder(&secret).open(Arc::clone(&store)));
        until("it reads", || pages(&primary) >= given + 3);
        // New connections lead to the other server, and one that broke makes all be made anew.
        proxy.to(promoted.address());
        proxy.cut_request("\r\nuser\r\n", 0);
        ask().unwrap_err();
        opening.join().unwrap()
    });
    // It may fail; it may not do with a part.
    if let Ok(fresh) = fresh {
        let good = tokens.iter().filter(|token| fresh.verify(token).is_ok());
        assert_eq!(good.count(), 0, "revoked tokens are accepted");
        assert_eq!(fresh.stats().epochs, USERS);
    }
}

#[test]
fn pages_without_an_end_are_an_error() {
    let Some(server) = server::redis() else {
        return;
    };
    let secret = MasterSecret::generate().unwrap();
    let before = builder(&secret).open(connect(&server.url())).unwrap();
    revoke_many(&before);
    let hostile = Hostile::before(server.address()).unwrap();
    let store = connect(&server.url_at(hostile.address()));
    let mut page = b"*2\r\n$1\r\n7\r\n*2000\r\n".to_vec();
    for number in 0..1000_u128 {
        page.extend(b"$16\r\n");
        page.extend(number.to_be_bytes());
        page.extend(b"\r\n$17\r\n0123456789abcdef5\r\n");
    }
    hostile.replace_all("HSCAN", Lie::Bytes(page));
    let read = store.snapshot(StoreTime::default(), &mut |_| {});
    assert_eq!(read.unwrap_err().label(), "damaged");
}
