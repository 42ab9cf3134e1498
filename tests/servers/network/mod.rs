//! What stands between a client and a server, and is not always on their side.
//!
//! Included by other tests as
//!
//! ```ignore
//! #[path = "../servers/network/mod.rs"]
//! mod network;
//! #[path = "../simulation/random.rs"]
//! mod random;
//! ```

// Everybody who includes this uses a part of it.
#![allow(dead_code, unused_imports)]

mod faults;
mod hostile;
mod lies;
mod protocol;
mod proxy;
mod relay;
mod resp;
pub(crate) mod wire;

pub(crate) use self::{
    faults::Faults,
    hostile::Hostile,
    lies::{LIES, Lie, deep},
    proxy::Proxy,
    relay::Way,
};
