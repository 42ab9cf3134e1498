//! What a bump starts.

use std::{error, fmt, str::FromStr};

use crate::{
    seal::CONTRIBUTION_LENGTH,
    store::{EventId, HistoryId, Place},
    token::base64url,
};

/// The place in the epoch log of what a bump, a rotation, a swap or a new history began.
///
/// When the operation that gives one has its result, it is in force in this process. The
/// secret of a bump's epoch never leaves the crate.
///
/// As text, it can be sent to another replica, to [`wait_for`](crate::Authority::wait_for)
/// there:
///
/// ```
/// # use epochkey::{Authority, Epoch, MemoryStore, Scope};
/// # let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
/// let text = authority.bump(Scope::user("u-42")).wait()?.to_string();
/// let epoch: Epoch = text.parse()?;
/// authority.wait_for(epoch).wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub(crate) Place);

impl Epoch {
    /// The position in the epoch log: 1, 2, 3 … in the order in which things happened.
    pub fn position(&self) -> u64 {
        self.0.position
    }
}

/// History, position and event id, with dots between.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0.history, self.0.position, self.0.event)
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let parse = || {
            let (history, rest) = text.split_once('.')?;
            let (position, event) = rest.split_once('.')?;
            let place = Place {
                history: HistoryId::from_bytes(id(history)?),
                position: position.parse().ok()?,
                event: EventId::from_bytes(id(event)?),
            };
            // One epoch has one text: no leading zeros, no sign.
            (position == place.position.to_string()).then_some(Self(place))
        };
        parse().ok_or(EpochError(()))
    }
}

fn id(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    base64url::decode_exact(text.as_bytes(), &mut bytes)?;
    Some(bytes)
}

/// A text is not that of an [`Epoch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochError(());

impl EpochError {
    /// A short fixed name for metrics and logs: `epoch`.
    pub fn label(&self) -> &'static str {
        "epoch"
    }
}

impl fmt::Display for EpochError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not an epoch; pass on what `Epoch` displays")
    }
}

impl error::Error for EpochError {}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({} of {})", self.0.position, self.0.history)
    }
}

/// An epoch as the epoch table holds it: where its bump stands in the log, and its
/// secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableEpoch {
    pub(crate) position: u64,
    pub(crate) secret: [u8; CONTRIBUTION_LENGTH],
}

impl fmt::Debug for TableEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableEpoch")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_back_from_its_text_and_from_no_other() {
        let epoch = Epoch(Place {
            history: HistoryId::from_bytes([1; 16]),
            position: 42,
            event: EventId::from_bytes([2; 16]),
        });
        let text = epoch.to_string();
        assert_eq!(text.parse(), Ok(epoch));
        let wrong = [
            text.replace(".42.", ".042."),
            text.replace(".42.", ".+42."),
            text.replace(".42.", ".18446744073709551616."),
            text.replace('.', ""),
            format!("{text}A"),
            format!(" {text}"),
            text[1..].to_owned(),
            format!("{text}."),
            String::new(),
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Epoch>(), Err(EpochError(())), "{wrong:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let (position, secret) = (7, [9; CONTRIBUTION_LENGTH]);
        let epoch = TableEpoch { position, secret };
        assert_eq!(format!("{epoch:?}"), "TableEpoch { position: 7, .. }");
    }
}
