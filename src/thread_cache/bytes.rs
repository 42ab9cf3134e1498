//! Bytes taken eight at a time.

use std::hint::black_box;

/// Whether they are the same. The time it takes tells the length, and nothing of the bytes:
/// byte by byte, whoever can measure it would find the signature of a token.
///
/// `subtle` goes byte by byte too, and takes thirty times as long for a token.
pub(super) fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (ones, rest_of_one) = one.as_chunks::<8>();
    let (others, rest_of_other) = other.as_chunks::<8>();
    let differences = ones
        .iter()
        .zip(others)
        .map(|(one, other)| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other));
    let rest = rest_of_one
        .iter()
        .zip(rest_of_other)
        .map(|(one, other)| u64::from(one ^ other));
    let difference = differences.chain(rest).fold(0, |all, one| all | one);
    black_box(difference) == 0
}

/// A number for a place in a cache. Who knows the seed can make many bytes meet in one place,
/// and slow that thread down; nothing else depends on it.
pub(super) fn mixed(bytes: &[u8], seed: u64) -> u64 {
    /// Odd, and half of its bits are set: the fraction of the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    for (last, byte) in last.iter_mut().zip(rest) {
        *last = *byte;
    }
    let mut mixed = seed ^ (bytes.len() as u64);
    for chunk in chunks.iter().chain([&last]) {
        mixed = (mixed ^ u64::from_le_bytes(*chunk)).wrapping_mul(FACTOR);
        mixed ^= mixed >> 32;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_is_what_it_is(one: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            prop_assert!(equal(&one, &one.clone()));
            let mut longer = one.clone();
            longer.push(0);
            prop_assert!(!equal(&one, &longer) && !equal(&longer, &one));
            if !one.is_empty() {
                let mut other = one.clone();
                other[at.index(one.len())] ^= 1 << bit;
                prop_assert!(!equal(&one, &other));
            }
        }
    }

    /// Two differences do not make up for each other.
    #[test]
    fn equal_is_not_a_sum() {
        let one = [0; 21];
        for (first, second) in [(0, 8), (1, 2), (16, 17), (0, 16)] {
            let mut other = one;
            (other[first], other[second]) = (1, 1);
            assert!(!equal(&one, &other), "{first} {second}");
        }
    }

    #[test]
    fn places_are_spread_and_depend_on_the_seed() {
        let mut seen = HashSet::new();
        let mut places = HashSet::new();
        for number in 0..4096_u32 {
            let text = format!("user-{number:06}");
            let mixed = mixed(text.as_bytes(), 7);
            seen.insert(mixed);
            places.insert(mixed >> 57);
            assert_ne!(mixed, super::mixed(text.as_bytes(), 8));
        }
        assert_eq!((seen.len(), places.len()), (4096, 128));
        assert_ne!(mixed(b"", 1), mixed(b"\0", 1));
    }
}
