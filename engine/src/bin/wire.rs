//! wire
fn main() {}
