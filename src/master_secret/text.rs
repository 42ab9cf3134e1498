//! Secrets as text; the rule is that of [`MasterSecret`](super::MasterSecret)'s "As text".

use base64::{
    Engine, decoded_len_estimate,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

/// The bytes that `text` stands for, if it is hex or base64.
#[must_use]
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Hex that is too short must not pass for base64, of which every digit would
    // count six bits and hold four.
    if text.iter().all(u8::is_ascii_hexdigit) {
        decode_hex(text)
    } else {
        decode_base64(text)
    }
}

fn decode_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for &[high, low] in pairs {
        bytes.push(hex_digit(high)? << 4 | hex_digit(low)?);
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = match (url_safe, text.ends_with(b"=")) {
        (false, false) => STANDARD_NO_PAD,
        (false, true) => STANDARD,
        (true, false) => URL_SAFE_NO_PAD,
        (true, true) => URL_SAFE,
    };
    let mut bytes = Zeroizing::new(vec![0; decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn read(text: &str) -> Option<Vec<u8>> {
        decode(text.as_bytes()).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn hex() {
        assert_eq!(read("00fFa59C"), Some(vec![0x00, 0xff, 0xa5, 0x9c]));
        assert_eq!(read(""), Some(vec![]));
        for odd in ["0", "00f", &"0123456789abcdef".repeat(4)[1..]] {
            assert_eq!(read(odd), None, "{odd}");
        }
        // Valid base64 of 36 bytes, but only 24 are in it.
        assert_eq!(read(&"a5".repeat(24)), Some(vec![0xa5; 24]));
    }

    #[test]
    fn base64() {
        let bytes: Vec<u8> = [0xfb, 0xff].into_iter().chain(0..32).collect();
        let bare = "+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw";
        let url_safe = bare.replace("+/", "-_");
        for good in [
            bare,
            &format!("{bare}=="),
            &url_safe,
            &format!("{url_safe}=="),
        ] {
            assert_eq!(read(good).as_ref(), Some(&bytes), "{good:?}");
        }
        for wrong in [
            &format!("{bare}="),
            &format!("{bare}==="),
            &format!("={bare}="),
            &format!("{bare}\n"),
            &bare.replace("AAQ", "A\nAQ"),
            &bare.replace("+/", "-/"),
            &bare.replace("+/", "+_"),
            &bare.replace("Hw", "Hx"),
            &format!("{bare}=={bare}=="),
            &format!("\"{bare}\""),
            "correct horse battery staple",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_the_same_bytes(bytes in vec(any::<u8>(), 32..100)) {
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let decoded = read(&engine.encode(&bytes));
                prop_assert_eq!(decoded.as_ref(), Some(&bytes));
            }
        }

        #[test]
        fn any_bytes_are_a_value(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
