use std::{error, fmt};

/// The application's claims of a token are not what was asked for.
///
/// Returned by [`Verified::claims`](crate::Verified::claims); the source is
/// serde_json's error.
#[derive(Debug)]
pub struct ClaimsError(pub(crate) serde_json::Error);

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the token's claims do not fit the type; make new fields optional while tokens \
             without them live",
        )
    }
}

impl error::Error for ClaimsError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.0)
    }
}
