//! `drill chaos`.

pub mod wire;
