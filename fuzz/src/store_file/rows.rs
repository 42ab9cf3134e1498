//! Rows of the file, altered by somebody who has redb.

use redb::{Database, Key, ReadableTable, TableDefinition, Value, WriteTransaction};

use super::{super::input::Input, Content};

type Bytes16 = &'static [u8; 16];

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const HEAD: TableDefinition<(), (Bytes16, u64, Bytes16)> = TableDefinition::new("head");
const KEYS: TableDefinition<u64, (&[u8; 12], u64, &[u8])> = TableDefinition::new("keys");
const LOG: TableDefinition<u64, (Bytes16, u64, &[u8])> = TableDefinition::new("log");
const EPOCHS: TableDefinition<Bytes16, (u64, Bytes16)> = TableDefinition::new("epochs");
const SESSIONS: TableDefinition<Bytes16, (Bytes16, Bytes16, u64, u64, &[u8])> =
    TableDefinition::new("sessions");

/// What was altered.
pub(super) struct Altered {
    /// Whether what was revoked must stay so.
    pub(super) leaves_revocations: bool,
    /// Whether there are rows, but nothing says which history they belong to.
    pub(super) has_no_head: bool,
}

pub(super) fn alter(content: &Content, input: &mut Input<'_>) -> Altered {
    let database = Database::builder()
        .create_with_backend(content.clone())
        .unwrap();
    let transaction = database.begin_write().unwrap();
    let (mut leaves_revocations, mut has_no_head) = (true, false);
    for _ in 0..=input.byte() % 3 {
        let table = input.byte() % 6;
        let is_removed = input.byte().is_multiple_of(4);
        // Nothing else says what is revoked.
        leaves_revocations &= table != 1 && table != 2 && table != 4;
        has_no_head |= table == 1 && is_removed;
        match table {
            0 => alter_meta(&transaction, is_removed, input),
            1 => alter_head(&transaction, is_removed, input),
            2 => alter_key(&transaction, is_removed, input),
            3 => alter_event(&transaction, is_removed, input),
            4 => alter_epoch(&transaction, is_removed, input),
            _ => alter_session(&transaction, is_removed, input),
        }
    }
    transaction.commit().unwrap();
    Altered {
        leaves_revocations,
        has_no_head,
    }
}

/// The key of a row as it is owned, if there is any.
fn any_row<K: Key + 'static, V: Value + 'static, T>(
    table: &impl ReadableTable<K, V>,
    input: &mut Input<'_>,
    own: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> T,
) -> Option<T> {
    let rows = table.iter().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        own(key.value(), value.value())
    });
    let rows: Vec<T> = rows.collect();
    let index = if rows.is_empty() {
        return None;
    } else {
        input.index(rows.len())
    };
    rows.into_iter().nth(index)
}

fn edited(bytes: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    input.edit(&mut bytes);
    bytes
}

fn edited_id<const N: usize>(id: [u8; N], input: &mut Input<'_>) -> [u8; N] {
    let mut id = id;
    id[input.index(N)] ^= input.byte();
    id
}

fn edited_number(number: u64, input: &mut Input<'_>) -> u64 {
    match input.byte() % 5 {
        0 => number,
        1 => number.wrapping_add(1),
        2 => number.wrapping_sub(1),
        3 => u64::MAX - u64::from(input.byte()),
        _ => u64::from(input.byte()),
    }
}

fn alter_meta(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(META).unwrap();
    let own = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
    let Some((key, value)) = any_row(&table, input, own) else {
        return;
    };
    match is_removed {
        true => drop(table.remove(&key[..]).unwrap()),
        false => drop(table.insert(&key[..], &edited(&value, input)[..]).unwrap()),
    }
}

fn alter_head(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(HEAD).unwrap();
    let own = |(): (), (history, position, event): (&[u8; 16], u64, &[u8; 16])| {
        (*history, position, *event)
    };
    let Some((history, position, event)) = any_row(&table, input, own) else {
        return;
    };
    let history = edited_id(history, input);
    let fields = (
        &history,
        edited_number(position, input),
        &edited_id(event, input),
    );
    match is_removed {
        true => drop(table.remove(()).unwrap()),
        false => drop(table.insert((), fields).unwrap()),
    }
}

fn alter_key(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(KEYS).unwrap();
    let own = |position: u64, (id, time, record): (&[u8; 12], u64, &[u8])| {
        (position, *id, time, record.to_vec())
    };
    let Some((position, id, time, record)) = any_row(&table, input, own) else {
        return;
    };
    let (id, record) = (edited_id(id, input), edited(&record, input));
    let fields = (&id, edited_number(time, input), &record[..]);
    match is_removed {
        true => drop(table.remove(position).unwrap()),
        false => drop(
            table
                .insert(edited_number(position, input), fields)
                .unwrap(),
        ),
    }
}

fn alter_event(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(LOG).unwrap();
    let own = |position: u64, (id, time, body): (&[u8; 16], u64, &[u8])| {
        (position, *id, time, body.to_vec())
    };
    let Some((position, id, time, body)) = any_row(&table, input, own) else {
        return;
    };
    let (id, body) = (edited_id(id, input), edited(&body, input));
    let fields = (&id, edited_number(time, input), &body[..]);
    match is_removed {
        true => drop(table.remove(position).unwrap()),
        false => drop(
            table
                .insert(edited_number(position, input), fields)
                .unwrap(),
        ),
    }
}

fn alter_epoch(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(EPOCHS).unwrap();
    let own = |tag: &[u8; 16], (position, secret): (u64, &[u8; 16])| (*tag, position, *secret);
    let Some((tag, position, secret)) = any_row(&table, input, own) else {
        return;
    };
    let fields = (edited_number(position, input), &edited_id(secret, input));
    match is_removed {
        true => drop(table.remove(&tag).unwrap()),
        false => drop(table.insert(&tag, fields).unwrap()),
    }
}

fn alter_session(transaction: &WriteTransaction, is_removed: bool, input: &mut Input<'_>) {
    let mut table = transaction.open_table(SESSIONS).unwrap();
    type Fields<'a> = (&'a [u8; 16], &'a [u8; 16], u64, u64, &'a [u8]);
    let own = |id: &[u8; 16], (user, version, expiry, rotation, body): Fields<'_>| {
        (*id, *user, *version, [expiry, rotation], body.to_vec())
    };
    let Some((id, user, version, times, body)) = any_row(&table, input, own) else {
        return;
    };
    let [expiry, rotation] = times.map(|time| edited_number(time, input));
    let body = edited(&body, input);
    let (user, version) = (edited_id(user, input), edited_id(version, input));
    match is_removed {
        true => drop(table.remove(&id).unwrap()),
        false => drop(
            table
                .insert(&id, (&user, &version, expiry, rotation, &body[..]))
                .unwrap(),
        ),
    }
}
