//! What several benches share: the tokens of other libraries, ours, and how to measure them
//! side by side.

mod claims;
mod directory;
pub mod ours;
pub mod peers;
mod rows;
mod turns;

pub use self::{
    claims::{AUDIENCE, Claims, ISSUER, LIFETIME, token_id},
    directory::criterion_directory,
    rows::{Cycle, Row, criterion},
    turns::{RATIOS, measure_in_turns},
};
