//! The claims that the application adds to a token.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{canonical, scanner::is_canonical_tail};
use crate::{IssueError, id::check_id};

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
        let names: Names = serde_json::from_str(&json).map_err(not_serializable)?;
        check_names(names.0)?;
        let tail = match members {
            "}" => Self::none(),
            members => Self(format!(",{members}")),
        };
        // Only a type that writes raw JSON gets here with text that is not.
        if !is_canonical_tail(&tail.0) {
            return Err(IssueError::ClaimsNotCompact);
        }
        Ok(tail)
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

fn check_names(names: Vec<String>) -> Result<(), IssueError> {
    let mut seen = HashSet::with_capacity(names.len());
    for name in names {
        if canonical::is_registered(name.as_bytes()) {
            return Err(IssueError::RegisteredClaim { name });
        }
        if let Err(source) = check_id(&name) {
            return Err(IssueError::InvalidClaimName { name, source });
        }
        if let Some(name) = seen.replace(name) {
            return Err(IssueError::DuplicateClaim { name });
        }
    }
    Ok(())
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
        for name in [
            "iss",
            "aud",
            "sub",
            "sid",
            "grp",
            "iat",
            "exp",
            "auth_time",
            "jti",
            "seal",
            "nbf",
            "client_id",
        ] {
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
    fn what_cannot_be_serialized_is_refused() {
        let unserializable = std::collections::HashMap::from([(vec![1], 1)]);
        assert_eq!(
            ApplicationClaims::of(&unserializable).unwrap_err().label(),
            "claims"
        );
    }
}
