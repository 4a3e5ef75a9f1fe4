//! Third-party tools must agree with the proofpack code (PPK-45). `.ci/install-tools` installs them all; one that is
//! absent is reported as NOT RUN, never as agreement.

mod archives;
mod openssh;
mod python;
mod replay;
mod scripts;
mod signed;
mod tool;
#[expect(dead_code, reason = "the tests of the format use the rest")]
#[path = "../proofpack/world.rs"]
mod world;
