//! What a run says about machine, toolchain, dependencies and itself: the members of a pack that no judge writes
//! (PPK-1, PPK-5, PPK-38), and `run.json`, from which a pack is built (PPK-17).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::canonical;
use contract::digest::Digest;
use gates::check::Verdict;
use gates::proofpack::layout::{ENVIRONMENT, SBOM, TOOLCHAIN};
use gates::proofpack::manifest::{ENV_ALLOWED, GitId, Level, Part, Subject, Tool};
use gates::proofpack::run_facts::{self, ReplayFacts, RunFacts, RunState};
use gates::proofpack::sbom;
use gates::verdict::{GateReport, RULES_VERSION};
use serde::Serialize;

use crate::failure::Failure;
use crate::gate::Run;
use crate::preflight;
use crate::process;
use crate::progress::Progress;
use crate::runs::RunFolder;
use crate::selection::SEAL;

/// Name of the whole, in packs and in the list of dependencies.
const PRODUCT: &str = "proofhouse";
/// Cargo reads manifests that are all on disk.
const METADATA_MAX: Duration = Duration::from_secs(120);
/// How long a replay may take, by far: compiling on a slow machine, then the gates.
const REPLAY_MAX_S: u64 = 7200;

/// `toolchain.json`.
#[derive(Debug, Serialize)]
struct ToolchainFile<'a> {
    schema: &'static str,
    rustc: &'a [String],
    cargo: &'a str,
    target: &'a str,
    /// The cargo profile in which the programs were built.
    profile: &'static str,
    cargo_lock_sha256: Digest,
    rust_toolchain_sha256: Digest,
    sbom_sha256: Digest,
}

/// `environment.json`: never a host name, a user name or a path.
#[derive(Debug, Serialize)]
struct EnvironmentFile {
    schema: &'static str,
    os: &'static str,
    kernel: String,
    arch: &'static str,
    cpu_model: String,
    logical_cpus: u64,
    memory_mib: u64,
    /// One-minute load average times 100.
    load_x100: u64,
    filesystem: String,
    /// Machines that can be compared with each other have the same class.
    machine_class: String,
}

/// Writes `sbom.cdx.json`, `toolchain.json` and `environment.json`.
///
/// # Errors
/// Cargo fails, or a file cannot be read or written.
pub(crate) fn write_members(run: &Run, progress: &mut Progress) -> Result<(), Failure> {
    let host = run.toolchain.host().ok_or_else(|| Failure::internal("`rustc -vV` names no host"))?;
    let lock_path = run.space.root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock_path).map_err(|error| Failure::file("cannot read", &lock_path, &error))?;
    // Without the filter cargo wants the crates of every platform on disk, which a build never downloads.
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let answer = process::cargo(&run.space.root, Some(&run.space.target), arguments, METADATA_MAX).ask(progress)?;
    if !answer.succeeded() {
        let text = format!("cargo cannot list the dependencies: {}{}", answer.end, answer.tail_text());
        return Err(Failure::infrastructure(text).hint("`cargo fetch --locked` downloads what is missing"));
    }
    let sbom = sbom::render(&answer.out, &lock, (PRODUCT, env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::internal(error.to_string()))?;
    run.folder.write(SBOM, &sbom)?;

    let pinned = run.space.root.join("rust-toolchain.toml");
    let pinned = std::fs::read(&pinned).map_err(|error| Failure::file("cannot read", &pinned, &error))?;
    let toolchain = ToolchainFile {
        schema: "proofhouse.toolchain/1",
        rustc: &run.toolchain.rustc,
        cargo: &run.toolchain.cargo,
        target: host,
        profile: "dev",
        cargo_lock_sha256: preflight::lock_digest(&run.space.root)?,
        rust_toolchain_sha256: Digest::of(&pinned),
        sbom_sha256: Digest::of(&sbom),
    };
    write_canonical(run, TOOLCHAIN, &toolchain)?;
    write_canonical(run, ENVIRONMENT, &environment(&run.space.target))
}

/// Writes `run.json`. Outside git there is no subject to name, so none is written and no pack can be cut.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_run(run: &Run, state: RunState) -> Result<(), Failure> {
    let (Some(git_commit), Some(git_tree)) = (GitId::parse(&run.source.commit), GitId::parse(&run.source.tree)) else {
        return Ok(());
    };
    let Some(seed) = run.plans.first().map(|plan| plan.master_seed) else { return Ok(()) };
    let subject = &run.loaded.policy.values.command_subject;
    let foreign = run.asked.is_foreign();
    let name = subject.first().filter(|_| foreign).map_or(PRODUCT, |program| base_name(program));
    let facts = RunFacts {
        schema: run_facts::SCHEMA.into(),
        state,
        parts: parts(&run.judged),
        rules: RULES_VERSION,
        subject: Subject { name: name.to_owned(), git_commit, git_tree, dirty: !run.source.dirty.is_empty() },
        foreign,
        source_date_epoch: run.source.epoch,
        profile: run.loaded.policy.file.profile.clone(),
        seed,
        set: run.loaded.set.clone(),
        replay: ReplayFacts {
            env_allow: ENV_ALLOWED.iter().map(|&name| name.to_owned()).collect(),
            expect: Level::NormalisedEqual,
            timeout_s: REPLAY_MAX_S,
        },
        tool: run.tool.clone(),
        loosened: run.loaded.policy.file.loosened.iter().map(|one| one.key.clone()).collect(),
        narrowed: run.asked.narrowed.clone(),
    };
    run.folder.write_json(run_facts::FILE, &facts)?;
    Ok(())
}

/// The gates that a pack seals; one that was not judged stands as no evidence (GAT-1).
fn parts(judged: &[GateReport]) -> Vec<Part> {
    let sealed = judged.iter().filter(|gate| gate.id != SEAL);
    sealed
        .map(|gate| Part { id: gate.id.clone(), verdict: gate.state.verdict().unwrap_or(Verdict::NoEvidence) })
        .collect()
}

/// Where a run keeps the program that drives it.
pub(crate) fn program(folder: &RunFolder) -> PathBuf {
    folder.path.join("tool").join("xtask")
}

/// Keeps the program that runs and says which one it is. Done at the start: `cargo test` may put a newer one in its place
/// while the run goes on, and the pack is later verified by this one in processes of its own.
///
/// # Errors
/// The running program cannot be read, or not kept.
pub(crate) fn tool(folder: &RunFolder) -> Result<Tool, Failure> {
    let failed = |error: std::io::Error| Failure::infrastructure(format!("cannot keep the running program: {error}"));
    let own = std::env::current_exe().map_err(failed)?;
    let kept = program(folder);
    std::fs::create_dir(folder.path.join("tool")).map_err(failed)?;
    // A link costs nothing; another file system, or one without links, gets a copy.
    if std::fs::hard_link(&own, &kept).is_err() {
        std::fs::copy(&own, &kept).map_err(failed)?;
    }
    let sha256 = File::open(&kept).and_then(Digest::of_reader).map_err(failed)?;
    Ok(Tool { name: "xtask".into(), version: env!("CARGO_PKG_VERSION").into(), sha256 })
}

fn base_name(program: &str) -> &str {
    program.rsplit(['/', '\\']).next().unwrap_or(program)
}

/// Canonical JSON with a final LF (PPK-3).
fn write_canonical(run: &Run, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let bytes = canonical::to_bytes(value).map_err(|error| Failure::internal(format!("{name}: {error}")))?;
    run.folder.write(name, &[bytes.as_slice(), b"\n"].concat())?;
    Ok(())
}

const UNKNOWN: &str = "unknown";

/// What the kernel says. Where it does not say it the field reads `unknown` or 0: facts for readers, judged by nobody.
fn environment(target: &Path) -> EnvironmentFile {
    let proc = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|_| String::new());
    let cpu_info = proc("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let cpu_model = ascii(&field(&cpu_info, "model name").unwrap_or_else(|| UNKNOWN.into()));
    let memory = field(&proc("/proc/meminfo"), "MemTotal").unwrap_or_else(String::new);
    let memory_kib: u64 = memory.split_whitespace().next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let load: f64 = proc("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let kernel = proc("/proc/sys/kernel/osrelease");
    let logical_cpus = std::thread::available_parallelism().map_or(0, |count| count.get() as u64);
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    EnvironmentFile {
        schema: "proofhouse.environment/1",
        os,
        kernel: if kernel.trim().is_empty() { UNKNOWN.into() } else { ascii(kernel.trim()) },
        arch,
        machine_class: format!("{os}-{arch}-{logical_cpus}x-{}", slug(&cpu_model)),
        cpu_model,
        logical_cpus,
        memory_mib: memory_kib / 1024,
        load_x100: (load * 100.0).round() as u64,
        filesystem: ascii(&filesystem(target, &proc("/proc/mounts"))),
    }
}

/// The type of the file system that holds `folder`: that of the longest mount point above it.
fn filesystem(folder: &Path, mounts: &str) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let entries = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        // Spaces in mount points are written as an octal escape.
        let (_, place, kind) = (words.next()?, words.next()?.replace("\\040", " "), words.next()?);
        folder.starts_with(&place).then_some((place.len(), kind))
    });
    entries.max().map_or_else(|| UNKNOWN.to_owned(), |(_, kind)| kind.to_owned())
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

fn slug(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gates::proofpack::leak::{Literals, scan};
    use gates::verdict::State;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /no\\040such tmpfs rw 0 0\next4 /no\\040such/deep ext4 rw 0 0\n";
        assert_eq!(filesystem(Path::new("/no such/deep/target"), mounts), "ext4");
        assert_eq!(filesystem(Path::new("/no such/deeper"), mounts), "tmpfs");
        assert_eq!(filesystem(Path::new("/else"), mounts), "overlay");
        assert_eq!(filesystem(Path::new("/else"), ""), UNKNOWN);
    }

    #[test]
    fn gat_1_a_blocked_gate_is_packed_as_no_evidence_and_the_seal_is_no_part() {
        let gate = |id: &str, state| GateReport { id: id.into(), state, checks: vec![] };
        let judged = [
            gate("pr-g1", State::Judged { verdict: Verdict::Pass }),
            gate("pr-g2", State::Blocked { by: "pr-g1".into() }),
            gate("pr-g5", State::Judged { verdict: Verdict::Pass }),
        ];
        let found: Vec<_> = parts(&judged).into_iter().map(|part| (part.id, part.verdict)).collect();
        assert_eq!(found, [("pr-g1".into(), Verdict::Pass), ("pr-g2".into(), Verdict::NoEvidence)]);
    }

    #[test]
    fn ppk_5_the_environment_is_canonical_ascii() {
        let bytes = canonical::to_bytes(&environment(&std::env::temp_dir())).expect("integers and text");
        let leaks = scan(ENVIRONMENT, &bytes, &Literals::none());
        assert!(bytes.is_ascii() && leaks.is_empty(), "{}", String::from_utf8_lossy(&bytes));
    }
}
