//! Third-party tools must agree with the proofpack code (PPK-45). `.ci/install-tools` installs them all; one that is
//! absent is reported as NOT RUN, never as agreement.

mod openssh;
mod python;
mod scripts;
mod tool;
