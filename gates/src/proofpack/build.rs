//! `build`: a pure function from a run folder and flags to a pack (PPK-16, PPK-17).
//!
//! Nothing is asked of the working tree, the clock or the machine: what the run recorded is what is packed. Each input
//! is read once, through one handle, and what was hashed is what is stored.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use contract::digest::Digest;

use super::agree;
use super::codes::{Code, Fault, Reason};
use super::folder;
use super::intake::{Intake, Measured};
use super::layout::{
    self, ENVIRONMENT, EVIDENCE, LEAK_ALLOW, MANIFEST, POLICY, README, SBOM, SUMS, TEMPLATED, TOOLCHAIN, Tables,
    VERDICT,
};
use super::leak::Literals;
use super::leak::allow::AllowList;
use super::manifest::{
    self, Artifact, Entry, FORMAT, GateFacts, Limits, Manifest, PROFILE, PackedSubject, Replay, WHOLE_RUN,
};
use super::normalise;
use super::read::{self, PIECE, Sink};
use super::records::Record;
use super::replay_args::{ReplayArgs, seed_text};
use super::run_facts::{self, RunFacts, RunState};
use super::spool::{Input, Spool};
use super::sums::{self, Line};
use super::write::Writer;
use super::{readme_of, scripts};

/// The flags of `build`, and what a second build may vary without changing a byte.
#[derive(Debug)]
pub struct BuildOptions<'a> {
    /// Gate to pack; [`WHOLE_RUN`] for all.
    pub gate: &'a str,
    /// Released files outside the pack.
    pub artifacts: &'a [PathBuf],
    /// Root of the previous pack of this gate.
    pub previous_root: Option<Digest>,
    /// Whether a dirty tree may be packed.
    pub allow_dirty: bool,
    /// Words of this machine that rule L5 of the leak lint looks for.
    pub literals: &'a Literals,
    /// What this release knows of evidence and gates.
    pub tables: &'a Tables,
    /// Bytes read at a time, at least 1; no byte of the pack depends on it.
    pub piece: usize,
    /// Whether inputs are read from the last to the first; no byte of the pack depends on it.
    pub reversed: bool,
}

impl<'a> BuildOptions<'a> {
    /// The usual options for a gate.
    #[must_use]
    pub fn new(gate: &'a str, literals: &'a Literals, tables: &'a Tables) -> Self {
        let (artifacts, previous_root) = (&[][..], None);
        Self { gate, artifacts, previous_root, allow_dirty: false, literals, tables, piece: PIECE, reversed: false }
    }
}

/// A pack that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it lies: `proofpack-<gate>-<first 16 hex of root>.zip` in the output folder.
    pub path: PathBuf,
    /// SHA-256 of its hash list.
    pub root: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether a pack with this root was already there, and was left as it is.
    pub already_there: bool,
}

/// Inputs with fixed paths, beside evidence.
const FIXED: [&str; 5] = [ENVIRONMENT, POLICY, LEAK_ALLOW, SBOM, TOOLCHAIN];

/// Packs a run folder. `seen` is told each input once it was read: progress for the caller.
///
/// # Errors
/// Every fault that was found: `E_INPUT` for a run or file that must not be packed, the codes of the verifier for
/// content that it would refuse, `E_IO` for the output.
pub fn build(
    run: &Path,
    out: &Path,
    options: &BuildOptions<'_>,
    seen: &mut dyn FnMut(&str),
) -> Result<Built, Vec<Fault>> {
    let facts = read_facts(run).map_err(one)?;
    let unfit = unfit(&facts, options);
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let mut paths = inputs(run, options)?;
    if options.reversed {
        paths.reverse();
    }
    let mut intake = Intake::new(options.tables, options.literals);
    let mut spool = Spool::new(run, options.piece);
    let mut faults: Vec<Fault> = Vec::new();
    for path in &paths {
        faults.extend(spool.take(path, Some(&mut intake)).err());
        seen(path);
    }
    // Asked when everything is read: a file that was swapped meanwhile belongs to another run than its neighbours.
    faults.extend(spool.changed());
    for path in TEMPLATED {
        spool.add(path, scripts::template(path).unwrap_or("").as_bytes(), &mut intake);
    }
    faults.extend(content_faults(&intake));
    if !faults.is_empty() {
        return Err(faults);
    }
    let artifacts = artifacts(options.artifacts)?;
    let mut manifest = describe(&facts, options, artifacts, &intake).map_err(one)?;
    spool.add(README, readme_of::render(&manifest, options.tables).as_bytes(), &mut intake);
    manifest.entries = entries(intake.measured(), options.tables);
    finish(out, options, manifest, spool, &mut intake)
}

fn one(fault: Fault) -> Vec<Fault> {
    vec![fault]
}

fn input(reason: Reason) -> Fault {
    Fault::new(Code::Input, reason)
}

/// Reads `run.json`.
///
/// # Errors
/// `E_INPUT` when it cannot be read, is no strict JSON, or has other fields.
pub fn read_facts(run: &Path) -> Result<RunFacts, Fault> {
    let fault = |reason| input(reason).at(run_facts::FILE);
    let mut bytes = Vec::new();
    let file = folder::open_beneath(run, run_facts::FILE).map_err(|error| fault(Reason::Read).found(error))?;
    file.take(layout::HELD_MAX).read_to_end(&mut bytes).map_err(|error| fault(Reason::Read).found(error))?;
    let value = contract::canonical::parse_evidence(&bytes).map_err(|error| fault(Reason::Json).found(error))?;
    let facts: RunFacts = serde_json::from_value(value).map_err(|error| fault(Reason::Field).found(error))?;
    if facts.schema != run_facts::SCHEMA {
        return Err(fault(Reason::Field).expected(run_facts::SCHEMA).found(&facts.schema));
    }
    Ok(facts)
}

/// Why this run must not be packed as this gate.
fn unfit(facts: &RunFacts, options: &BuildOptions<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut refuse = |reason, expected: &str, found: String| {
        faults.push(input(reason).at(run_facts::FILE).expected(expected).found(found));
    };
    if facts.state != RunState::Complete {
        refuse(Reason::Unfit, "a complete run", format!("{:?}", facts.state));
    }
    if !facts.loosened.is_empty() {
        refuse(Reason::Unfit, "no loosened limit", facts.loosened.join(" "));
    }
    if !facts.narrowed.is_empty() {
        refuse(Reason::Unfit, "a run that left nothing out", facts.narrowed.join(" "));
    }
    if facts.subject.dirty && !options.allow_dirty {
        refuse(Reason::Dirty, "a clean tree", "uncommitted changes".into());
    }
    let ids: Vec<&str> = facts.parts.iter().map(|part| part.id.as_str()).collect();
    match agree::expected_parts(options.gate, facts.foreign) {
        None => refuse(Reason::Unfit, "a gate from pr-g0 to pr-g5", options.gate.to_owned()),
        // A verdict is sealed together with the report that holds it, so the run judged these gates and no others.
        Some(expected) if ids != expected => refuse(Reason::Unfit, &expected.join(" "), ids.join(" ")),
        Some(_) => {}
    }
    if !replay_args(facts).is_sound() {
        refuse(
            Reason::Field,
            "profile and settings of a gate run",
            format!("{} {}", facts.profile, facts.set.join(" ")),
        );
    }
    faults
}

fn replay_args(facts: &RunFacts) -> ReplayArgs {
    let RunFacts { parts, foreign, profile, seed, set, .. } = facts;
    let gates = parts.iter().map(|part| part.id.clone()).collect();
    ReplayArgs { gates, foreign: *foreign, profile: profile.clone(), seed: *seed, set: set.clone() }
}

/// Paths of everything that is copied, ascending. What pr-g5 writes about the finished pack is not part of it.
fn inputs(run: &Path, options: &BuildOptions<'_>) -> Result<Vec<String>, Vec<Fault>> {
    let of_the_pack = format!("{EVIDENCE}{WHOLE_RUN}/");
    let evidence = folder::list(&run.join("evidence"), EVIDENCE)?;
    let evidence = evidence.into_iter().map(|found| found.path).filter(|path| !path.starts_with(&of_the_pack));
    let mut paths: Vec<String> = evidence.chain(FIXED.map(str::to_owned)).collect();
    paths.sort_unstable();
    let unknown = paths.iter().filter(|path| match options.tables.kind_of(path) {
        None => true,
        Some(kind) => kind.class == layout::Class::Normalised && normalise::name_for(kind.media_type).is_none(),
    });
    let mut faults: Vec<Fault> = unknown.map(|path| input(Reason::Unknown).at(path)).collect();
    if paths.binary_search_by(|path| path.as_str().cmp(VERDICT)).is_err() {
        faults.push(input(Reason::Missing).at(VERDICT));
    }
    if faults.is_empty() { Ok(paths) } else { Err(faults) }
}

/// What the verifier would refuse in the inputs: better told before there is a pack.
fn content_faults(intake: &Intake<'_>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = intake.measured().values().filter_map(|found| found.fault.clone()).collect();
    faults.extend(agree::built_in_faults(|path| intake.held(path)));
    match intake.held(LEAK_ALLOW).map(AllowList::parse) {
        Some(Ok(allowed)) => faults.extend(intake.tally().settle(&allowed).into_iter().map(Fault::from)),
        Some(Err(error)) => faults.push(error.into()),
        None => {}
    }
    faults
}

/// Everything of the manifest but its entries.
fn describe(
    facts: &RunFacts,
    options: &BuildOptions<'_>,
    artifacts: Vec<Artifact>,
    intake: &Intake<'_>,
) -> Result<Manifest, Fault> {
    let measured = intake.measured();
    let missing = |path: String| input(Reason::Missing).at(path);
    let policy = measured.get(POLICY).ok_or_else(|| missing(POLICY.into()))?.sha256;
    let plans: Vec<String> = facts.parts.iter().map(|part| agree::plan_path(&part.id)).collect();
    if let Some(gone) = plans.into_iter().find(|path| !measured.contains_key(path)) {
        return Err(missing(gone));
    }
    let subject = facts.subject.clone();
    Ok(Manifest {
        format: FORMAT.into(),
        profile: PROFILE.into(),
        gate: GateFacts {
            id: options.gate.into(),
            policy,
            rules: facts.rules,
            verdict: manifest::worst(&facts.parts),
            parts: facts.parts.clone(),
        },
        subject: PackedSubject {
            name: subject.name,
            git_commit: subject.git_commit,
            git_tree: subject.git_tree,
            dirty: subject.dirty,
            artifacts,
        },
        source_date_epoch: facts.source_date_epoch,
        entries: Vec::new(),
        evidence_digest: agree::evidence_digest(measured, options.tables)
            .ok_or_else(|| Fault::new(Code::Evidence, Reason::Normalised))?,
        replay: Replay {
            argv: replay_args(facts).render(),
            env_allow: facts.replay.env_allow.clone(),
            expect: facts.replay.expect,
            master_seed: seed_text(facts.seed),
            plan_sha256: agree::plan_digest(&facts.parts, measured).ok_or_else(|| missing(EVIDENCE.into()))?,
            timeout_s: facts.replay.timeout_s,
        },
        tool: facts.tool.clone(),
        previous_root: options.previous_root.map_or(String::new(), |root| root.to_string()),
        limits: Limits::FIXED,
    })
}

fn entries(measured: &BTreeMap<String, Measured>, tables: &Tables) -> Vec<Entry> {
    let entry = |(path, found): (&String, &Measured)| {
        let kind = tables.kind_of(path)?;
        let normaliser = found.normalised.and_then(|_| normalise::name_for(kind.media_type));
        Some(Entry {
            path: path.clone(),
            size: found.size,
            sha256: found.sha256,
            media_type: kind.media_type,
            role: kind.role,
            class: kind.class,
            normaliser: normaliser.map(str::to_owned),
            normalised_sha256: found.normalised,
        })
    };
    measured.iter().filter_map(entry).collect()
}

/// Released files, hashed where they lie.
fn artifacts(paths: &[PathBuf]) -> Result<Vec<Artifact>, Vec<Fault>> {
    let mut artifacts = paths.iter().map(|path| artifact(path)).collect::<Result<Vec<_>, _>>().map_err(one)?;
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}

fn artifact(path: &Path) -> Result<Artifact, Fault> {
    let fault = |error: io::Error| input(Reason::Read).at(path.to_string_lossy()).found(error);
    let name = path.file_name().ok_or_else(|| fault(io::Error::other("names no file")))?.to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = folder::open_beneath(folder, &name).map_err(fault)?;
    let sha256 = Digest::of_reader(&mut file).map_err(fault)?;
    let size = file.stream_position().map_err(fault)?;
    Ok(Artifact { name, sha256, size })
}

/// Seals: manifest, hash list, archive, name.
fn finish(
    out: &Path,
    options: &BuildOptions<'_>,
    manifest: Manifest,
    mut spool: Spool,
    intake: &mut Intake<'_>,
) -> Result<Built, Vec<Fault>> {
    spool.add(MANIFEST, &agree::encode(&manifest).map_err(one)?, intake);
    let lines: Vec<Line> =
        intake.measured().iter().map(|(path, found)| Line { sha256: found.sha256, path: path.clone() }).collect();
    // The manifest that was just written must pass the verifier's own rules: the run recorded its fields, not we.
    let mut faults = agree::faults(&manifest, &lines, intake.measured(), options.tables);
    faults.extend(content_faults(intake));
    if !faults.is_empty() {
        return Err(faults);
    }
    let list = sums::render(&lines);
    let root = sums::root(&list);
    spool.add(SUMS, &list, intake);
    let path = out.join(file_name(options.gate, root));
    let (size, already_there) = store(out, &path, root, spool).map_err(one)?;
    Ok(Built { path, root, size, manifest, already_there })
}

/// The name of a pack.
#[must_use]
pub fn file_name(gate: &str, root: Digest) -> String {
    let hex = root.to_string();
    format!("proofpack-{gate}-{}.zip", hex.get(..16).unwrap_or(&hex))
}

/// Writes the archive beside its place and moves it there; another file in that place stays.
fn store(out: &Path, path: &Path, root: Digest, spool: Spool) -> Result<(u64, bool), Fault> {
    let io = |error: io::Error| Fault::new(Code::Io, Reason::Read).at(path.to_string_lossy()).found(error);
    std::fs::create_dir_all(out).map_err(io)?;
    let file = tempfile::Builder::new().prefix(".proofpack-").suffix(".tmp").tempfile_in(out).map_err(io)?;
    let mut writer = Writer::new(io::BufWriter::with_capacity(PIECE, file));
    for Input { path, size, crc, mut bytes } in spool.into_inputs()? {
        writer.stream(&path, size, crc, &mut bytes)?;
    }
    let (buffer, size) = writer.finish()?;
    let mut file = buffer.into_inner().map_err(|error| io(error.into_error()))?;
    file.flush().map_err(io)?;
    readable(file.as_file()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok((size, false)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            let there = core_root(path);
            if there == Some(root) { Ok((size, true)) } else { Err(input(Reason::Exists).at(path.to_string_lossy())) }
        }
        Err(error) => Err(io(error.error)),
    }
}

/// A pack is for others to read; temporary files are private, and the umask must not decide.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> io::Result<()> {
    Ok(())
}

/// The root of a pack that lies there, signed or not; `None` if it is no whole archive.
fn core_root(path: &Path) -> Option<Digest> {
    /// Keeps the hash list alone.
    #[derive(Default)]
    struct List(bool, Vec<u8>);
    impl Sink for List {
        fn begin(&mut self, record: &Record) {
            self.0 = record.path == SUMS;
        }
        fn piece(&mut self, bytes: &[u8]) {
            if self.0 {
                self.1.extend_from_slice(bytes);
            }
        }
        fn end(&mut self) {
            self.0 = false;
        }
    }
    let mut list = List::default();
    let file = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .and_then(|_| std::fs::File::open(path).ok())?;
    read::read(file, &mut list).ok()?;
    Some(sums::root(&list.1))
}
