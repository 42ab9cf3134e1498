//! What broke earlier versions of the design, each as a test with its number.

mod history;
mod state;
mod time;
