//! Builds the crate to be explored.

fn main() {
    println!("cargo::rerun-if-changed=cfg.rs");
    println!("cargo::rustc-cfg=epochkey_shuttle");
}
