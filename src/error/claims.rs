use std::{error, fmt, sync::Arc};

/// The application's claims cannot be turned into JSON, or back into the type asked for.
///
/// The source is serde_json's error, which names the field.
#[derive(Debug, Clone)]
pub struct ClaimsError(Arc<serde_json::Error>);

impl ClaimsError {
    /// A short fixed name for metrics and logs: `claims`.
    pub fn label(&self) -> &'static str {
        "claims"
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims do not fit between JSON and their type")
    }
}

impl error::Error for ClaimsError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<serde_json::Error> for ClaimsError {
    fn from(error: serde_json::Error) -> Self {
        Self(Arc::new(error))
    }
}
