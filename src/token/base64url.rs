//! base64url without padding (RFC 4648 section 5, RFC 7515 section 2), decoded strictly.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the encoding of `bytes` to `text`.
pub(crate) fn encode_onto(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// How many bytes `length` characters decode to.
pub(crate) fn decoded_length(length: usize) -> usize {
    length / 4 * 3 + (length % 4 * 3) / 4
}

/// Decodes `text` so that it fills `bytes` exactly.
///
/// `None` for padding, white space, the standard alphabet, bits set beyond the
/// last byte, or any other length.
#[must_use]
pub(crate) fn decode_exact(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if decoded_length(text.len()) != bytes.len() {
        return None;
    }
    let written = URL_SAFE_NO_PAD.decode_slice(text, bytes).ok()?;
    (written == bytes.len()).then_some(())
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
            let mut appended = String::new();
            encode_onto(&bytes, &mut appended);
            prop_assert_eq!(&text, &appended);
            prop_assert_eq!(decode(&text), Some(bytes));
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
