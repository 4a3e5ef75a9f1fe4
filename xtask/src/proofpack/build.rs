//! `proofpack build`: a pack from a finished run.

use std::path::{Path, PathBuf};

use clap::Args;
use contract::digest::Digest;
use gates::proofpack::build::{BuildOptions, Built, build};
use gates::proofpack::layout::Tables;
use gates::proofpack::leak::Literals;
use serde_json::json;

use super::failure;
use crate::cli;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::json;
use crate::runs;
use crate::workspace::Workspace;

/// `cargo xtask proofpack build`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Build {
    /// The folder of the run; none means the latest
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// The gate to pack; pr-g5 is the whole run
    #[arg(long, value_name = "ID", default_value = "pr-g5")]
    gate: String,
    /// Where the pack goes; none means `proofpacks` of the workspace
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A released file outside the pack (repeat for several)
    #[arg(long, value_name = "FILE")]
    artifact: Vec<PathBuf>,
    /// Pack a run of a dirty tree too; such a pack says DIRTY
    #[arg(long)]
    allow_dirty: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    /// Bytes read at a time; no byte of the pack depends on it
    #[arg(long, value_name = "BYTES", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    piece: Option<u32>,
    /// Read inputs from the last to the first; no byte of the pack depends on it
    #[arg(long, hide = true)]
    reversed: bool,
}

impl Build {
    /// Builds, and prints path and root.
    ///
    /// # Errors
    /// The run must not be packed, or something cannot be read or written.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let mut progress = Progress::new(true, false, 0);
        let needs_space = self.run.is_none() || self.out.is_none();
        let space =
            if needs_space { Some(Workspace::find(&mut progress)?) } else { Workspace::find(&mut progress).ok() };
        let run = match (&self.run, &space) {
            (Some(run), _) => run.clone(),
            (None, Some(space)) => runs::latest(&space.gates_folder())?,
            (None, None) => return Err(Failure::usage("no --run, and no workspace around here")),
        };
        let out = match (&self.out, &space) {
            (Some(out), _) => out.clone(),
            (None, Some(space)) => space.root.join("proofpacks"),
            (None, None) => return Err(Failure::usage("no --out, and no workspace around here")),
        };
        let words = MachineWords::gather(space.as_ref().map(|space| space.root.as_path()));
        let literals = words.literals();
        let mut options = BuildOptions::new(&self.gate, &literals, &Tables::CONTRACT);
        options.artifacts = &self.artifact;
        options.allow_dirty = self.allow_dirty;
        options.reversed = self.reversed;
        options.piece = self.piece.map_or(options.piece, |piece| piece as usize);
        let built = build(&run, &out, &options, &mut |_| ())
            .map_err(|faults| failure(&format!("cannot pack {}", run.display()), &faults))?;
        self.print(&built)
    }

    fn print(&self, built: &Built) -> Result<u8, Failure> {
        let word = built.manifest.gate.verdict.word();
        let dirty = if built.manifest.subject.dirty { " DIRTY" } else { "" };
        if self.json {
            let mut out = String::new();
            let line = json!({
                "schema": "proofpack.built/1",
                "path": built.path.to_string_lossy(),
                "root": built.root.to_string(),
                "size": built.size,
                "verdict": word,
                "dirty": built.manifest.subject.dirty,
                "already_there": built.already_there,
            });
            json::push(&mut out, &line)?;
            return cli::print(&out);
        }
        let there = if built.already_there { " (was already there)" } else { "" };
        cli::print(&format!("{}{there}\nroot {}\n{word}{dirty}\n", built.path.display(), built.root))
    }
}

/// Names and folders of this machine, which must not enter a pack (rule L5).
#[derive(Debug)]
pub(crate) struct MachineWords {
    names: Vec<String>,
    folders: Vec<String>,
}

impl MachineWords {
    /// Asks the environment; a variable that is not set names nothing that could leak.
    pub(crate) fn gather(workspace: Option<&Path>) -> Self {
        let variables =
            |names: &[&str]| -> Vec<String> { names.iter().filter_map(|name| std::env::var(name).ok()).collect() };
        let mut names = variables(&["USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME"]);
        names.extend(host_name());
        let mut folders = variables(&["HOME", "USERPROFILE", "CARGO_HOME"]);
        folders.extend(workspace.map(|path| path.to_string_lossy().into_owned()));
        Self { names, folders }
    }

    /// As the leak lint takes them.
    pub(crate) fn literals(&self) -> Literals {
        Literals::new(self.names.iter().map(String::as_str), self.folders.iter().map(String::as_str))
    }
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    None
}

/// A digest as typed.
pub(crate) fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "give 64 lower-case hex digits".to_owned())
}
