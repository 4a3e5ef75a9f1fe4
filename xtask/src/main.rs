//! The command line of the gate.
fn main() {}
