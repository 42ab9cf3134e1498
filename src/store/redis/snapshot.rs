//! Reading a snapshot while others write.
//!
//! A script that gave a million epochs would hold up the server for a second. So they are read
//! page by page with `HSCAN`, which gives each that is there all the time, in whatever state
//! it is by then; and those that were bumped since the reading began are given once more at
//! the end, in the step that gives the rest of the state. Of several of one tag the newest
//! counts, so together they are the state of that moment.

use std::time::Duration;

use redis::cmd;

use super::{
    failure::Failure,
    link::Link,
    reply::{self, Shown},
    request,
    scripts::Keys,
    server::Connected,
};
use crate::store::{Answer, Place, Snapshot, StoredEpoch};

/// How many epochs are given at once, by the server itself: it takes it less than a
/// millisecond.
const SCANNED_AT_ONCE: usize = 1000;
/// The same through a script, which costs it more.
const GIVEN_AT_ONCE: usize = 250;
/// How often reading may begin again, because the log started over meanwhile.
const MOST_ATTEMPTS: usize = 16;

/// A snapshot with its epochs, in pages. They are kept until it is whole: some may be of
/// a history that is gone by then.
type Whole = (Snapshot, Vec<Vec<StoredEpoch>>);

/// Gives `None` if there is nothing. Fails if the log starts over again and again.
pub(super) fn read(link: &mut Link) -> Result<Answer<Option<Whole>>, Failure> {
    for _ in 0..MOST_ATTEMPTS {
        // The pages are of one server: where another goes on, nothing is where it was.
        let attempt = link.over_one(|server, connected| {
            let mut reading = Reading {
                connected,
                keys: &server.keys,
                pages: Vec::new(),
                left: Bounds::default(),
            };
            reading.attempt()
        });
        match attempt {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            // The server has forgotten its scripts, and learns them from the next connection.
            Err(failure) if failure.is_unknown_script() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::NotSettled)
}

struct Reading<'a> {
    connected: &'a mut Connected,
    keys: &'a Keys,
    pages: Vec<Vec<StoredEpoch>>,
    left: Bounds,
}

/// What may still come. An honest server gives epochs several times only while it reorders
/// them, and empty pages only where many have gone.
#[derive(Default)]
struct Bounds {
    pages: usize,
    epochs: usize,
}

impl Bounds {
    fn of(epochs: usize) -> Self {
        Self {
            pages: (epochs / 100).saturating_add(20_000),
            epochs: epochs.saturating_mul(4).saturating_add(100_000),
        }
    }

    fn take(&mut self, epochs: usize) -> Result<(), Failure> {
        let (pages, epochs) = (self.pages.checked_sub(1), self.epochs.checked_sub(epochs));
        self.pages = pages.ok_or(Failure::Unreadable)?;
        self.epochs = epochs.ok_or(Failure::Unreadable)?;
        Ok(())
    }
}

impl Reading<'_> {
    /// `None` if the log started over meanwhile.
    fn attempt(&mut self) -> Result<Option<Answer<Option<Whole>>>, Failure> {
        let mut since: Option<Place> = None;
        loop {
            let request = request::snapshot(since, GIVEN_AT_ONCE);
            let Answer { value, time } = reply::shown(self.connected.ask(self.keys, &request)?)?;
            match value {
                Shown::Empty => return Ok(Some(Answer { value: None, time })),
                Shown::Again => return Ok(None),
                Shown::Whole(snapshot, epochs) => {
                    self.pages.push(epochs);
                    return Ok(self.whole(snapshot).map(|value| Answer { value, time }));
                }
                Shown::Scan(head, epochs) if since.is_none() => {
                    self.left = Bounds::of(epochs);
                    self.scan()?;
                    since = Some(head);
                }
                Shown::More(place, epochs)
                    if since.is_some_and(|since| since.position < place.position) =>
                {
                    self.add(epochs)?;
                    since = Some(place);
                }
                Shown::Scan(..) | Shown::More(..) => return Err(Failure::Unreadable),
            }
        }
    }

    /// `None` if some of the epochs are not of this log.
    fn whole(&mut self, snapshot: Snapshot) -> Option<Option<Whole>> {
        let mut epochs = self.pages.iter().flatten();
        let is_of_log = epochs.all(|epoch| epoch.position <= snapshot.head.position);
        is_of_log.then(|| Some((snapshot, std::mem::take(&mut self.pages))))
    }

    fn scan(&mut self) -> Result<(), Failure> {
        let mut cursor = Some(b"0".to_vec());
        while let Some(at) = cursor {
            let mut command = cmd("HSCAN");
            let command = command.arg(self.keys.epochs()).arg(at);
            let command = command.arg("COUNT").arg(SCANNED_AT_ONCE);
            let answer = self.connected.command(command, Duration::ZERO)?;
            let (next, epochs) = reply::page(answer)?;
            self.add(epochs)?;
            cursor = next;
        }
        Ok(())
    }

    fn add(&mut self, page: Vec<StoredEpoch>) -> Result<(), Failure> {
        self.left.take(page.len())?;
        self.pages.push(page);
        Ok(())
    }
}
