//! What broke simpler designs, each as a test. The numbers are names: those of one kind belong
//! together.

mod history;
mod state;
mod time;
