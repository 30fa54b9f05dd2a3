//! The snippets of docs/rust.md are compiled and run as documentation tests of this crate.
#![doc = include_str!("../../../../docs/rust.md")]
