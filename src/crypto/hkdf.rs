use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use super::Secret;

/// `N` bytes of HKDF-SHA256 (RFC 5869). An empty salt is no salt.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "more than HKDF gives") };
    let mut bytes = Zeroizing::new([0; N]);
    #[expect(
        clippy::expect_used,
        reason = "fails only for more than 255 * 32 bytes, which does not compile"
    )]
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], Length(N))
        .and_then(|output| output.fill(&mut *bytes))
        .expect("HKDF gives this many bytes");
    Secret(bytes)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::unhex;

    #[test]
    fn rfc_5869_a_1() {
        let output = hkdf::<42>(
            &unhex("000102030405060708090a0b0c"),
            &[0x0b; 22],
            &unhex("f0f1f2f3f4f5f6f7f8f9"),
        );
        assert_eq!(
            output.expose().to_vec(),
            unhex(
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                 34007208d5b887185865"
            )
        );
    }

    #[test]
    fn rfc_5869_a_2() {
        let bytes = |first: u8, last: u8| (first..=last).collect::<Vec<_>>();
        let output = hkdf::<82>(&bytes(0x60, 0xaf), &bytes(0, 0x4f), &bytes(0xb0, 0xff));
        assert_eq!(
            output.expose().to_vec(),
            unhex(
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
                 59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
                 cc30c58179ec3e87c14c01d5c1f3434f1d87"
            )
        );
    }

    #[test]
    fn rfc_5869_a_3_without_salt() {
        assert_eq!(
            hkdf::<42>(b"", &[0x0b; 22], b"").expose().to_vec(),
            unhex(
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                 9d201395faa4b61a96c8"
            )
        );
    }
}
