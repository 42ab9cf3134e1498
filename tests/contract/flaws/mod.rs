//! Flaws, and the clause that finds each.

/// Names each test, its flaw, and the clause that finds it.
macro_rules! found {
    ($($test:ident: $flaw:ty => $clause:ident;)*) => {
        $(
            #[test]
            fn $test() {
                crate::broken::assert_found::<$flaw>(stringify!($clause));
            }
        )*
    };
}

mod beginning;
mod changing;
mod places;
mod reading;
