//! Whether this thread is one on which a store answers.

use std::cell::Cell;

thread_local! {
    static IS_ANSWERING: Cell<bool> = const { Cell::new(false) };
}

/// Does something as part of the store's answer.
pub(crate) fn answering(act: impl FnOnce()) {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_ANSWERING.set(self.0);
        }
    }
    let _before = Before(IS_ANSWERING.replace(true));
    act();
}

/// Whether the store waits for this thread: it must wait for nobody who asks the store.
pub(crate) fn is_answering() -> bool {
    IS_ANSWERING.get()
}
