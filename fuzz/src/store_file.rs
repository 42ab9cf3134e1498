//! `RedbStore` and an authority on it, opened on a file that somebody has damaged or altered.

mod rows;

use std::{
    fmt,
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard},
};

use epochkey::{
    Authority, BuildError, Grant, RedbStore, RefreshToken, Scope, Token,
    testing::{self, ManualClock},
};
use redb::StorageBackend;

use super::{
    input::Input,
    known::{self, NOW},
};

thread_local! {
    static WRITTEN: Written = Written::new();
}

const PAGE: usize = 4096;

/// What is opened is an error value, or all is there: good tokens are good, no revoked one is, and
/// no ended session goes on. Only a file of no bytes is begun anew. Somebody who writes rows with
/// the right checksums can undo what the rows say, as those of the epochs; any others change
/// nothing about it.
pub fn check(data: &[u8]) {
    WRITTEN.with(|written| {
        let mut input = Input::new(data);
        let mut bytes = written.bytes.clone();
        match input.byte() % 2 {
            0 => {
                damage(&mut bytes, &mut input);
                written.open(bytes, true);
            }
            _ => {
                let content = Content::of(bytes);
                let altered = rows::alter(&content, &mut input);
                if altered.has_no_head {
                    assert!(open(&content, 2).is_err(), "taken for an empty store");
                }
                let bytes = content.lock().clone();
                written.open(bytes, altered.leaves_revocations);
            }
        }
    });
}

/// A closed file with revoked and good tokens, and ended and live sessions.
struct Written {
    bytes: Vec<u8>,
    revoked: Vec<Token>,
    good: Vec<Token>,
    ended: RefreshToken,
    live: RefreshToken,
}

impl Written {
    fn new() -> Self {
        let content = Content::default();
        let authority = open(&content, 1).unwrap();
        let token = |user: &str| authority.issue(Grant::user(user)).unwrap();
        let finish = |scope: Scope| testing::finish(&authority, authority.bump(scope)).unwrap();
        let start = |user: &str| {
            let start = authority.sessions().start(Grant::user(user), "a device");
            testing::finish(&authority, start).unwrap()
        };
        let revoked = (0..4).map(|n| {
            let user = format!("revoked-{n}");
            let token = token(&user);
            finish(Scope::user(&user));
            token
        });
        let mut revoked: Vec<_> = revoked.collect();
        let mut good: Vec<_> = (0..4).map(|n| token(&format!("good-{n}"))).collect();
        let (ended, live) = (start("good-0"), start("good-1"));
        finish(Scope::session(ended.session.id()));
        revoked.push(ended.access);
        good.push(live.access);
        testing::finish(&authority, authority.rotate_key()).unwrap();
        drop(authority);
        let bytes = content.lock().clone();
        Self {
            bytes,
            revoked,
            good,
            ended: ended.refresh,
            live: live.refresh,
        }
    }

    /// Opens these bytes, and looks at what is there.
    fn open(&self, bytes: Vec<u8>, is_kept: bool) {
        let is_new = bytes.is_empty();
        let content = Content::of(bytes);
        let authority = match open(&content, 2) {
            Ok(authority) => authority,
            Err(error) => return assert!(!error.is_empty()),
        };
        let mut good = self.good.iter().map(|token| authority.verify(token));
        assert!(
            !is_kept || is_new || good.all(|verified| verified.is_ok()),
            "begun anew"
        );
        let refused = self.revoked.iter();
        let mut refused = refused.map(|token| authority.verify(token).is_err());
        assert!(
            !is_kept || refused.all(|refused| refused),
            "a revoked token"
        );
        let refresh =
            |token: &RefreshToken| testing::finish(&authority, authority.sessions().refresh(token));
        let ended = refresh(&self.ended);
        assert!(!is_kept || ended.is_err(), "an ended session");
        if let Ok(pair) = refresh(&self.live) {
            assert!(!is_kept || authority.verify(&pair.access).is_ok());
        }
        // Whatever comes of it: the file is written to.
        let _ = testing::maintain(&authority);
        let bump = authority.bump(Scope::user("good-0"));
        if testing::finish(&authority, bump).is_ok() {
            assert!(authority.verify(&self.good[0]).is_err());
            drop(authority);
            let again = open(&content, 3);
            let again = again.map(|authority| authority.verify(&self.good[0]).is_err());
            assert!(!is_kept || again.unwrap_or(true), "forgot a bump");
        }
    }
}

/// Draws what `seed` gives: an authority that begins anew must not draw the old keys again.
fn open(content: &Content, seed: u8) -> Result<Authority, String> {
    let again = content.clone();
    let store = RedbStore::open_on(move || Ok(again.clone())).map_err(|error| {
        assert!(!error.to_string().is_empty());
        error.label().to_owned()
    })?;
    let builder = known::builder_of(seed, &ManualClock::at_unix_seconds(NOW));
    let opened = builder.master_secret(known::master_secret()).open(store);
    opened.map_err(|error: BuildError| error.label().to_owned())
}

/// Bytes and pages that are not what they were.
fn damage(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..=input.byte() % 8 {
        if bytes.is_empty() {
            return;
        }
        let at = match input.flag() {
            // The header, which decides what the rest means.
            true => input.index(320.min(bytes.len())),
            false => input.index(bytes.len()),
        };
        match input.byte() % 6 {
            0 => bytes[at] ^= 1 << (input.byte() % 8),
            1 => bytes[at] = input.byte(),
            2 => {
                let end = (at + input.number()).min(bytes.len());
                bytes[at..end].fill(input.byte());
            }
            3 => bytes.truncate(at),
            4 => bytes.resize(bytes.len() + input.number(), input.byte()),
            _ => {
                let from = at / PAGE * PAGE;
                let to = input.index(bytes.len()) / PAGE * PAGE;
                let length = PAGE.min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + length, to);
            }
        }
    }
}

/// A file in memory. Clones are the same file.
#[derive(Clone, Default)]
struct Content(Arc<Mutex<Vec<u8>>>);

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }
}

impl StorageBackend for Content {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.lock();
        let found = usize::try_from(offset).ok().and_then(|from| {
            let end = from.checked_add(out.len())?;
            content.get(from..end)
        });
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        // A disk that is full: what a file says of its size is not to fill the memory.
        if length > 64 << 20 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.lock().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.lock();
        let from = usize::try_from(offset).map_err(|_| ErrorKind::StorageFull)?;
        let end = from.checked_add(data.len()).ok_or(ErrorKind::StorageFull)?;
        let place = content.get_mut(from..end).ok_or(ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        Ok(())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}
