//! What was found worth keeping by the fuzzers of `fuzz/`, replayed without them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "they are public where they are a library")]
mod checks;

use std::{fs, path::Path};

/// Each file of a target's corpus, those that a fuzzer has added here included.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty(), "{}", folder.display());
    files.sort();
    for file in files {
        // Shown when it fails.
        println!("{}", file.display());
        check(&fs::read(&file).unwrap());
    }
}

macro_rules! replayed {
    ($($target:ident),*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), checks::$target::check);
            }
        )*
    };
}

replayed!(
    issue_roundtrip,
    refresh,
    store_file,
    table,
    verify,
    verify_signed,
    wire
);
