//! The product's command line. Everything it does is in [`engine::cli`].

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use contract::exit::engine as exit;
use engine::cli::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        // The panic itself is on stderr by then; the code tells it from a failed story.
        Ok(cli) => std::panic::catch_unwind(|| cli.run()).unwrap_or_else(|_| {
            // As above: the exit code says it too.
            let _ = writeln!(std::io::stderr(), "internal");
            ExitCode::from(exit::INTERNAL)
        }),
        Err(error) => {
            // When the stream is closed nobody listens; the exit code still says how it went.
            let _ = error.print();
            if error.use_stderr() {
                let _ = writeln!(std::io::stderr(), "usage");
                return ExitCode::from(exit::USAGE);
            }
            ExitCode::from(exit::GOOD)
        }
    }
}
