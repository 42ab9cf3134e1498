//! How each answer is altered. Zeros alter nothing.

use std::time::Duration;

use epochkey::{
    StoreError,
    store::{
        Answer, EventId, HistoryId, KeyId, News, Outcome, Place, Receipt, Refusal, RowId,
        RowVersion, SessionRow, Snapshot, Standing, StoreTime, StoredEpoch, StoredKey,
    },
};

use super::super::input::Input;

/// Alters a time or what is said, or fails.
pub(super) fn answer<T>(
    answer: &mut Answer<T>,
    input: &mut Input<'_>,
    alter: impl FnOnce(&mut T, &mut Input<'_>),
) -> Result<(), StoreError> {
    match input.byte() % 16 {
        0..6 => {}
        6 => answer.time = time(answer.time, input),
        7 => return Err(StoreError::unavailable("not now")),
        8 => return Err(StoreError::damaged("as it says")),
        _ => alter(&mut answer.value, input),
    }
    Ok(())
}

fn number(number: &mut u64, input: &mut Input<'_>) {
    *number = match input.byte() % 8 {
        0..3 => *number,
        3 => number.wrapping_add(1),
        4 => number.wrapping_sub(1),
        5 => u64::MAX - u64::from(input.byte()),
        6 => number.wrapping_add(1 << 32),
        _ => u64::from(input.byte()),
    }
}

fn time(time: StoreTime, input: &mut Input<'_>) -> StoreTime {
    let mut millis = time.as_unix_millis();
    match input.flag() {
        true => number(&mut millis, input),
        false => millis = millis.wrapping_add(input.number() as u64 * 100),
    }
    StoreTime::from_unix_millis(millis)
}

fn bytes<const N: usize>(bytes: [u8; N], input: &mut Input<'_>) -> [u8; N] {
    let mut bytes = bytes;
    bytes[input.index(N)] ^= input.byte();
    bytes
}

fn body(body: &mut Vec<u8>, input: &mut Input<'_>) {
    if input.flag() {
        input.edit(body);
    }
}

/// Leaves out, or gives twice, or in another order.
fn list<T: Clone>(list: &mut Vec<T>, input: &mut Input<'_>) {
    if list.is_empty() {
        return;
    }
    let at = input.index(list.len());
    match input.byte() % 6 {
        3 => drop(list.remove(at)),
        4 => list.push(list[at].clone()),
        5 => list.swap(0, at),
        _ => {}
    }
}

fn place(place: &mut Place, input: &mut Input<'_>) {
    place.history = HistoryId::from_bytes(bytes(*place.history.as_bytes(), input));
    number(&mut place.position, input);
    place.event = EventId::from_bytes(bytes(*place.event.as_bytes(), input));
}

pub(super) fn news(news: &mut News, input: &mut Input<'_>) {
    match (input.byte() % 8, news) {
        (6, news) => *news = News::TakeSnapshot,
        (7, news) => *news = News::NotMyPast,
        (_, News::Events { events, more }) => {
            list(events, input);
            for event in events {
                number(&mut event.position, input);
                event.id = EventId::from_bytes(bytes(*event.id.as_bytes(), input));
                event.time = time(event.time, input);
                body(&mut event.body, input);
            }
            *more ^= input.flag();
        }
        _ => {}
    }
}

pub(super) fn standing(standing: &mut Standing, input: &mut Input<'_>) {
    let all = [
        Standing::Part,
        Standing::Trimmed,
        Standing::Before,
        Standing::Unknown,
    ];
    *standing = *input.pick(&all);
}

/// `shown` are the ring keys of before, which may be shown again.
pub(super) fn snapshot(
    snapshot: &mut Option<Snapshot>,
    shown: &[StoredKey],
    input: &mut Input<'_>,
) {
    if input.byte() == 255 {
        *snapshot = None;
    }
    let Some(snapshot) = snapshot else { return };
    place(&mut snapshot.head, input);
    if input.flag() {
        let history = bytes(*snapshot.head.history.as_bytes(), input);
        snapshot.predecessors.push(HistoryId::from_bytes(history));
    }
    body(&mut snapshot.secrets, input);
    if input.byte() & 3 == 3 {
        snapshot.keys.insert(0, input.pick(shown).clone());
    }
    list(&mut snapshot.keys, input);
    for key in &mut snapshot.keys {
        key.id = KeyId::from_bytes(bytes(*key.id.as_bytes(), input));
        number(&mut key.position, input);
        key.introduced_at = time(key.introduced_at, input);
        body(&mut key.record, input);
    }
}

pub(super) fn epochs(epochs: &mut Vec<StoredEpoch>, input: &mut Input<'_>) {
    list(epochs, input);
    for epoch in epochs {
        epoch.tag = bytes(epoch.tag, input);
        number(&mut epoch.position, input);
        epoch.secret = bytes(epoch.secret, input);
    }
}

pub(super) fn outcome(outcome: &mut Outcome, input: &mut Input<'_>) {
    let refusals = [
        Refusal::Place,
        Refusal::Key,
        Refusal::Session,
        Refusal::Beginning,
    ];
    match (input.flag(), outcome) {
        (false, Outcome::Done { head }) => place(head, input),
        (_, outcome) => *outcome = Outcome::Refused(*input.pick(&refusals)),
    }
}

pub(super) fn rows(rows: &mut Option<Vec<SessionRow>>, input: &mut Input<'_>) {
    if input.byte() == 255 {
        *rows = None;
    }
    let Some(rows) = rows else { return };
    list(rows, input);
    for row in rows {
        session_row(row, input);
    }
}

pub(super) fn session_row(row: &mut SessionRow, input: &mut Input<'_>) {
    row.rotated_at = time(row.rotated_at, input);
    let row = &mut row.row;
    row.id = RowId::from_bytes(bytes(*row.id.as_bytes(), input));
    row.user = bytes(row.user, input);
    row.version = RowVersion::from_bytes(bytes(*row.version.as_bytes(), input));
    row.expires_at = time(row.expires_at, input);
    body(&mut row.body, input);
}

pub(super) fn receipts(receipts: &mut Vec<Receipt>, input: &mut Input<'_>) {
    list(receipts, input);
    for receipt in receipts {
        receipt.received_at = time(receipt.received_at, input);
        let mut staleness = receipt.heartbeat.max_staleness.as_millis() as u64;
        number(&mut staleness, input);
        receipt.heartbeat.max_staleness = Duration::from_millis(staleness);
        if let Some(applied) = &mut receipt.heartbeat.applied {
            place(applied, input);
        }
    }
}
