//! The claims that the application adds to a token.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{canonical, json};
use crate::{
    IssueError,
    id::{check_id, quoted_id_length},
};

/// The most claims of its own that an application may add at the top level. It
/// bounds the work of finding two with the same name.
const MAX_CLAIMS: usize = 64;

/// A JSON object's members as they stand behind the seal, from the comma to the
/// closing brace.
///
/// Their names are unique, valid ids, and none of them is the token's own.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApplicationClaims(String);

impl ApplicationClaims {
    pub(crate) fn none() -> Self {
        Self("}".to_owned())
    }

    pub(crate) fn of<C: Serialize + ?Sized>(claims: &C) -> Result<Self, IssueError> {
        let json = serde_json::to_string(claims).map_err(not_serializable)?;
        let Some(members) = json.strip_prefix('{') else {
            return Err(IssueError::ClaimsNotAnObject);
        };
        if members == "}" {
            return Ok(Self::none());
        }
        let tail = format!(",{members}");
        match check_members(tail.as_bytes()) {
            Some(()) => Ok(Self(tail)),
            None => Err(what_is_wrong(&json)),
        }
    }

    /// What [`tail`](Self::tail) gave.
    pub(crate) fn of_tail(tail: String) -> Option<Self> {
        check_members(tail.as_bytes()).map(|()| Self(tail))
    }

    pub(crate) fn tail(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApplicationClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplicationClaims({} bytes)", self.0.len())
    }
}

fn not_serializable(error: serde_json::Error) -> IssueError {
    IssueError::Claims(error.into())
}

/// Whether `members` may stand between the seal and the end of a payload: from the
/// first comma to the closing brace, compact JSON under names that are ids, none of
/// them registered and no two alike. Uses no heap.
pub(super) fn check_members(members: &[u8]) -> Option<()> {
    let mut names = [&[][..]; MAX_CLAIMS];
    let mut rest = members;
    for count in 0.. {
        if rest == b"}" {
            return Some(());
        }
        rest = rest.strip_prefix(b",\"")?;
        // An id, so without escapes: one could be any other name in disguise.
        let (name, behind) = rest.split_at_checked(quoted_id_length(rest)?)?;
        if canonical::is_registered(name) || names.get(..count)?.contains(&name) {
            return None;
        }
        *names.get_mut(count)? = name;
        rest = behind.strip_prefix(b"\":")?;
        rest = rest.get(json::value_length(rest)?..)?;
    }
    None
}

/// Why the members of this object did not pass.
fn what_is_wrong(json: &str) -> IssueError {
    let names: Names = match serde_json::from_str(json) {
        Ok(names) => names,
        Err(error) => return not_serializable(error),
    };
    if names.0.len() > MAX_CLAIMS {
        let claims = names.0.len();
        return IssueError::TooManyClaims { claims };
    }
    let mut seen = HashSet::new();
    for name in names.0 {
        if canonical::is_registered(name.as_bytes()) {
            return IssueError::RegisteredClaim { name };
        }
        if let Err(source) = check_id(&name) {
            return IssueError::InvalidClaimName { name, source };
        }
        if let Some(name) = seen.replace(name) {
            return IssueError::DuplicateClaim { name };
        }
    }
    // Only a type that writes raw JSON, or nests very deep, gets here.
    IssueError::ClaimsNotCompact
}

/// The names of an object's members, repeated ones included.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor).map(Names)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_become_members() {
        assert_eq!(
            ApplicationClaims::of(&json!({})).unwrap(),
            ApplicationClaims::none()
        );
        let claims = ApplicationClaims::of(&json!({"role": "ed\"itor", "n": [1, {}]})).unwrap();
        assert_eq!(claims.tail(), r#","n":[1,{}],"role":"ed\"itor"}"#);
    }

    #[test]
    fn names_are_checked() {
        let of = |value| ApplicationClaims::of(&value).unwrap_err().label();
        let others = ["Sub", "SUB", "ExP", "i\u{17f}\u{17f}", "\u{17f}ub"];
        for name in canonical::REGISTERED.into_iter().chain(others) {
            assert_eq!(of(json!({"a": 1, name: 1})), "registered_claim", "{name}");
        }
        assert_eq!(of(json!({"": 1})), "invalid_claim_name");
        assert_eq!(of(json!({"a\\b": 1})), "invalid_claim_name");
        assert_eq!(of(json!({"a\nb": 1})), "invalid_claim_name");
        for not_an_object in [json!(null), json!(1), json!("x"), json!([]), json!([{}])] {
            assert_eq!(of(not_an_object), "claims_not_an_object");
        }
    }

    /// Serializes as an object with these members, repeated or not.
    struct Pairs(&'static [(&'static str, u32)]);

    impl Serialize for Pairs {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }

    #[test]
    fn repeated_names_are_refused() {
        assert!(ApplicationClaims::of(&Pairs(&[("a", 1), ("b", 2)])).is_ok());
        let error = ApplicationClaims::of(&Pairs(&[("a", 1), ("b", 2), ("a", 3)])).unwrap_err();
        assert_eq!(error.label(), "duplicate_claim");
    }

    #[test]
    fn at_most_64() {
        let claims = |count: usize| {
            let names = (0..count).map(|n| format!("n-{n}"));
            names
                .map(|name| (name, 1))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        assert!(ApplicationClaims::of(&claims(64)).is_ok());
        let error = ApplicationClaims::of(&claims(65)).unwrap_err();
        assert_eq!(error.label(), "too_many_claims");
        // 64 of which one is wrong are not too many.
        let mut claims = claims(63);
        claims.insert("sub".to_owned(), 1);
        let error = ApplicationClaims::of(&claims).unwrap_err();
        assert_eq!(error.label(), "registered_claim");
    }

    #[test]
    fn raw_json_must_be_compact() {
        let of = |json: &str| {
            let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
            ApplicationClaims::of(&raw)
        };
        assert_eq!(
            of(r#"{"a":{"b":[1]}}"#).unwrap().tail(),
            r#","a":{"b":[1]}}"#
        );
        for spaced in [
            r#"{"a":1, "b":2}"#,
            r#"{ "a":1}"#,
            r#"{"a" :1}"#,
            r#"{"a":1 }"#,
            r#"{"a":[1, 2]}"#,
            "{\"a\":1\n}",
            r#"{"\u0061":1}"#,
            r#"{ }"#,
        ] {
            assert_eq!(
                of(spaced).unwrap_err().label(),
                "claims_not_compact",
                "{spaced}"
            );
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127));
        assert_eq!(of(&deep).unwrap_err().label(), "claims_not_compact");
    }

    #[test]
    fn what_cannot_be_serialized_is_refused() {
        let unserializable = std::collections::HashMap::from([(vec![1], 1)]);
        assert_eq!(
            ApplicationClaims::of(&unserializable).unwrap_err().label(),
            "claims"
        );
    }
}
