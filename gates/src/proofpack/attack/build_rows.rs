//! Row 35: inputs that must not be packed, planted in a scratch run folder made from the pack.

use std::path::Path;

use serde_json::json;

use super::super::build::{BuildOptions, build};
use super::super::codes::{Code, Fault, Reason};
use super::super::layout::{self, EVIDENCE};
use super::super::leak::Literals;
use super::super::replay_args::{ReplayArgs, parse_seed};
use super::super::run_facts::{FILE, ReplayFacts, RunFacts, RunState, SCHEMA};
use super::forgery::Base;
use super::{Mutant, Outcome, Target};

/// How an input is spoilt; the path is that of one file of evidence.
type Trap = fn(&Path, &str) -> std::io::Result<()>;

/// The mutants of this row.
pub(super) fn mutants(base: &Base) -> Vec<Mutant<'_>> {
    let mutant = |name: &str, reason, before: Option<Trap>, during: Option<Trap>| Mutant {
        row: 35,
        name: name.into(),
        expected: (Code::Input, Some(reason)),
        options: super::Options::default(),
        target: Target::Run(Box::new(move || outcome(base, before, during))),
    };
    let mut mutants = vec![mutant("swapped-between-hash-and-store", Reason::Changed, None, Some(swap))];
    #[cfg(unix)]
    mutants.extend([
        mutant("link", Reason::Link, Some(unix::link), None),
        mutant("folder-link", Reason::Link, Some(unix::folder_link), None),
        mutant("socket", Reason::Special, Some(unix::socket), None),
    ]);
    mutants
}

/// Builds the spoilt folder; a folder that cannot be made is an answer too, and not the expected one.
fn outcome(base: &Base, before: Option<Trap>, during: Option<Trap>) -> Outcome {
    let faults =
        attempt(base, before, during).unwrap_or_else(|error| vec![Fault::new(Code::Io, Reason::Read).found(error)]);
    Outcome::of(faults.iter())
}

fn attempt(base: &Base, before: Option<Trap>, during: Option<Trap>) -> std::io::Result<Vec<Fault>> {
    let scratch = tempfile::tempdir()?;
    let run = scratch.path().join("run");
    scatter(base, &run)?;
    if let Some(trap) = before {
        trap(&run, base.evidence())?;
    }
    let literals = Literals::none();
    let mut options = BuildOptions::new(&base.manifest.gate.id, &literals, &base.tables);
    options.allow_dirty = base.manifest.subject.dirty;
    let mut failed = None;
    let built = build(&run, &scratch.path().join("out"), &options, &mut |path| {
        if let (Some(trap), true) = (during, path == base.evidence()) {
            failed = trap(&run, path).err();
        }
    });
    match (failed, built) {
        (Some(error), _) => Err(error),
        (None, Err(faults)) => Ok(faults),
        (None, Ok(_)) => Ok(Vec::new()),
    }
}

/// The run folder that this pack could have come from.
fn scatter(base: &Base, run: &Path) -> std::io::Result<()> {
    let made_by_build = [layout::MANIFEST, layout::README, layout::SUMS];
    for member in &base.archive.members {
        let path = String::from_utf8_lossy(&member.name);
        if made_by_build.contains(&&*path) || layout::TEMPLATED.contains(&&*path) {
            continue;
        }
        let place = run.join(&*path);
        std::fs::create_dir_all(place.parent().unwrap_or(run))?;
        std::fs::write(place, &member.data)?;
    }
    let facts = facts(base).ok_or_else(|| std::io::Error::other("the manifest has no argument list of a gate run"))?;
    std::fs::write(run.join(FILE), json!(facts).to_string())
}

fn facts(base: &Base) -> Option<RunFacts> {
    let manifest = base.manifest.clone();
    let args = ReplayArgs::parse(&manifest.replay.argv)?;
    let subject = manifest.subject;
    Some(RunFacts {
        schema: SCHEMA.into(),
        state: RunState::Complete,
        parts: manifest.gate.parts,
        rules: manifest.gate.rules,
        subject: super::super::manifest::Subject {
            name: subject.name,
            git_commit: subject.git_commit,
            git_tree: subject.git_tree,
            dirty: subject.dirty,
        },
        foreign: args.foreign,
        source_date_epoch: manifest.source_date_epoch,
        profile: args.profile,
        seed: parse_seed(&manifest.replay.master_seed)?,
        set: args.set,
        replay: ReplayFacts {
            env_allow: manifest.replay.env_allow,
            expect: manifest.replay.expect,
            timeout_s: manifest.replay.timeout_s,
        },
        tool: manifest.tool,
        loosened: Vec::new(),
        narrowed: Vec::new(),
    })
}

/// Another file of the same name and content takes the place of one that was read.
fn swap(run: &Path, path: &str) -> std::io::Result<()> {
    let place = run.join(path);
    let beside = run.join("swapped");
    std::fs::copy(&place, &beside)?;
    std::fs::rename(beside, place)
}

#[cfg(unix)]
mod unix {
    use super::{EVIDENCE, Path};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    pub(super) fn link(run: &Path, path: &str) -> std::io::Result<()> {
        let (place, beside) = (run.join(path), run.with_file_name("beside"));
        std::fs::rename(&place, &beside)?;
        symlink(beside, place)
    }

    pub(super) fn folder_link(run: &Path, _: &str) -> std::io::Result<()> {
        let (place, beside) = (run.join("policy"), run.with_file_name("policy"));
        std::fs::rename(&place, &beside)?;
        symlink(beside, place)
    }

    pub(super) fn socket(run: &Path, _: &str) -> std::io::Result<()> {
        // A relative name: the path of a socket has a short limit of its own.
        let place = run.join(EVIDENCE).join("s.log");
        UnixListener::bind(place).map(drop)
    }
}
