//! The store in one file: what it refuses to open, and what it keeps.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod backups;
mod damage;
mod disk;
mod forgetting;
mod letting_go;
mod opening;
mod support;
mod waiting;
