//! The drills' command line: each subcommand exercises the real engine and writes down what happened, one file of JSON
//! Lines for each kind of observation. It never says whether that was good.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use engine::drill::{self, chaos, concurrency};

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
    /// Storms of calls under every fault profile, and calls over real HTTP
    Chaos(chaos::Args),
    /// One process of a drill; started by drills only
    #[command(hide = true)]
    Worker(concurrency::WorkerArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().drill {
        Drill::Concurrency(args) => args.run(),
        Drill::Chaos(args) => args.run(),
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
