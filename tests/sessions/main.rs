//! Sessions and refresh tokens.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod life;
mod support;
mod thieves;
