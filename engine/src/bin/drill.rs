//! The drills' command line: each subcommand exercises the real engine and writes down what happened, one file of JSON
//! Lines for each kind of observation. It never says whether that was good.

use std::alloc::System;
use std::io::{self, Write as _};
use std::process::ExitCode;

use cap::Cap;
use clap::{Parser, Subcommand};
use engine::drill::{self, budget, chaos, concurrency, stress};

/// Counts what is allocated and not yet freed, so that growth of memory is seen to the byte.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

#[derive(Parser)]
#[command(name = "drill", version, about = "Exercise the engine and write down what happened")]
struct Cli {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Subcommand)]
enum Drill {
    /// Many processes on one shared folder: locks, kills, crash points, storage faults
    Concurrency(concurrency::Args),
    /// Runs inside, at and beyond their limits; shared and crashed budgets; what must be refused
    Budget(budget::Args),
    /// Storms of calls under every fault profile, and calls over real HTTP
    Chaos(chaos::Args),
    /// Many runs of a workload, by several workers, with what stays allocated after each
    Stress(stress::Args),
    /// One process of a drill; started by drills only
    #[command(hide = true)]
    Worker(concurrency::WorkerArgs),
    /// One process that spends; started by drills only
    #[command(hide = true)]
    BudgetWorker(budget::WorkerArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().drill {
        Drill::Concurrency(args) => args.run(),
        Drill::Budget(args) => args.run(),
        Drill::Chaos(args) => args.run(),
        Drill::Stress(args) => args.run(|| ALLOCATOR.allocated() as u64),
        Drill::BudgetWorker(args) => return args.run(),
        Drill::Worker(args) => return args.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed; the exit code says it too.
            let _ = writeln!(io::stderr(), "drill: {error}");
            ExitCode::from(drill::exit_code(&error))
        }
    }
}
