//! The command line of the gate: parses what was typed, runs that one command, sets the exit code.
#![forbid(unsafe_code)]

mod baseline;
mod cli;
mod compile;
mod config;
mod doctor;
mod drills;
mod facts;
mod failure;
mod foresight;
mod gate;
mod judge;
mod list;
mod plan;
mod policy;
mod preflight;
mod process;
mod progress;
mod proofpack;
mod repeats;
mod report;
mod runs;
mod selection;
mod selftest;
mod workspace;

use std::process::ExitCode;

use cli::Command;
use failure::Failure;

fn main() -> ExitCode {
    ExitCode::from(run().unwrap_or_else(Failure::report))
}

fn run() -> Result<u8, Failure> {
    process::catch_signals()?;
    match cli::parse()? {
        Command::Usual => cli::print_usual(),
        Command::Help(text) => cli::print(&text),
        Command::Gate(gate) => gate.run(),
        Command::Judge(judge) => judge.run(),
        Command::Config(config) => config.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Baseline(baseline) => baseline.run(),
        Command::Proofpack(proofpack) => proofpack.run(),
    }
}
