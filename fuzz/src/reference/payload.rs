//! Section 3: the form of a payload.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{decode, encode};

/// What a payload says. Two that say the same are written alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) user: String,
    pub(crate) session: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) authenticated_at: Option<u64>,
    pub(crate) token_id: String,
    pub(crate) seal: [u8; 16],
    /// Names, and values as they are written.
    pub(crate) claims: Vec<(String, String)>,
}

impl Payload {
    /// `None` for anything that is not of the form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let Members(members) = serde_json::from_str(text).ok()?;
        let mut members = members.into_iter().peekable();
        let mut next = |name: &str| {
            let member = members.next_if(|(found, _)| found == name);
            member.map(|(_, value)| value)
        };
        let payload = Self {
            issuer: id(&next("iss")?)?,
            audience: id(&next("aud")?)?,
            user: id(&next("sub")?)?,
            session: match next("sid") {
                Some(value) => Some(id(&value)?),
                None => None,
            },
            groups: match next("grp") {
                Some(value) => groups(&value)?,
                None => Vec::new(),
            },
            issued_at: integer(&next("iat")?)?,
            expires_at: integer(&next("exp")?)?,
            authenticated_at: match next("auth_time") {
                Some(value) => Some(integer(&value)?),
                None => None,
            },
            token_id: id(&next("jti")?)?,
            seal: seal(&next("seal")?)?,
            claims: members.collect(),
        };
        // As it went in: no escapes in names, no white space around anything.
        let is_canonical = payload.to_json() == text
            && payload.authenticated_at <= Some(payload.issued_at)
            && are_claims(&payload.claims);
        is_canonical.then_some(payload)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut json = format!(
            r#"{{"iss":"{}","aud":"{}","sub":"{}""#,
            self.issuer, self.audience, self.user
        );
        if let Some(session) = &self.session {
            json += &format!(r#","sid":"{session}""#);
        }
        if !self.groups.is_empty() {
            json += &format!(r#","grp":["{}"]"#, self.groups.join(r#"",""#));
        }
        json += &format!(r#","iat":{},"exp":{}"#, self.issued_at, self.expires_at);
        if let Some(time) = self.authenticated_at {
            json += &format!(r#","auth_time":{time}"#);
        }
        let seal = encode(self.seal);
        json += &format!(r#","jti":"{}","seal":"{seal}""#, self.token_id);
        for (name, value) in &self.claims {
            json += &format!(r#","{name}":{value}"#);
        }
        json + "}"
    }

    /// The application's claims alone, as an object.
    pub(crate) fn claims_json(&self) -> String {
        let claims = self.claims.iter();
        let members: Vec<_> = claims
            .map(|(name, value)| format!(r#""{name}":{value}"#))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Section 4: kinds and ids, in the order of the seal.
    pub(crate) fn scopes(&self) -> Vec<(u8, String)> {
        let user = [(1, self.user.clone())].into_iter();
        let session = self.session.iter().map(|id| (2, id.clone()));
        let groups = self.groups.iter().map(|name| (3, name.clone()));
        user.chain(session).chain(groups).collect()
    }
}

/// Whether an application may add these claims.
pub(crate) fn are_claims(claims: &[(String, String)]) -> bool {
    let names: HashSet<_> = claims.iter().map(|(name, _)| name).collect();
    names.len() == claims.len()
        && claims.len() <= 64
        && names.iter().all(|name| is_id(name) && !is_registered(name))
        && claims.iter().all(|(_, value)| is_value(value))
}

/// The members of a JSON object, all of them, with their values as they are written.
pub(crate) struct Members(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(Members(members))
    }
}

pub(crate) fn is_id(id: &str) -> bool {
    let is_forbidden = |c: char| c.is_control() || c == '"' || c == '\\';
    (1..=255).contains(&id.len()) && !id.chars().any(is_forbidden)
}

fn is_registered(name: &str) -> bool {
    let name = name.replace('\u{17f}', "s").to_ascii_lowercase();
    let registered = [
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
    ];
    registered.contains(&&name[..])
}

/// An id between quotes.
fn id(value: &str) -> Option<String> {
    let id = value.strip_prefix('"')?.strip_suffix('"')?;
    is_id(id).then(|| id.to_owned())
}

fn groups(value: &str) -> Option<Vec<String>> {
    let values: Vec<&RawValue> = serde_json::from_str(value).ok()?;
    let groups: Option<Vec<_>> = values.iter().map(|value| id(value.get())).collect();
    let groups = groups?;
    let different: HashSet<_> = groups.iter().collect();
    ((1..=8).contains(&groups.len()) && different.len() == groups.len()).then_some(groups)
}

fn integer(value: &str) -> Option<u64> {
    let number: u64 = value.parse().ok()?;
    (number.to_string() == value).then_some(number)
}

fn seal(value: &str) -> Option<[u8; 16]> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    decode(text.as_bytes())?.try_into().ok()
}

/// That it is JSON is known: whether it is without white space outside strings, and not too deep.
fn is_value(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b' ' | b'\t' | b'\n' | b'\r' => return false,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth > 126 {
            return false;
        }
    }
    true
}
