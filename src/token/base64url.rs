//! base64url without padding (RFC 4648 section 5, RFC 7515 section 2), decoded strictly.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the encoding of `bytes` to `text`. Not the library's: see [`decode_exact`].
pub(crate) fn encode_onto(bytes: &[u8], text: &mut Vec<u8>) {
    let character = |bits: u32| ALPHABET[(bits & 0x3f) as usize];
    let four = |bits: u32| [bits >> 18, bits >> 12, bits >> 6, bits].map(character);
    let (threes, last) = bytes.as_chunks::<3>();
    let begin = text.len();
    text.resize(begin + threes.len() * 4, 0);
    let (fours, _) = text[begin..].as_chunks_mut::<4>();
    for ([a, b, c], characters) in threes.iter().zip(fours) {
        *characters = four(u32::from_be_bytes([0, *a, *b, *c]));
    }
    match *last {
        [a] => text.extend_from_slice(&four(u32::from_be_bytes([0, a, 0, 0]))[..2]),
        [a, b] => text.extend_from_slice(&four(u32::from_be_bytes([0, a, b, 0]))[..3]),
        _ => {}
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many bytes `length` characters decode to.
pub(crate) fn decoded_length(length: usize) -> usize {
    length / 4 * 3 + (length % 4 * 3) / 4
}

/// Decodes `text` so that it fills `bytes` exactly.
///
/// `None` for padding, white space, the standard alphabet, bits set beyond the
/// last byte, or any other length. What `bytes` holds then means nothing.
///
/// Most of what a verify does besides its MACs is this, so it is not the library's, which takes
/// nearly twice as long.
#[must_use]
pub(crate) fn decode_exact(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if decoded_length(text.len()) != bytes.len() || text.len() % 4 == 1 {
        return None;
    }
    let (eights, rest) = text.as_chunks::<8>();
    let (sixes, end) = bytes.as_chunks_mut::<6>();
    let mut all = 0;
    for ([a, b, c, d, e, f, g, h], six) in eights.iter().zip(sixes) {
        let (high, low) = (bits([*a, *b, *c, *d]), bits([*e, *f, *g, *h]));
        all |= high | low;
        let both = u64::from(high) << 24 | u64::from(low & 0x00ff_ffff);
        let [_, _, decoded @ ..] = both.to_be_bytes();
        *six = decoded;
    }
    let (fours, last) = rest.as_chunks::<4>();
    let (threes, end) = end.as_chunks_mut::<3>();
    for (four, three) in fours.iter().zip(threes) {
        let four = bits(*four);
        all |= four;
        let [_, decoded @ ..] = four.to_be_bytes();
        *three = decoded;
    }
    // `A` stands for zeros, which what is beyond the last byte must be.
    let beyond = match (last, end) {
        ([a, b], [first]) => {
            let four = bits([*a, *b, b'A', b'A']);
            *first = (four >> 16) as u8;
            four & !0x00ff_0000
        }
        ([a, b, c], [first, second]) => {
            let four = bits([*a, *b, *c, b'A']);
            [*first, *second] = [(four >> 16) as u8, (four >> 8) as u8];
            four & !0x00ff_ff00
        }
        _ => 0,
    };
    (all & FOREIGN == 0 && beyond == 0).then_some(())
}

/// The 24 bits of four characters, and [`FOREIGN`] if one is not in the alphabet.
#[inline(always)]
fn bits([a, b, c, d]: [u8; 4]) -> u32 {
    let [first, second, third, fourth] = &SEXTETS;
    let of = |sextets: &[u32; 256], character: u8| sextets[usize::from(character)];
    of(first, a) | of(second, b) | of(third, c) | of(fourth, d)
}

const FOREIGN: u32 = 1 << 31;

/// What each character stands for as the first, second, third and fourth of four.
static SEXTETS: [[u32; 256]; 4] = [
    sextets_above(18),
    sextets_above(12),
    sextets_above(6),
    sextets_above(0),
];

const fn sextets_above(bits: u32) -> [u32; 256] {
    let mut sextets = [FOREIGN; 256];
    let mut character = 0;
    while character < sextets.len() {
        if let Some(sextet) = sextet(character as u8) {
            sextets[character] = (sextet as u32) << bits;
        }
        character += 1;
    }
    sextets
}

const fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> Option<Vec<u8>> {
        let mut bytes = vec![0; decoded_length(text.len())];
        decode_exact(text.as_bytes(), &mut bytes).map(|()| bytes)
    }

    #[test]
    fn rfc_7515_appendix_c() {
        let bytes = [3, 236, 255, 224, 193];
        assert_eq!(encode(&bytes), "A-z_4ME");
        assert_eq!(decode("A-z_4ME").as_deref(), Some(&bytes[..]));
    }

    /// At every place of a block and of what is left behind it.
    #[test]
    fn each_character_everywhere() {
        for length in (0..40).filter(|length| length % 4 != 1) {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'A'; length];
                    text[at] = byte;
                    let mut bytes = vec![0; decoded_length(length)];
                    let ours = decode_exact(&text, &mut bytes).map(|()| bytes);
                    assert_eq!(ours, URL_SAFE_NO_PAD.decode(&text).ok(), "{byte} at {at}");
                }
            }
        }
    }

    #[test]
    fn only_the_one_spelling() {
        for wrong in [
            "A+z/4ME",
            "A-z_4ME=",
            "A-z_4MF",
            "A-z_4M",
            "A-z_4",
            " A-z_4ME",
            "A-z_4ME\n",
            "A-z_ 4ME",
            "A-z.4ME",
            "A-z_4M\u{e9}",
            "A",
        ] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
        assert_eq!(decode("").as_deref(), Some(&[][..]));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            let text = encode(&bytes);
            let mut appended = b"before".to_vec();
            encode_onto(&bytes, &mut appended);
            prop_assert_eq!(format!("before{text}").into_bytes(), appended);
            prop_assert_eq!(decode(&text), Some(bytes));
        }

        /// Whatever the text: as the library decodes it, which knows the same alphabet and is
        /// as strict.
        #[test]
        fn decodes_as_the_library_does(
            text in prop_oneof!["[A-Za-z0-9_-]{0,80}", "[A-Za-z0-9_=+/.-]{0,40}"],
            at: prop::sample::Index,
            other: Option<u8>,
        ) {
            let mut text = text.into_bytes();
            if let (Some(other), false) = (other, text.is_empty()) {
                let at = at.index(text.len());
                text[at] = other;
            }
            let mut bytes = vec![0; decoded_length(text.len())];
            let ours = decode_exact(&text, &mut bytes).map(|()| bytes);
            prop_assert_eq!(ours, URL_SAFE_NO_PAD.decode(&text).ok());
        }

        /// Two texts never decode to the same bytes.
        #[test]
        fn decoding_is_injective(text in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
