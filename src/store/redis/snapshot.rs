//! Reading a snapshot while others write.
//!
//! A script that gave a million epochs would hold up the server for a second. So they are read
//! page by page with `HSCAN`, which gives each that is there all the time, in whatever state
//! it is by then; and those that were bumped since the reading began are given once more at
//! the end, in the step that gives the rest of the state. Of several of one tag the newest
//! counts, so together they are the state of that moment.

use redis::cmd;

use super::{
    failure::Failure,
    link::{Link, Server},
    reply::{self, Shown},
    request,
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
pub(super) fn read(link: &mut Link, server: &Server) -> Result<Answer<Option<Whole>>, Failure> {
    let mut failure = Failure::Unreadable;
    for _ in 0..MOST_ATTEMPTS {
        match attempt(link, server) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => failure = Failure::NotSettled,
            Err(failure) => return Err(failure),
        }
    }
    Err(failure)
}

/// `None` if the log started over meanwhile.
fn attempt(link: &mut Link, server: &Server) -> Result<Option<Answer<Option<Whole>>>, Failure> {
    let (mut since, mut pages) = (None, Vec::new());
    loop {
        let answer = ask(link, since)?;
        let time = answer.time;
        match answer.value {
            Shown::Empty => return Ok(Some(Answer { value: None, time })),
            Shown::Again => return Ok(None),
            Shown::Whole(snapshot, epochs) => {
                pages.push(epochs);
                let value = Some((snapshot, pages));
                return Ok(Some(Answer { value, time }));
            }
            Shown::Scan(head) if since.is_none() => {
                scan(link, server, &mut pages)?;
                since = Some(head);
            }
            Shown::More(place, epochs) if is_behind(since, place) => {
                pages.push(epochs);
                since = Some(place);
            }
            Shown::Scan(_) | Shown::More(..) => return Err(Failure::Unreadable),
        }
    }
}

fn is_behind(since: Option<Place>, place: Place) -> bool {
    since.is_some_and(|since| place.position > since.position)
}

fn ask(link: &mut Link, since: Option<Place>) -> Result<Answer<Shown>, Failure> {
    let answer = link.ask(&request::snapshot(since, GIVEN_AT_ONCE))?;
    Ok(reply::shown(answer).inspect_err(|_| link.give_up())?)
}

fn scan(
    link: &mut Link,
    server: &Server,
    pages: &mut Vec<Vec<StoredEpoch>>,
) -> Result<(), Failure> {
    let mut cursor = Some(b"0".to_vec());
    while let Some(at) = cursor {
        let mut command = cmd("HSCAN");
        command
            .arg(server.keys.epochs())
            .arg(at)
            .arg("COUNT")
            .arg(SCANNED_AT_ONCE);
        let answer = link.command(&command, std::time::Duration::ZERO)?;
        let (next, epochs) = reply::page(answer).inspect_err(|_| link.give_up())?;
        pages.push(epochs);
        cursor = next;
    }
    Ok(())
}
