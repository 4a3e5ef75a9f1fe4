//! The engine's command line: one file a subcommand, each a struct of parsed arguments that runs itself.

mod cache;
mod ending;
mod policy;
mod scribe;
mod story;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "engine", version, about = "Write, measure and repair stories within a budget")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the scenes of a story, measure them, repair what breaks a rule
    Scribe(Box<scribe::Scribe>),
    /// Look after a cache folder, also while it is in use
    Cache(cache::Cache),
    /// Write the story that a seed gives, to repeat a run of a drill
    Story(story::Story),
}

impl Cli {
    /// Does what was asked; the exit code is one of [`contract::exit::engine`].
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Scribe(scribe) => scribe.run(),
            Command::Cache(cache) => cache.run(),
            Command::Story(story) => story.run(),
        }
    }
}
