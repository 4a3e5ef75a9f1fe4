//! The verifier: steps 1 to 10, in this order, nothing extracted, later failures all collected (PPK-18).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use contract::digest::Digest;
use serde_json::Value;

use super::agree;
use super::codes::{Code, Fault, Reason};
use super::intake::Intake;
use super::layout::{
    self, ARCHIVE_MAX, EVIDENCE, LEAK_ALLOW, MANIFEST, README, SUMS, TEMPLATED, Tables, VERDICT, WITHHELD,
};
use super::leak::Literals;
use super::leak::allow::AllowList;
use super::manifest::{Manifest, Part};
use super::read::{self, Step};
use super::records::Record;
use super::report::{CheckId, Report, Status};
use super::sums::{self, Line};
use super::{folder, readme_of, scripts};
use crate::check::Verdict;
use crate::evidence::Files;

mod rederive;
mod trust;

/// What is verified.
pub enum Input<'a> {
    /// A pack as a regular file.
    File(&'a Path),
    /// A pack at hand.
    Bytes(&'a [u8]),
    /// A pack from a pipe: read once, never seeked.
    Pipe(&'a mut dyn Read),
    /// An extracted pack: steps 5 to 10.
    Tree(&'a Path),
}

/// What the caller asks for beside the default set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Root that the pack must have.
    pub expect_root: Option<Digest>,
    /// Commit that must have been judged, from a clean tree.
    pub expect_subject: Option<String>,
    /// Content of the caller's allowed-signers file: the only source of trust. Giving it asks for a signature.
    pub allowed_signers: Option<Vec<u8>>,
    /// Who must have signed; needed with `allowed_signers`.
    pub principal: Option<String>,
    /// Whether a pack without a trusted signature is refused.
    pub require_signature: bool,
    /// Predicate types that must be attested.
    pub require_attestation: Vec<String>,
    /// When keys must have been valid, in seconds since 1970; the command fills in the clock.
    pub verify_time: Option<u64>,
    /// Step 10.
    pub verdict: VerdictStep,
}

/// Whether the verdict is derived again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictStep {
    /// Where the input can be read twice.
    #[default]
    IfPossible,
    /// The caller asked for it.
    Required,
    /// The caller asked to leave it out.
    Skip,
}

/// Derives a verdict from evidence and policy alone.
pub trait Judge {
    /// Version of its rules.
    fn rules(&self) -> u64;
    /// Judges the evidence. `files` holds `evidence/**` without `evidence/verdict.json`, and `policy/**`.
    ///
    /// # Errors
    /// Why no verdict can be derived; this is `E_UNDERIVABLE`.
    fn derive(&self, files: &dyn Files) -> Result<Derived, String>;
}

/// What a judge derived.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The verdict over all parts.
    pub verdict: Verdict,
    /// The verdict of each gate, by id.
    pub parts: Vec<Part>,
    /// Whether a soft rule is broken: a test-result attestation of a PASS then says WARNED.
    pub soft_broken: bool,
    /// The full report, as `evidence/verdict.json` holds it.
    pub report: Value,
}

/// Verifies a pack. Without a `judge`, step 10 does not run.
pub fn verify(input: Input<'_>, options: &Options, judge: Option<&dyn Judge>, tables: &Tables) -> Report {
    let can_judge = judge.is_some() && !matches!(input, Input::Pipe(_));
    if let Err(fault) = check_usage(options, can_judge) {
        return Report::refused(fault);
    }
    let literals = Literals::none();
    let mut run = Run {
        report: Report::new(requested(options, can_judge)),
        intake: Intake::new(tables, &literals),
        tables,
        options,
    };
    let Some(source) = run.members(input) else { return run.report };
    let lines = run.list();
    let manifest = run.manifest(&lines);
    run.scripts(manifest.as_ref());
    run.leaks();
    run.subject(manifest.as_ref());
    let mut result = None;
    match (&manifest, judge) {
        _ if options.verdict == VerdictStep::Skip => run.not_run(CheckId::Verdict, "not asked for"),
        (Some(manifest), Some(judge)) => result = run.verdict(manifest, judge, source),
        (None, _) => run.not_run(CheckId::Verdict, "no manifest to compare with"),
        (_, None) => run.not_run(CheckId::Verdict, "no judge"),
    }
    run.trust(manifest.as_ref(), result);
    run.not_run(CheckId::Replay, "not asked for");
    run.report
}

fn check_usage(options: &Options, can_judge: bool) -> Result<(), Fault> {
    let usage = |what: &str| Err(Fault::new(Code::Usage, Reason::Arguments).found(what));
    let needs_trust = options.require_signature || !options.require_attestation.is_empty();
    match () {
        () if options.verdict == VerdictStep::Required && !can_judge => usage("a pipe cannot be judged"),
        () if options.allowed_signers.is_some() && options.principal.is_none() => usage("a key file needs a principal"),
        () if options.allowed_signers.is_some() && options.verify_time.is_none() => usage("keys need a time"),
        () if needs_trust && options.allowed_signers.is_none() => usage("a required signature needs a key file"),
        () => Ok(()),
    }
}

fn requested(options: &Options, can_judge: bool) -> Vec<CheckId> {
    let asked = [
        (options.expect_root.is_some(), CheckId::Root),
        (options.expect_subject.is_some(), CheckId::Subject),
        // Who gives keys asks for the signature: a pack that lost it is not silently accepted.
        (options.allowed_signers.is_some(), CheckId::Signature),
        (!options.require_attestation.is_empty(), CheckId::Attestation),
        (can_judge && options.verdict != VerdictStep::Skip, CheckId::Verdict),
    ];
    let always = CheckId::ALL
        .iter()
        .copied()
        .filter(|id| (CheckId::Sums..CheckId::Signature).contains(id) && *id != CheckId::Root);
    always.chain(asked.into_iter().filter(|(asked, _)| *asked).map(|(_, id)| id)).collect()
}

/// Where step 10 reads evidence again.
enum Source<'a> {
    File(File, Vec<Record>),
    Bytes(&'a [u8], Vec<Record>),
    Tree(&'a Path),
    Gone,
}

struct Run<'a> {
    report: Report,
    intake: Intake<'a>,
    tables: &'a Tables,
    options: &'a Options,
}

impl Run<'_> {
    fn not_run(&mut self, id: CheckId, why: &'static str) {
        self.report.set(id, Status::NotRun(why));
    }

    /// Steps 1 to 4: `None` ends the run.
    fn members<'i>(&mut self, input: Input<'i>) -> Option<Source<'i>> {
        match input {
            Input::File(path) => {
                let mut file = match open_pack(path) {
                    Ok(file) => file,
                    Err(fault) => {
                        self.report.set(CheckId::Limits, Status::Fail(vec![fault]));
                        return None;
                    }
                };
                self.archive(&mut file).map(|records| Source::File(file, records))
            }
            Input::Bytes(bytes) => self.archive(bytes).map(|records| Source::Bytes(bytes, records)),
            Input::Pipe(pipe) => self.archive(pipe).map(|_| Source::Gone),
            Input::Tree(root) => {
                let steps = [CheckId::Limits, CheckId::Headers, CheckId::Bytes, CheckId::Directory];
                steps.iter().for_each(|id| self.not_run(*id, "an extracted pack has no archive"));
                let faults = folder::take_in(root, &mut self.intake);
                let broken = !faults.is_empty();
                if broken {
                    self.report.settle(CheckId::Set, faults);
                }
                (!broken).then_some(Source::Tree(root))
            }
        }
    }

    fn archive(&mut self, input: impl Read) -> Option<Vec<Record>> {
        const STEPS: [(Step, CheckId); 4] = [
            (Step::Limits, CheckId::Limits),
            (Step::Headers, CheckId::Headers),
            (Step::Bytes, CheckId::Bytes),
            (Step::Directory, CheckId::Directory),
        ];
        match read::read(input, &mut self.intake) {
            Ok(records) => {
                STEPS.iter().for_each(|(_, id)| self.report.set(*id, Status::Pass));
                Some(records)
            }
            // The steps run interleaved, member by member: those before the fault are not complete, so none is a pass.
            Err((step, fault)) => {
                let id = STEPS.iter().find(|(at, _)| *at == step).map_or(CheckId::Headers, |(_, id)| *id);
                self.report.set(id, Status::Fail(vec![fault]));
                None
            }
        }
    }

    /// Step 5: list, set, hashes, root.
    fn list(&mut self) -> Option<Vec<Line>> {
        let parsed = self.intake.held(SUMS).map(|bytes| (sums::root(bytes), sums::parse(bytes)));
        let mut set = self.place_faults();
        let lines = match parsed {
            None => {
                self.not_run(CheckId::Sums, "no hash list");
                None
            }
            Some((root, parsed)) => {
                self.report.root = Some(root);
                match parsed {
                    Ok(lines) => {
                        self.report.set(CheckId::Sums, Status::Pass);
                        Some(lines)
                    }
                    Err(fault) => {
                        self.report.set(CheckId::Sums, Status::Fail(vec![fault]));
                        None
                    }
                }
            }
        };
        if let Some(lines) = &lines {
            set.extend(self.list_faults(lines));
            let hashes = lines.iter().filter_map(|line| {
                let found = self.intake.measured().get(&line.path)?.sha256;
                let fault = Fault::new(Code::Hash, Reason::Sha256).at(&line.path);
                (found != line.sha256).then(|| fault.expected(line.sha256).found(found))
            });
            let hashes = hashes.collect();
            self.report.settle(CheckId::Hashes, hashes);
        } else {
            self.not_run(CheckId::Hashes, "no readable hash list");
        }
        self.report.settle(CheckId::Set, set);
        match (self.options.expect_root, self.report.root) {
            (None, _) => self.not_run(CheckId::Root, "not asked for"),
            (Some(_), None) => self.not_run(CheckId::Root, "no hash list"),
            (Some(expected), Some(found)) if expected == found => self.report.set(CheckId::Root, Status::Pass),
            (Some(expected), Some(found)) => {
                let fault = Fault::new(Code::Expect, Reason::Root).expected(expected).found(found);
                self.report.set(CheckId::Root, Status::Fail(vec![fault]));
            }
        }
        lines
    }

    /// Members that must be there and are not, or must not be there and are.
    fn place_faults(&self) -> Vec<Fault> {
        let measured = self.intake.measured();
        let missing = layout::BUILT_IN.iter().filter(|member| member.required && !measured.contains_key(member.path));
        let mut faults: Vec<Fault> =
            missing.map(|member| Fault::new(Code::Set, Reason::Missing).at(member.path)).collect();
        let strays = measured.keys().filter(|path| self.tables.kind_of(path).is_none());
        faults.extend(strays.filter_map(|path| match layout::built_in(path) {
            Some(member) if member.path == WITHHELD => Some(Fault::new(Code::Set, Reason::Withheld).at(path)),
            Some(_) => None,
            None => Some(Fault::new(Code::Set, Reason::Extra).at(path)),
        }));
        let evidence = |path: &&String| path.starts_with(EVIDENCE) && *path != VERDICT;
        if !measured.keys().any(|path| evidence(&path)) {
            faults.push(Fault::new(Code::Set, Reason::Empty).at(EVIDENCE));
        }
        faults
    }

    /// Set equality, both ways. What has no place at all was already told.
    fn list_faults(&self, lines: &[Line]) -> Vec<Fault> {
        let measured = self.intake.measured();
        let listed = |path: &str| lines.binary_search_by(|line| line.path.as_str().cmp(path)).is_ok();
        let may_be_listed = |path: &str| match layout::built_in(path) {
            Some(member) => member.listed,
            None => self.tables.kind_of(path).is_some(),
        };
        let unlisted = measured.keys().filter(|path| may_be_listed(path) && !listed(path));
        let unlisted = unlisted.map(|path| Fault::new(Code::Set, Reason::Extra).at(path));
        let absent = lines.iter().filter_map(|line| {
            let required = layout::built_in(&line.path).is_some_and(|member| member.required);
            let present = measured.contains_key(&line.path);
            let reason = match may_be_listed(&line.path) {
                false if !present || layout::built_in(&line.path).is_some() => Reason::Extra,
                true if !present && !required => Reason::Missing,
                _ => return None,
            };
            Some(Fault::new(Code::Set, reason).at(&line.path))
        });
        unlisted.chain(absent).collect()
    }

    /// Step 6: the manifest, if it can be read, and the evidence.
    fn manifest(&mut self, lines: &Option<Vec<Line>>) -> Option<Manifest> {
        let measured = self.intake.measured();
        let content = |wanted: fn(Code) -> bool| {
            let faults = measured.values().filter_map(|found| found.fault.clone());
            faults.filter(|fault| wanted(fault.code)).collect::<Vec<_>>()
        };
        let mut faults = agree::built_in_faults(|path| self.intake.held(path));
        faults.extend(content(|code| code == Code::Manifest));
        let mut evidence = content(|code| code != Code::Manifest);
        let manifest = match self.intake.held(MANIFEST).map(agree::decode) {
            Some(Ok(manifest)) => Some(manifest),
            Some(Err(fault)) => {
                faults.push(fault);
                None
            }
            None => None,
        };
        if let Some(manifest) = &manifest {
            self.report.dirty = Some(manifest.subject.dirty);
            if let Some(lines) = lines {
                faults.extend(agree::faults(manifest, lines, measured, self.tables));
            }
            evidence.extend(agree::evidence_faults(manifest, measured, self.tables));
        }
        let complete = manifest.is_some() && lines.is_some();
        for (id, faults) in [(CheckId::Manifest, faults), (CheckId::Evidence, evidence)] {
            if faults.is_empty() && !complete {
                self.not_run(id, "no manifest or no hash list to compare with");
            } else {
                self.report.settle(id, faults);
            }
        }
        manifest
    }

    /// Step 7: scripts of one release, README as rendered.
    fn scripts(&mut self, manifest: Option<&Manifest>) {
        let digest = |path: &str| self.intake.measured().get(path).map(|found| found.sha256);
        let [Some(first), Some(second), Some(third)] = TEMPLATED.map(digest) else {
            return self.not_run(CheckId::Scripts, "a script is missing");
        };
        let mut faults: Vec<Fault> = scripts::check_release([first, second, third]).err().into_iter().collect();
        let Some((manifest, found)) = manifest.zip(digest(README)) else {
            let why = "no manifest or no README";
            return if faults.is_empty() {
                self.not_run(CheckId::Scripts, why)
            } else {
                self.report.settle(CheckId::Scripts, faults)
            };
        };
        let expected = Digest::of(readme_of::render(manifest, self.tables).as_bytes());
        if found != expected {
            faults.push(Fault::new(Code::Script, Reason::Readme).at(README).expected(expected).found(found));
        }
        self.report.settle(CheckId::Scripts, faults);
    }

    /// Step 8: leak lint against the packed allow-list.
    fn leaks(&mut self) {
        let Some(bytes) = self.intake.held(LEAK_ALLOW) else {
            return self.not_run(CheckId::Leaks, "no allow-list");
        };
        let faults = match AllowList::parse(bytes) {
            Ok(allowed) => self.intake.tally().settle(&allowed).into_iter().map(Fault::from).collect(),
            Err(error) => vec![Fault::from(error)],
        };
        self.report.settle(CheckId::Leaks, faults);
    }

    /// Step 9, first part: the commit the caller expects.
    fn subject(&mut self, manifest: Option<&Manifest>) {
        match (&self.options.expect_subject, manifest) {
            (None, _) => self.not_run(CheckId::Subject, "not asked for"),
            (Some(_), None) => self.not_run(CheckId::Subject, "no manifest"),
            (Some(expected), Some(manifest)) => {
                let found = manifest.subject.git_commit.as_str();
                let fault = |reason| Fault::new(Code::Expect, reason);
                let other = (found != expected).then(|| fault(Reason::Subject).expected(expected).found(found));
                let dirty = manifest.subject.dirty.then(|| fault(Reason::Dirty).expected("a clean tree"));
                self.report.settle(CheckId::Subject, other.into_iter().chain(dirty).collect());
            }
        }
    }
}

/// Opens a pack: a regular file within the archive limit.
fn open_pack(path: &Path) -> Result<File, Fault> {
    let io = |error: std::io::Error| Fault::new(Code::Io, Reason::Read).at(path.to_string_lossy()).found(error);
    // Asked before opening: opening a FIFO would wait for its writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Fault::new(Code::Io, Reason::Special).at(path.to_string_lossy()));
    }
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length > ARCHIVE_MAX {
        return Err(Fault::new(Code::Limit, Reason::Archive)
            .expected(format!("at most {ARCHIVE_MAX} bytes"))
            .found(length));
    }
    Ok(file)
}
