//! What a manifest must agree with: its own fields, the hash list, the bytes of the members (step 6, PPK-14).

use std::collections::BTreeMap;

use contract::digest::Digest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::codes::{Code, Fault, Reason, escape};
use super::intake::Measured;
use super::json;
use super::layout::{self, Class, EVIDENCE, MANIFEST, POLICY, SBOM, TOOLCHAIN, Tables};
use super::manifest::{self, ENV_ALLOWED, Entry, FORMAT, Limits, Manifest, PROFILE, Part, WHOLE_RUN};
use super::names;
use super::normalise;
use super::replay_args::{self, ReplayArgs, parse_seed};
use super::sums::Line;

/// Fields of `toolchain.json` (PPK-5).
pub const TOOLCHAIN_FIELDS: [&str; 8] =
    ["cargo", "cargo_lock_sha256", "profile", "rust_toolchain_sha256", "rustc", "sbom_sha256", "schema", "target"];
/// Fields of `environment.json` (PPK-5); none of them can hold a host name, user name or path.
pub const ENVIRONMENT_FIELDS: [&str; 10] = [
    "arch",
    "cpu_model",
    "filesystem",
    "kernel",
    "load_x100",
    "logical_cpus",
    "machine_class",
    "memory_mib",
    "os",
    "schema",
];

/// Reads a manifest: canonical form first, then its fields.
///
/// # Errors
/// `E_MANIFEST canonical` with the offset, or `E_MANIFEST field`.
pub fn decode(bytes: &[u8]) -> Result<Manifest, Fault> {
    check_canonical(MANIFEST, bytes)?;
    serde_json::from_slice(bytes).map_err(|error| field("").found(error))
}

/// Writes a manifest in its canonical form.
///
/// # Errors
/// `E_INPUT field` when a text in it is not printable ASCII, or a number is beyond 2^53.
pub fn encode(manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    let refused = |what: String| Fault::new(Code::Input, Reason::Field).at(MANIFEST).found(what);
    let text = serde_json::to_vec(manifest).map_err(|error| refused(error.to_string()))?;
    json::canonical(&text).map_err(|fault| refused(fault.to_string()))
}

/// Checks that a member is canonical JSON.
///
/// # Errors
/// `E_MANIFEST canonical` with the offset in the member.
pub fn check_canonical(path: &str, bytes: &[u8]) -> Result<(), Fault> {
    let fault = |fault: json::JsonFault| {
        Fault::new(Code::Manifest, Reason::Canonical).at(path).offset(fault.offset as u64).found(fault.what)
    };
    json::check_canonical(bytes).map_err(fault)
}

/// SHA-256 over the plan lines of the parts, ascending: how a replay knows that it runs the same plan.
#[must_use]
pub fn plan_digest(parts: &[Part], measured: &BTreeMap<String, Measured>) -> Option<Digest> {
    let mut hash = Sha256::new();
    for part in parts {
        let plan = measured.get(&plan_path(&part.id))?;
        hash.update(format!("{} {}\n", part.id, plan.sha256));
    }
    Some(Digest::from_bytes(hash.finalize().into()))
}

/// Where the plan of a gate lies.
#[must_use]
pub fn plan_path(gate: &str) -> String {
    format!("{EVIDENCE}{gate}/plan.json")
}

/// SHA-256 over `path NUL digest LF` of what a replay compares, ascending; `None` while a file cannot be normalised.
#[must_use]
pub fn evidence_digest(measured: &BTreeMap<String, Measured>, tables: &Tables) -> Option<Digest> {
    let mut hash = Sha256::new();
    for (path, found) in measured.range(EVIDENCE.to_owned()..).take_while(|(path, _)| path.starts_with(EVIDENCE)) {
        let digest = match tables.kind_of(path).map(|kind| kind.class) {
            Some(Class::Deterministic) => found.sha256,
            Some(Class::Normalised) => found.normalised?,
            Some(Class::Volatile) | None => continue,
        };
        hash.update(format!("{path}\0{digest}\n"));
    }
    Some(Digest::from_bytes(hash.finalize().into()))
}

/// Everything in the manifest that contradicts the format, the hash list or the members.
#[must_use]
pub fn faults(
    manifest: &Manifest,
    lines: &[Line],
    measured: &BTreeMap<String, Measured>,
    tables: &Tables,
) -> Vec<Fault> {
    let mut faults = own_faults(manifest);
    faults.extend(entry_faults(&manifest.entries, lines, measured, tables));
    let digests = [
        ("/gate/policy", Some(manifest.gate.policy), measured.get(POLICY).map(|found| found.sha256)),
        ("/replay/plan_sha256", Some(manifest.replay.plan_sha256), plan_digest(&manifest.gate.parts, measured)),
    ];
    faults.extend(digests.into_iter().filter(|(_, told, found)| told != found).map(|(pointer, told, found)| {
        let fault = mismatch(pointer);
        fault
            .expected(found.map_or("a digest of members".into(), |found| found.to_string()))
            .found(told.map_or(String::new(), |told| told.to_string()))
    }));
    faults
}

/// What the evidence says against the manifest: its own faults, normalised digests, evidence digest.
#[must_use]
pub fn evidence_faults(manifest: &Manifest, measured: &BTreeMap<String, Measured>, tables: &Tables) -> Vec<Fault> {
    let normalised = manifest.entries.iter().filter_map(|entry| {
        let found = measured.get(&entry.path).filter(|found| found.fault.is_none())?.normalised;
        let fault = Fault::new(Code::Evidence, Reason::Normalised).at(&entry.path);
        (found != entry.normalised_sha256).then(|| fault.expected(show(entry.normalised_sha256)).found(show(found)))
    });
    let digest = evidence_digest(measured, tables)
        .filter(|found| *found != manifest.evidence_digest)
        .map(|found| Fault::new(Code::Evidence, Reason::Digest).expected(manifest.evidence_digest).found(found));
    normalised.chain(digest).collect()
}

fn show(digest: Option<Digest>) -> String {
    digest.map_or("none".into(), |digest| digest.to_string())
}

/// The built-in JSON members beside the manifest: canonical form, fields, and the SBOM digest.
#[must_use]
pub fn built_in_faults<'a>(held: impl Fn(&str) -> Option<&'a [u8]>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for member in layout::BUILT_IN.iter().filter(|member| member.canonical && member.path != MANIFEST) {
        // A missing member is the set's matter.
        let Some(bytes) = held(member.path) else { continue };
        let checked = check_canonical(member.path, bytes).and_then(|()| match member.path {
            TOOLCHAIN => check_fields(TOOLCHAIN, bytes, &TOOLCHAIN_FIELDS),
            layout::ENVIRONMENT => check_fields(layout::ENVIRONMENT, bytes, &ENVIRONMENT_FIELDS),
            _ => Ok(Value::Null),
        });
        match checked {
            Err(fault) => faults.push(fault),
            Ok(toolchain) if member.path == TOOLCHAIN => {
                let told = toolchain.get("sbom_sha256").and_then(Value::as_str).unwrap_or("none");
                let found = held(SBOM).map(|bytes| Digest::of(bytes).to_string());
                if let Some(found) = found.filter(|found| found != told) {
                    let fault = Fault::new(Code::Manifest, Reason::Mismatch).at(format!("{TOOLCHAIN}#/sbom_sha256"));
                    faults.push(fault.expected(found).found(told));
                }
            }
            Ok(_) => {}
        }
    }
    faults
}

/// An object with exactly these fields, none of them null or empty.
fn check_fields(path: &str, bytes: &[u8], fields: &[&str]) -> Result<Value, Fault> {
    let fault = |pointer: &str| Fault::new(Code::Manifest, Reason::Field).at(format!("{path}#/{pointer}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|error| fault("").found(error))?;
    let object = value.as_object().ok_or_else(|| fault("").expected("an object"))?;
    let blank = |value: &Value| {
        value.is_null() || value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
    };
    if let Some(missing) = fields.iter().find(|name| object.get(**name).is_none_or(blank)) {
        return Err(fault(missing).expected("a value"));
    }
    match object.keys().find(|name| !fields.contains(&name.as_str())) {
        Some(unknown) => Err(fault(unknown).found("an unknown field")),
        None => Ok(value),
    }
}

fn field(pointer: &str) -> Fault {
    Fault::new(Code::Manifest, Reason::Field).at(format!("{MANIFEST}#{pointer}"))
}

fn mismatch(pointer: &str) -> Fault {
    Fault::new(Code::Manifest, Reason::Mismatch).at(format!("{MANIFEST}#{pointer}"))
}

/// The rules that need nothing but the manifest.
fn own_faults(manifest: &Manifest) -> Vec<Fault> {
    let Manifest { gate, subject, replay, tool, .. } = manifest;
    let args = ReplayArgs::parse(&replay.argv);
    let foreign = args.as_ref().is_some_and(|args| args.foreign);
    let ids: Vec<&str> = gate.parts.iter().map(|part| part.id.as_str()).collect();
    let expected = expected_parts(&gate.id, foreign);
    let known = expected.as_ref().is_some_and(|expected| ids == *expected);
    let ascending = |names: &[&str]| names.windows(2).all(|pair| pair[0] < pair[1]);
    let artifacts: Vec<&str> = subject.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    let env: Vec<&str> = replay.env_allow.iter().map(String::as_str).collect();
    let root = &manifest.previous_root;
    let rules: [(bool, &str, &str, String); 12] = [
        (manifest.format == FORMAT, "/format", FORMAT, manifest.format.clone()),
        (manifest.profile == PROFILE, "/profile", PROFILE, manifest.profile.clone()),
        (expected.is_some(), "/gate/id", "pr-g0 to pr-g5", gate.id.clone()),
        (known || expected.is_none(), "/gate/parts", "the gates of this pack", ids.join(" ")),
        (gate.verdict == manifest::worst(&gate.parts), "/gate/verdict", "the worst part", gate.verdict.word().into()),
        (
            ascending(&artifacts)
                && artifacts.iter().all(|name| names::check(name.as_bytes()).is_ok() && !name.contains('/')),
            "/subject/artifacts",
            "file names in ascending order",
            artifacts.join(" "),
        ),
        (
            ascending(&env) && env.iter().all(|name| ENV_ALLOWED.contains(name)),
            "/replay/env_allow",
            "allowed names in ascending order",
            env.join(" "),
        ),
        (
            args.as_ref().is_none_or(|args| parse_seed(&replay.master_seed) == Some(args.seed)),
            "/replay/master_seed",
            "the seed of argv",
            replay.master_seed.clone(),
        ),
        (replay.timeout_s > 0, "/replay/timeout_s", "a limit in seconds", replay.timeout_s.to_string()),
        (root.is_empty() || Digest::parse(root).is_some(), "/previous_root", "a digest or nothing", root.clone()),
        (manifest.limits == Limits::FIXED, "/limits", "the limits of the format", format!("{:?}", manifest.limits)),
        (
            !tool.name.is_empty() && !tool.version.is_empty() && !subject.name.is_empty(),
            "/tool",
            "names",
            String::new(),
        ),
    ];
    let broken = rules.into_iter().filter(|(held, ..)| !held);
    let mut faults: Vec<Fault> =
        broken.map(|(_, pointer, expected, found)| field(pointer).expected(expected).found(found)).collect();
    match args {
        None => faults.push(replay_args::refused(&replay.argv)),
        Some(args) if args.gates != ids => faults.push(replay_args::refused(&replay.argv)),
        Some(_) => {}
    }
    faults
}

/// The parts a pack of this gate has; `None` for an unknown gate.
#[must_use]
pub fn expected_parts(gate: &str, foreign: bool) -> Option<Vec<&str>> {
    const OWN: [&str; 5] = ["pr-g0", "pr-g1", "pr-g2", "pr-g3", "pr-g4"];
    match gate {
        WHOLE_RUN if foreign => Some(vec!["pr-g0", "pr-g4"]),
        WHOLE_RUN => Some(OWN.to_vec()),
        _ => OWN.contains(&gate).then(|| vec![gate]),
    }
}

/// Entries against the hash list, the sizes, and what the layout and the contract say of each path.
fn entry_faults(
    entries: &[Entry],
    lines: &[Line],
    measured: &BTreeMap<String, Measured>,
    tables: &Tables,
) -> Vec<Fault> {
    let listed: Vec<&Line> = lines.iter().filter(|line| line.path != MANIFEST).collect();
    let paths_agree =
        listed.len() == entries.len() && listed.iter().zip(entries).all(|(line, entry)| line.path == entry.path);
    if !paths_agree {
        let at = listed.iter().zip(entries).position(|(line, entry)| line.path != entry.path);
        let at = at.unwrap_or(listed.len().min(entries.len()));
        let name = |path: Option<&String>| path.map_or("nothing".into(), |path| escape(path.as_bytes()));
        let fault = mismatch(&format!("/entries/{at}/path"));
        return vec![
            fault
                .expected(name(listed.get(at).map(|line| &line.path)))
                .found(name(entries.get(at).map(|entry| &entry.path))),
        ];
    }
    listed
        .iter()
        .zip(entries)
        .enumerate()
        .flat_map(|(at, (line, entry))| entry_fault(at, line, entry, measured, tables))
        .collect()
}

fn entry_fault(
    at: usize,
    line: &Line,
    entry: &Entry,
    measured: &BTreeMap<String, Measured>,
    tables: &Tables,
) -> Option<Fault> {
    let pointer = |name: &str| format!("/entries/{at}/{name}");
    if entry.sha256 != line.sha256 {
        return Some(mismatch(&pointer("sha256")).expected(line.sha256).found(entry.sha256));
    }
    if let Some(found) = measured.get(&entry.path).filter(|found| found.size != entry.size) {
        return Some(Fault::new(Code::Hash, Reason::Size).at(&entry.path).expected(entry.size).found(found.size));
    }
    // A path without a place is the set's matter.
    let kind = tables.kind_of(&entry.path)?;
    if (entry.role, entry.media_type) != (kind.role, kind.media_type) {
        return Some(field(&pointer("role")).expected(format!("{:?}", kind.role)).found(format!("{:?}", entry.role)));
    }
    if entry.class != kind.class {
        let fault = Fault::new(Code::Manifest, Reason::Class).at(&entry.path);
        return Some(fault.expected(format!("{:?}", kind.class)).found(format!("{:?}", entry.class)));
    }
    let normaliser = (kind.class == Class::Normalised).then(|| normalise::name_for(kind.media_type)).flatten();
    let right = entry.normaliser.as_deref() == normaliser && entry.normalised_sha256.is_some() == normaliser.is_some();
    (!right).then(|| {
        field(&pointer("normaliser"))
            .expected(normaliser.unwrap_or("none"))
            .found(entry.normaliser.as_deref().unwrap_or("none"))
    })
}
