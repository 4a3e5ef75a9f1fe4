//! Where the workspace lies, and what git and the toolchain say about it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cargo_metadata::MetadataCommand;

use crate::failure::Failure;
use crate::process::{self, Ended};
use crate::progress::Progress;

/// The file that tells the workspace from any other folder.
const MARK: &str = "gates/policy/calibration.json";
/// Questions to git, rustc and cargo are answered in moments, unless a disk or a proxy hangs.
const QUESTION_MAX: Duration = Duration::from_secs(60);

/// The folders of this workspace.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The top folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the user put it.
    pub(crate) target: PathBuf,
    /// The defect that is switched on, by [`SABOTAGE`]: the engine is then built with its seams, into a folder of its own.
    pub(crate) defect: Option<String>,
}

/// The variable that switches a named defect of the engine on.
pub(crate) const SABOTAGE: &str = "PROOFHOUSE_SABOTAGE";
/// The name under which an engine is built with its seams and nothing is switched on.
pub(crate) const NO_DEFECT: &str = "none";

/// What git says; everything is empty outside a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// Whether there is a repository.
    pub(crate) repository: bool,
    /// Branch name; `HEAD` when detached.
    pub(crate) branch: String,
    /// Commit id.
    pub(crate) commit: String,
    /// Its tree.
    pub(crate) tree: String,
    /// Committer time in seconds since 1970.
    pub(crate) epoch: u64,
    /// Lines of `git status --porcelain`.
    pub(crate) dirty: Vec<String>,
}

/// The toolchain that answers in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// Lines of `rustc -vV`.
    pub(crate) rustc: Vec<String>,
    /// `cargo -V`.
    pub(crate) cargo: String,
}

impl Workspace {
    /// The workspace that holds the current folder.
    ///
    /// # Errors
    /// Outside one, or when cargo cannot read it.
    pub(crate) fn find(progress: &mut Progress) -> Result<Self, Failure> {
        let here = std::env::current_dir()
            .map_err(|error| Failure::infrastructure(format!("cannot find the current folder: {error}")))?;
        let root = here.ancestors().find(|folder| folder.join(MARK).is_file()).ok_or_else(|| {
            Failure::usage(format!("no folder from {} upwards holds {MARK}", here.display()))
                .hint("run this inside a checkout of the workspace")
        })?;
        // Asked from the user's own folder: a relative CARGO_TARGET_DIR counts from there.
        let arguments = ["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline", "--manifest-path"];
        let manifest = root.join("Cargo.toml");
        let arguments = arguments.iter().map(OsStr::new).chain([manifest.as_os_str()]);
        let answer = process::cargo(&here, None, arguments, QUESTION_MAX).ask(progress)?;
        if !answer.succeeded() {
            return Err(Failure::build(format!(
                "cargo cannot read the workspace: {}{}",
                answer.end,
                answer.tail_text()
            )));
        }
        let metadata = MetadataCommand::parse(&answer.out)
            .map_err(|error| Failure::internal(format!("cargo metadata gave something else: {error}")))?;
        let mut target = metadata.target_directory.into_std_path_buf();
        let defect = std::env::var_os(SABOTAGE).map(|name| name.to_string_lossy().into_owned());
        if defect.is_some() {
            target.push("sabotage");
        }
        Ok(Self { root: root.to_owned(), target, defect })
    }

    /// Where runs of the gate lie.
    pub(crate) fn gates_folder(&self) -> PathBuf {
        self.target.join("gates")
    }

    /// What git says about the workspace.
    ///
    /// # Errors
    /// Git is missing, or cannot read a repository that is there.
    pub(crate) fn source(&self, progress: &mut Progress) -> Result<Source, Failure> {
        let inside = self.git(&["rev-parse", "--show-toplevel"], progress)?;
        if !inside.succeeded() {
            if inside.err.contains("not a git repository") {
                return Ok(Source::default());
            }
            return Err(git_failure("read the repository", &inside));
        }
        let status = self.answered(&["status", "--porcelain"], progress)?;
        let dirty = status.lines().map(str::to_owned).collect();
        if !self.git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], progress)?.succeeded() {
            // A repository before its first commit.
            return Ok(Source { repository: true, dirty, ..Source::default() });
        }
        let commit = self.answered(&["rev-parse", "HEAD^{commit}"], progress)?;
        let tree = self.answered(&["rev-parse", "HEAD^{tree}"], progress)?;
        let branch = self.answered(&["rev-parse", "--abbrev-ref", "HEAD"], progress)?;
        let epoch = self.answered(&["show", "--no-patch", "--format=%ct", "HEAD"], progress)?;
        let epoch = epoch.parse().map_err(|_| Failure::internal(format!("git gave `{epoch}` as a commit time")))?;
        Ok(Source { repository: true, branch, commit, tree, epoch, dirty })
    }

    /// The files that git tracks.
    ///
    /// # Errors
    /// Git is missing or fails.
    pub(crate) fn tracked(&self, progress: &mut Progress) -> Result<Vec<String>, Failure> {
        let names = self.answered(&["ls-files", "-z"], progress)?;
        Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// The toolchain that answers here.
    ///
    /// # Errors
    /// A program is missing or fails.
    pub(crate) fn toolchain(&self, progress: &mut Progress) -> Result<Toolchain, Failure> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let rustc = process::program_in(&self.root, rustc, ["-vV"], QUESTION_MAX).ask(progress)?;
        let cargo = process::cargo(&self.root, None, ["-V"], QUESTION_MAX).ask(progress)?;
        for (name, answer) in [("rustc -vV", &rustc), ("cargo -V", &cargo)] {
            if !answer.succeeded() {
                return Err(Failure::infrastructure(format!("`{name}` failed: {}{}", answer.end, answer.tail_text())));
            }
        }
        Ok(Toolchain { rustc: rustc.out.lines().map(str::to_owned).collect(), cargo: cargo.out.trim().to_owned() })
    }

    fn git(&self, arguments: &[&str], progress: &mut Progress) -> Result<Ended, Failure> {
        let task = process::program_in(&self.root, "git", arguments, QUESTION_MAX).without_own_variables();
        // Messages are told apart by their English text.
        task.env("LC_ALL", "C").ask(progress)
    }

    fn answered(&self, arguments: &[&str], progress: &mut Progress) -> Result<String, Failure> {
        let answer = self.git(arguments, progress)?;
        if answer.succeeded() {
            Ok(answer.out.trim_end_matches('\n').to_owned())
        } else {
            Err(git_failure(&format!("run `git {}`", arguments.join(" ")), &answer))
        }
    }
}

fn git_failure(attempt: &str, answer: &Ended) -> Failure {
    Failure::infrastructure(format!("cannot {attempt}: {}{}", answer.end, answer.tail_text()))
}

impl Toolchain {
    /// The first line, for plans.
    pub(crate) fn short(&self) -> String {
        self.rustc.first().cloned().unwrap_or_else(String::new)
    }

    /// The target triple of the machine.
    pub(crate) fn host(&self) -> Option<&str> {
        self.rustc.iter().find_map(|line| line.strip_prefix("host: "))
    }
}

/// A path below `root`, with `/`.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
