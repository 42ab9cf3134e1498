//! The scripts, each of which is one step of the server's.

/// A step on what the server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Begin,
    Commit,
    News,
    Receipts,
    Rewrap,
    Sessions,
    Snapshot,
    Standing,
    Tidy,
}

impl Script {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 9] = [
        Self::Begin,
        Self::Commit,
        Self::News,
        Self::Receipts,
        Self::Rewrap,
        Self::Sessions,
        Self::Snapshot,
        Self::Standing,
        Self::Tidy,
    ];

    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// Without any of the flags that the first line could have, a script is refused by a server
    /// that is not the primary, is out of memory, or is told to have replicas and has none.
    pub(super) fn text(self) -> &'static str {
        macro_rules! script {
            ($($part:literal),*) => {
                concat!("#!lua\n", include_str!("lua/common.lua"), $(include_str!($part)),*)
            };
        }
        match self {
            Self::Begin => script!("lua/append.lua", "lua/begin.lua"),
            Self::Commit => script!("lua/append.lua", "lua/rows.lua", "lua/commit.lua"),
            Self::News => script!("lua/news.lua"),
            Self::Receipts => script!("lua/receipts.lua"),
            Self::Rewrap => script!("lua/rewrap.lua"),
            Self::Sessions => script!("lua/rows.lua", "lua/sessions.lua"),
            Self::Snapshot => script!("lua/snapshot.lua"),
            Self::Standing => script!("lua/standing.lua"),
            Self::Tidy => script!("lua/rows.lua", "lua/tidy.lua"),
        }
    }
}

/// The keys that every script is given, in its order. With one hash tag, a cluster keeps them
/// on one node.
#[derive(Debug, Clone)]
pub(super) struct Keys([String; 8]);

/// The names of the keys, and their types.
const NAMES: [(&str, &str); 8] = [
    ("head", "hash"),
    ("ring", "list"),
    ("log", "stream"),
    ("epochs", "hash"),
    ("sessions", "hash"),
    ("sessions-by-user", "zset"),
    ("sessions-by-expiry", "zset"),
    ("receipts", "hash"),
];

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(NAMES.map(|(name, _)| format!("{{{prefix}}}:{name}")))
    }

    pub(super) fn all(&self) -> &[String] {
        &self.0
    }

    /// Each key with the type that it has, if it is there.
    pub(super) fn typed(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let types = NAMES.iter().map(|(_, kind)| *kind);
        self.0.iter().map(String::as_str).zip(types)
    }

    pub(super) fn log(&self) -> &str {
        &self.0[2]
    }

    pub(super) fn epochs(&self) -> &str {
        &self.0[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_numbered_in_their_order() {
        for (number, script) in Script::ALL.into_iter().enumerate() {
            assert_eq!(script.number(), number);
        }
    }

    #[test]
    fn keys_have_one_hash_tag() {
        let keys = Keys::new("auth");
        assert_eq!(keys.log(), "{auth}:log");
        assert_eq!(keys.epochs(), "{auth}:epochs");
        assert!(keys.all().iter().all(|key| key.starts_with("{auth}:")));
    }
}
