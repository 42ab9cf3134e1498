//! `Authority::verify` and `Authority::explain`, given any bytes.

use super::{input::Input, known::Known, reference::Payload};
use epochkey::{Verified, VerifyError};

thread_local! {
    static KNOWN: Known = Known::new();
}

/// Tokens that the authority has not issued are refused, whatever they are like, and in the
/// step that the reference says. Behind a `!`, the bytes say how a token that was issued is
/// altered; otherwise they are the token.
pub fn check(data: &[u8]) {
    KNOWN.with(|known| {
        let mut input = Input::new(data);
        match input.byte() {
            b'!' => known.check_altered(&mut input),
            _ => known.check(data),
        }
    });
}

impl Known {
    fn check_altered(&self, input: &mut Input<'_>) {
        let good = input.pick(&self.tokens);
        // So that the thread remembers it, which must not help what is like it.
        for _ in 0..3 {
            self.check(good.as_ref());
        }
        let mut token = good.as_ref().to_vec();
        input.edit(&mut token);
        self.check(&token);
    }

    /// Both verifiers say the same of a token, and only of one that was issued that it is good.
    fn check(&self, token: &[u8]) {
        let ours = self.authority.verify(token);
        let theirs = self.state.verify(token);
        assert_agree(&ours, &theirs);
        let was_issued = self.tokens.iter().any(|issued| issued.as_ref() == token);
        assert!(ours.is_err() || was_issued, "forged");
        let explanation = self.authority.explain(token);
        let failed = explanation.failure().map(|(_, error)| error.label());
        assert_eq!(failed, theirs.as_ref().err().copied(), "explain");
        assert!(!explanation.to_string().is_empty());
        if let Ok(verified) = &ours {
            assert_eq!(self.authority.recheck(verified), Ok(()));
        }
    }
}

/// They have the same outcome, and if the token is good, say the same of it.
pub(crate) fn assert_agree(
    ours: &Result<Verified, VerifyError>,
    theirs: &Result<Payload, &'static str>,
) {
    let outcome = ours.as_ref().map(drop).map_err(VerifyError::label);
    assert_eq!(outcome, theirs.as_ref().map(drop).map_err(|label| *label));
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        assert_says(ours, theirs);
    }
}

/// All that can be read from one is what the other says.
fn assert_says(ours: &Verified, theirs: &Payload) {
    let seconds = |time: std::time::SystemTime| {
        let since = time.duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let session = ours.session();
    assert_eq!(ours.issuer(), theirs.issuer);
    assert_eq!(ours.audience(), theirs.audience);
    assert_eq!(ours.user(), theirs.user);
    assert_eq!(
        session.as_ref().map(|id| id.as_str()),
        theirs.session.as_deref()
    );
    assert!(ours.groups().eq(theirs.groups.iter()), "groups");
    assert!(theirs.groups.iter().all(|name| ours.in_group(name)));
    assert_eq!(seconds(ours.issued_at()), theirs.issued_at);
    assert_eq!(seconds(ours.expires_at()), theirs.expires_at);
    assert_eq!(
        ours.authenticated_at().map(seconds),
        theirs.authenticated_at
    );
    assert_eq!(ours.token_id(), theirs.token_id);
    let claims: &serde_json::value::RawValue = ours.claims().unwrap();
    assert_eq!(claims.get(), theirs.claims_json());
}
