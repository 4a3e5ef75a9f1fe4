//! Cargo with machine-readable messages: the log as people read it, how many warnings it holds, and where the programs
//! lie. Paths of programs come from cargo's own messages, never from guessing the layout of a target folder.

use std::path::PathBuf;
use std::time::Duration;

use cargo_metadata::Message;
use cargo_metadata::diagnostic::DiagnosticLevel;

use crate::failure::Failure;
use crate::process::{self, Ended, Stream, Task};
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

/// What cargo said.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Warnings about this workspace.
    pub(crate) warnings: u64,
    /// The log: messages as people read them.
    pub(crate) log: String,
    /// Programs that were built, by target name.
    pub(crate) executables: Vec<(String, PathBuf)>,
    /// How it ended.
    pub(crate) ended: Ended,
    /// The command, without folders.
    pub(crate) command: Vec<String>,
}

/// Builds every target of the workspace, or with `programs_only` just what drills need.
///
/// # Errors
/// Cargo cannot be started, or Ctrl-C.
pub(crate) fn build(space: &Workspace, programs_only: bool, progress: &mut Progress) -> Result<Heard, Failure> {
    let what: &[&str] =
        if programs_only { &["--package", "engine", "--bins"] } else { &["--workspace", "--all-targets"] };
    let seams: &[&str] = if space.defect.is_some() { &["--features", "engine/sabotage"] } else { &[] };
    let arguments = ["build"].iter().chain(what).chain(seams).chain(&["--locked", "--message-format=json"]);
    listen(process::cargo(&space.root, Some(&space.target), arguments, BUILD_MAX), progress)
}

/// Runs a cargo that was asked for `--message-format=json`.
///
/// # Errors
/// As [`build`].
pub(crate) fn listen(task: Task, progress: &mut Progress) -> Result<Heard, Failure> {
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
            // What is no message of cargo's is something that a build script or a wrapper printed.
            Ok(_) | Err(_) => {}
        },
    })?;
    Ok(Heard { warnings, log, executables, ended, command })
}

impl Heard {
    /// The engine's programs; `None` when the build failed.
    ///
    /// # Errors
    /// The build succeeded and one of them is missing.
    pub(crate) fn programs(&self) -> Result<Option<Programs>, Failure> {
        if !self.ended.succeeded() {
            return Ok(None);
        }
        let find = |name: &str| {
            let found = self.executables.iter().find(|(target, _)| target == name).map(|(_, path)| path.clone());
            found.ok_or_else(|| Failure::internal(format!("cargo built the workspace and named no program `{name}`")))
        };
        Ok(Some(Programs { engine: find("engine")?, drill: find("drill")? }))
    }

    /// The first error in the log, for a message of one sentence.
    pub(crate) fn first_error(&self) -> &str {
        let found = self.log.lines().find(|line| line.starts_with("error"));
        found.unwrap_or("no line of its output says why")
    }
}
