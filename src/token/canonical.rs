//! The members of a payload as they are spelt: the writer and the scanner share them.

/// Each opens a member up to and including the quote of a string value.
pub(super) const ISSUER: &str = r#"{"iss":""#;
pub(super) const AUDIENCE: &str = r#","aud":""#;
pub(super) const USER: &str = r#","sub":""#;
pub(super) const SESSION: &str = r#","sid":""#;
pub(super) const GROUPS: &str = r#","grp":[""#;
pub(super) const NEXT_GROUP: &str = r#"",""#;
pub(super) const ISSUED_AT: &str = r#","iat":"#;
pub(super) const EXPIRES_AT: &str = r#","exp":"#;
pub(super) const AUTHENTICATED_AT: &str = r#","auth_time":"#;
pub(super) const TOKEN_ID: &str = r#","jti":""#;
pub(super) const SEAL: &str = r#","seal":""#;

/// The most groups a token may carry.
pub(crate) const MAX_GROUPS: usize = 8;

/// Names that an application may not give to claims of its own: the registered
/// block, and `nbf` and `client_id`, which other readers would act upon.
pub(super) const REGISTERED: [&str; 12] = [
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

/// Whether a reader could take `name` for a registered one.
///
/// Some compare names without regard to case (Go's encoding/json does, and takes
/// the last of two), by simple case folding: U+017F folds to `s`.
pub(super) fn is_registered(name: &[u8]) -> bool {
    if name.is_ascii() {
        let mut registered = REGISTERED.iter().map(|registered| registered.as_bytes());
        return registered.any(|registered| registered.eq_ignore_ascii_case(name));
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let folded = |name: char| match name {
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    };
    let is = |registered: &&str| registered.chars().eq(name.chars().map(folded));
    REGISTERED.iter().any(is)
}
