//! Compiles the workspace once, and takes the paths of the programs from cargo's own messages, never from guessing.

use std::path::PathBuf;
use std::time::Duration;

use cargo_metadata::Message;
use cargo_metadata::diagnostic::DiagnosticLevel;

use crate::failure::Failure;
use crate::process::{self, Ended, Stream};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// Compiling everything from nothing on a slow machine.
pub(crate) const BUILD_MAX: Duration = Duration::from_secs(3600);

/// The programs of the engine package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) engine: PathBuf,
    pub(crate) drill: PathBuf,
}

/// What cargo said while building.
#[derive(Debug)]
pub(crate) struct Built {
    /// The programs, when it built.
    pub(crate) programs: Option<Programs>,
    /// Warnings about this workspace.
    pub(crate) warnings: u64,
    /// The log: messages as people read them.
    pub(crate) log: String,
    /// How it ended.
    pub(crate) ended: Ended,
    /// The command, without folders.
    pub(crate) command: Vec<String>,
}

/// Builds every target of the workspace, or with `programs_only` just what drills need.
///
/// # Errors
/// Cargo cannot be started, Ctrl-C, or a program is missing from what cargo says it built.
pub(crate) fn build(space: &Workspace, programs_only: bool, progress: &mut Progress) -> Result<Built, Failure> {
    let what: &[&str] =
        if programs_only { &["--package", "engine", "--bins"] } else { &["--workspace", "--all-targets"] };
    let arguments = ["build"].iter().chain(what).chain(&["--locked", "--message-format=json"]);
    let task = process::cargo(&space.root, Some(&space.target), arguments, BUILD_MAX);
    let command = task.command_line();
    let mut log = String::new();
    let mut warnings = 0;
    let mut executables = Vec::new();
    let ended = task.run(progress, |stream, line| match stream {
        Stream::Err => {
            log.push_str(line);
            log.push('\n');
        }
        Stream::Out => match serde_json::from_str::<Message>(line) {
            Ok(Message::CompilerMessage(message)) => {
                warnings += u64::from(message.message.level == DiagnosticLevel::Warning);
                log.push_str(message.message.rendered.as_deref().unwrap_or(&message.message.message));
            }
            Ok(Message::CompilerArtifact(artifact)) => {
                if let Some(path) = artifact.executable.filter(|_| artifact.target.is_bin() && !artifact.profile.test) {
                    executables.push((artifact.target.name, path.into_std_path_buf()));
                }
            }
            _ => {}
        },
    })?;
    let find = |name: &str| {
        let found = executables.iter().find(|(target, _)| target == name).map(|(_, path)| path.clone());
        found.ok_or_else(|| Failure::internal(format!("cargo built the workspace and named no program `{name}`")))
    };
    let programs =
        if ended.succeeded() { Some(Programs { engine: find("engine")?, drill: find("drill")? }) } else { None };
    Ok(Built { programs, warnings, log, ended, command })
}
