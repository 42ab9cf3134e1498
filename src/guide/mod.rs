//! Pages for operators and for those who build on the crate.

#[cfg(feature = "redb")]
#[cfg_attr(docsrs, doc(cfg(feature = "redb")))]
pub mod backups {
    #![doc = include_str!("backups.md")]
}
pub mod capacity {
    #![doc = include_str!("capacity.md")]
}
pub mod comparison {
    #![doc = include_str!("comparison.md")]
}
pub mod failures {
    #![doc = include_str!("failures.md")]
}
pub mod remedies {
    #![doc = include_str!("remedies.md")]
}
#[cfg(any(feature = "postgres", feature = "redis"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "redis"))))]
// It has links to what either of them brings.
#[cfg_attr(
    not(all(feature = "postgres", feature = "redis")),
    allow(rustdoc::broken_intra_doc_links)
)]
pub mod replicas {
    #![doc = include_str!("replicas.md")]
}
pub mod revocation {
    #![doc = include_str!("revocation.md")]
}
pub mod rotation {
    #![doc = include_str!("rotation.md")]
}
pub mod sessions {
    #![doc = include_str!("sessions.md")]
}
