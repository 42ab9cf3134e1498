//! Well signed but wrong: payloads under a correct signature and, where there is
//! one to compute, a correct seal.

mod seals;
mod structure;
mod values;

use epochkey::{Authority, Scope, VerifyError, testing::ManualClock};

use crate::support::*;

struct Target {
    authority: Authority,
    clock: ManualClock,
    forger: Forger,
    /// A canonical payload with every member, correctly sealed.
    payload: String,
}

fn target() -> Target {
    let (authority, clock) = authority();
    let forger = Forger::of(&authority);
    let scopes = [
        Scope::user("u-42"),
        Scope::session(&"s-1".parse().unwrap()),
        Scope::group("org"),
        Scope::group("role"),
    ];
    let payload = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"u-42","sid":"s-1","grp":["org","role"],"iat":{START},"exp":{},"auth_time":{START},"jti":"t-1","seal":"{}","role":"editor"}}"#,
        START + 900,
        forger.seal(&authority, &scopes),
    );
    let target = Target {
        authority,
        clock,
        forger,
        payload,
    };
    assert_eq!(
        target.outcome(&target.payload),
        Ok(()),
        "the forger forges well"
    );
    target
}

impl Target {
    fn outcome(&self, payload: impl AsRef<[u8]>) -> Result<(), VerifyError> {
        self.authority.verify(self.forger.sign(payload)).map(|_| ())
    }

    /// The payload with one part replaced.
    fn with(&self, old: &str, new: &str) -> String {
        assert!(self.payload.contains(old), "{old}");
        self.payload.replacen(old, new, 1)
    }

    #[track_caller]
    fn refuses(&self, old: &str, new: &str, error: VerifyError) {
        assert_eq!(
            self.outcome(self.with(old, new)),
            Err(error),
            "{old} -> {new}"
        );
    }

    #[track_caller]
    fn malformed(&self, old: &str, new: &str) {
        self.refuses(old, new, VerifyError::Malformed);
    }

    /// The members as `"name":value` texts.
    fn members(&self) -> Vec<String> {
        let inner = self.payload.trim_matches(['{', '}']);
        let inner = inner.replace(r#"["org","role"]"#, "GRP");
        inner
            .split(',')
            .map(|m| m.replace("GRP", r#"["org","role"]"#))
            .collect()
    }
}
