//! drill
fn main() {}
