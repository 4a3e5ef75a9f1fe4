//! `MANIFEST.json`: the index of a pack, its types, and what it must agree with (section 2 of the format).

use contract::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::check::Verdict;

use super::layout::{ARCHIVE_MAX, Class, MEMBERS_MAX, MediaType, Role};
use super::names::{COMPONENT_MAX, DEPTH_MAX, PATH_MAX};

/// Format name of this version.
pub const FORMAT: &str = "proofpack/1";
/// Byte profile of this version.
pub const PROFILE: &str = "zip-stored-1";
/// The gate that packs a whole run.
pub const WHOLE_RUN: &str = "pr-g5";
/// Normaliser of row files: per line.
pub const JSONL_TIMING: &str = "jsonl-timing/1";
/// Normaliser of JSON files: whole file.
pub const JSON_TIMING: &str = "json-timing/1";

/// The whole manifest. Field order here is no matter: the canonical form sorts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`PROFILE`].
    pub profile: String,
    /// Gate and verdict.
    pub gate: GateFacts,
    /// What was judged.
    pub subject: PackedSubject,
    /// Committer time of the commit, in seconds since 1970; the only time in the core of the pack.
    pub source_date_epoch: u64,
    /// Every line of the hash list but the manifest's own, in its order.
    pub entries: Vec<Entry>,
    /// SHA-256 over what a replay compares (PPK-14).
    pub evidence_digest: Digest,
    /// How to run again.
    pub replay: Replay,
    /// What ran the gate.
    pub tool: Tool,
    /// Root of the previous pack of this gate; empty for the first.
    pub previous_root: String,
    /// Copy of the limits of the format.
    pub limits: Limits,
}

/// Gate, rules and verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateFacts {
    /// The gate packed; [`WHOLE_RUN`] for all of them.
    pub id: String,
    /// SHA-256 of `policy/gate.json`.
    pub policy: Digest,
    /// Rules version of the judge.
    pub rules: u64,
    /// Overall verdict: that of the worst part.
    pub verdict: Verdict,
    /// Verdict of each gate inside, by id.
    pub parts: Vec<Part>,
}

/// One gate inside a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Gate id, such as `pr-g1`.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
}

/// The worst of the parts; a pack without a part has no evidence.
#[must_use]
pub fn worst(parts: &[Part]) -> Verdict {
    parts.iter().map(|part| part.verdict).max().unwrap_or(Verdict::NoEvidence)
}

/// A git object id: 40 or 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitId(String);

impl GitId {
    /// Reads an object id; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (hex && matches!(text.len(), 40 | 64)).then(|| Self(text.to_owned()))
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GitId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a git object id is 40 or 64 lower-case hex digits")
    }
}

impl From<GitId> for String {
    fn from(id: GitId) -> Self {
        id.0
    }
}

/// What was judged, as the run recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Name of the program or workspace.
    pub name: String,
    /// The commit.
    pub git_commit: GitId,
    /// Its tree.
    pub git_tree: GitId,
    /// Whether the working tree differed from the commit.
    pub dirty: bool,
}

/// What was judged, with the released files outside the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedSubject {
    /// Name of the program or workspace.
    pub name: String,
    /// The commit.
    pub git_commit: GitId,
    /// Its tree.
    pub git_tree: GitId,
    /// Whether the working tree differed from the commit.
    pub dirty: bool,
    /// Released files outside the pack, by name; may be empty.
    pub artifacts: Vec<Artifact>,
}

/// A released file outside the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// File name without folders.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// One listed member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Path in the pack.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// How it is read.
    pub media_type: MediaType,
    /// What it is for.
    pub role: Role,
    /// What a replay compares.
    pub class: Class,
    /// Name of the normaliser; exactly for class `normalised`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normaliser: Option<String>,
    /// SHA-256 of the normalised bytes; exactly for class `normalised`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised_sha256: Option<Digest>,
}

/// How to run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Argument list, without a shell.
    pub argv: Vec<String>,
    /// Environment names that are passed on.
    pub env_allow: Vec<String>,
    /// Lowest accepted result.
    pub expect: Level,
    /// Master seed: `0x` and 16 hex digits.
    pub master_seed: String,
    /// SHA-256 over the plan lines of the parts.
    pub plan_sha256: Digest,
    /// Limit in seconds.
    pub timeout_s: u64,
}

/// How well a replay agreed, better last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The evidence digest is equal.
    NormalisedEqual,
    /// The raw bytes of all compared files are equal.
    Reproduced,
}

/// The executable that ran the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the executable.
    pub sha256: Digest,
}

/// Copy of the limits of PPK-12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest archive in bytes.
    pub archive_bytes: u64,
    /// Longest name component in bytes.
    pub component: u64,
    /// Most components in a path.
    pub depth: u64,
    /// Most members.
    pub entries: u64,
    /// Longest path in bytes.
    pub path: u64,
}

impl Limits {
    /// The limits of this version; a manifest with others is refused.
    pub const FIXED: Self = Self {
        archive_bytes: ARCHIVE_MAX,
        component: COMPONENT_MAX as u64,
        depth: DEPTH_MAX as u64,
        entries: MEMBERS_MAX as u64,
        path: PATH_MAX as u64,
    };
}

/// Environment names that a replay may pass on (PPK-30).
pub const ENV_ALLOWED: [&str; 6] = ["CARGO_HOME", "HOME", "PATH", "RUSTUP_HOME", "SYSTEMROOT", "TMPDIR"];
