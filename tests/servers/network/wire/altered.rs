//! Replies in their shape, with other values.

use super::{message, messages};
use crate::random::Random;

/// How an array of bytes goes on after the number of its dimensions.
const OF_BYTES: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 17];

/// The reply with at least one other value, if it has any. Otherwise some byte is another.
pub(crate) fn altered(reply: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut all: Vec<(u8, Vec<u8>)> = messages(reply)
        .into_iter()
        .map(|(tag, body)| (tag, body.to_vec()))
        .collect();
    let rows: Vec<usize> = (0..all.len()).filter(|&at| all[at].0 == b'D').collect();
    if rows.is_empty() || random.chance(20) {
        any_byte(&mut all, &mut random);
    } else {
        for _ in 0..=random.below(3) {
            let at = *random.pick(&rows);
            all[at].1 = other_row(&all[at].1, &mut random);
        }
    }
    match random.below(8) {
        // Once more, or not at all, or before another.
        0 if !rows.is_empty() => {
            let at = *random.pick(&rows);
            let again = all[at].clone();
            all.insert(at, again);
        }
        1 if !rows.is_empty() => drop(all.remove(*random.pick(&rows))),
        2 if rows.len() > 1 => {
            let (one, other) = (*random.pick(&rows), *random.pick(&rows));
            all.swap(one, other);
        }
        _ => {}
    }
    all.iter()
        .flat_map(|(tag, body)| message(*tag, body))
        .collect()
}

fn any_byte(all: &mut [(u8, Vec<u8>)], random: &mut Random) {
    if all.is_empty() {
        return;
    }
    let at = random.below(all.len());
    let (tag, body) = &mut all[at];
    if body.is_empty() {
        *tag = *random.pick(b"123ACDEINRSTZnst");
    } else {
        let at = random.below(body.len());
        body[at] ^= 1 << random.below(8);
    }
}

/// A row with one other value.
fn other_row(body: &[u8], random: &mut Random) -> Vec<u8> {
    let Some((count, mut rest)) = body.split_at_checked(2) else {
        return body.to_vec();
    };
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let (value, after) = after.split_at(usize::try_from(length).unwrap_or(0));
        values.push((length >= 0).then(|| value.to_vec()));
        rest = after;
    }
    if !values.is_empty() {
        let at = random.below(values.len());
        values[at] = other_value(values[at].take(), random);
    }
    let mut body = count.to_vec();
    for value in values {
        match value {
            None => body.extend([0xff; 4]),
            Some(value) => {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value);
            }
        }
    }
    body
}

fn other_value(value: Option<Vec<u8>>, random: &mut Random) -> Option<Vec<u8>> {
    let Some(mut value) = value else {
        return Some(vec![1; *random.pick(&[0, 1, 4, 8, 12, 16])]);
    };
    if value.get(4..12) == Some(&OF_BYTES) {
        let many = random.pick(&[i32::MAX, i32::MAX, -1, 0]).to_be_bytes();
        let rest = value.get(16..).unwrap_or(&[0, 0, 0, 1]);
        return Some([&[0, 0, 0, 1], &OF_BYTES[..], &many, rest].concat());
    }
    match random.below(6) {
        0 => return None,
        1 => value.clear(),
        2 if value.len() == 8 => {
            let numbers = [-1, 0, 1, i64::MAX, i64::MIN, 1 << 53, 1 << 32];
            value = random.pick(&numbers).to_be_bytes().to_vec();
        }
        3 => value.extend_from_within(..),
        4 if !value.is_empty() => {
            let at = random.below(value.len());
            value[at] ^= 1 << random.below(8);
        }
        _ => value.truncate(value.len().saturating_sub(1)),
    }
    Some(value)
}
