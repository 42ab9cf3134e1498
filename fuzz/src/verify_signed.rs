//! What passes under a correct signature: hostile payloads, and odd spellings of good ones.

use super::{
    input::Input,
    known::{AUDIENCE, ISSUER, Known, NOW},
    reference::{Key, Payload, encode},
    verify::assert_agree,
};

thread_local! {
    static KNOWN: Known = Known::new();
}

/// A payload of any bytes, signed, and sealed if it has the place for it, is good for the crate
/// if it is for the reference, and says the same to both.
///
/// The first byte chooses the ring key, whether the seal is put right, and whether what
/// follows is the payload or how a good one is altered; the second, how it is spelt.
pub fn check(data: &[u8]) {
    KNOWN.with(|known| {
        let mut input = Input::new(data);
        let (choices, spelling) = (input.byte(), input.byte());
        let key = &known.state.keys[usize::from(choices & 1)];
        let mut payload = match choices & 4 {
            0 => input.rest().to_vec(),
            _ => known.altered(key, &mut input),
        };
        if choices & 2 == 0 {
            payload = known.sealed(key, payload);
        }
        let encoded = spell(encode(payload), spelling & 7);
        let signed = key.sign(&encoded);
        let (input, signature) = signed.rsplit_once('.').unwrap();
        let signature = spell(signature.to_owned(), spelling >> 3 & 7);
        let token = format!("{input}.{signature}");
        // Twice and more, for the thread remembers tokens.
        for _ in 0..3 {
            let ours = known.authority.verify(&token);
            assert_agree(&ours, &known.state.verify(token.as_bytes()));
            if let Ok(verified) = ours {
                assert_eq!(known.authority.recheck(&verified), Ok(()));
            }
        }
    });
}

impl Known {
    /// A good payload with one of everything, altered as the input says.
    fn altered(&self, key: &Key, input: &mut Input<'_>) -> Vec<u8> {
        let users = ["u-42", "u-late", "u-early", "ü"];
        let mut payload = Payload {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            user: (*input.pick(&users)).to_owned(),
            session: Some("s-1".to_owned()),
            groups: vec!["g-late".to_owned(), "g".to_owned()],
            issued_at: NOW,
            expires_at: NOW + 900,
            authenticated_at: Some(NOW),
            token_id: "t-1".to_owned(),
            seal: [0; 16],
            claims: vec![("role".to_owned(), r#"["a",{"b":1}]"#.to_owned())],
        };
        payload.seal = self.state.seal(key, &payload);
        let mut json = payload.to_json().into_bytes();
        input.edit(&mut json);
        json
    }

    /// The payload with the right seal, if it has the form.
    fn sealed(&self, key: &Key, payload: Vec<u8>) -> Vec<u8> {
        match Payload::parse(&payload) {
            Some(mut payload) => {
                payload.seal = self.state.seal(key, &payload);
                payload.to_json().into_bytes()
            }
            None => payload,
        }
    }
}

/// The same bytes in another base64, or almost.
fn spell(mut text: String, how: u8) -> String {
    match how {
        1 => text.push('='),
        2 => text.push('\n'),
        3 => text = text.replace('-', "+").replace('_', "/"),
        // The last bits of the last character, which stand for nothing in two of three lengths.
        4 | 5 => {
            let last = text.pop().unwrap_or('A');
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let index = alphabet.find(last).unwrap_or(0) ^ usize::from(how - 3);
            text.extend(alphabet.chars().nth(index));
        }
        6 => drop(text.pop()),
        7 => text.push('A'),
        _ => {}
    }
    text
}
