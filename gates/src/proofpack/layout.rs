//! The members of a pack: which paths there are, what each is for, how large it may be (PPK-1, PPK-12).

use serde::{Deserialize, Serialize};

/// Longest archive in bytes.
pub const ARCHIVE_MAX: u64 = 1 << 31;
/// Most members.
pub const MEMBERS_MAX: usize = 20_000;
/// Largest member that is held in memory as a whole, `json-timing/1` files included, in bytes.
pub const HELD_MAX: u64 = 16 << 20;
/// Longest evidence row in bytes, its line end included.
pub const ROW_MAX: usize = 1 << 20;

/// The index of the pack.
pub const MANIFEST: &str = "MANIFEST.json";
/// The text for people.
pub const README: &str = "README.txt";
/// The hash list; its SHA-256 is the root.
pub const SUMS: &str = "SHA256SUMS.txt";
/// Optional SSH signature over the hash list.
pub const SIGNATURE: &str = "SHA256SUMS.txt.sig";
/// Optional DSSE envelopes, one a line.
pub const ATTESTATION: &str = "attestation.intoto.jsonl";
/// A name that is reserved for a later version of the format.
pub const WITHHELD: &str = "WITHHELD.txt";
/// Facts about the machine that ran the gate.
pub const ENVIRONMENT: &str = "environment.json";
/// Where evidence lies.
pub const EVIDENCE: &str = "evidence/";
/// The judge's full report.
pub const VERDICT: &str = "evidence/verdict.json";
/// All policy the judges read.
pub const POLICY: &str = "policy/gate.json";
/// The leak allow-list.
pub const LEAK_ALLOW: &str = "policy/leak-allow.json";
/// Starts the run again.
pub const REPLAY_SH: &str = "replay.sh";
/// Checks an extracted pack on a POSIX system.
pub const VERIFY_SH: &str = "verify.sh";
/// Checks an extracted pack on Windows.
pub const VERIFY_PS1: &str = "verify.ps1";
/// The fixed scripts, in the order in which releases list their digests.
pub const TEMPLATED: [&str; 3] = [REPLAY_SH, VERIFY_PS1, VERIFY_SH];
/// Dependencies, CycloneDX 1.6.
pub const SBOM: &str = "sbom.cdx.json";
/// Pinned build inputs.
pub const TOOLCHAIN: &str = "toolchain.json";

/// What a member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Observations.
    Evidence,
    /// The judge's report.
    Verdict,
    /// What the judges read beside evidence.
    Policy,
    /// The machine.
    Environment,
    /// Build inputs.
    Toolchain,
    /// Dependencies.
    Sbom,
    /// Fixed scripts.
    Script,
    /// Text for people.
    Readme,
}

/// How a member is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaType {
    /// One strict JSON document.
    #[serde(rename = "application/json")]
    Json,
    /// One strict JSON document a line.
    #[serde(rename = "application/jsonl")]
    Jsonl,
    /// One CycloneDX document.
    #[serde(rename = "application/vnd.cyclonedx+json")]
    CycloneDx,
    /// Text.
    #[serde(rename = "text/plain")]
    Text,
    /// Anything.
    #[serde(rename = "application/octet-stream")]
    Bytes,
}

/// What a replay compares of a member (section 5 of the format); the contract fixes it for each evidence file.
pub use contract::record::EvidenceClass as Class;

/// Role, media type and class of a member, as its manifest entry must state them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What it is for.
    pub role: Role,
    /// How it is read.
    pub media_type: MediaType,
    /// What a replay compares.
    pub class: Class,
}

/// A member with a fixed path.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its path.
    pub path: &'static str,
    /// Its manifest entry; `None` for the manifest, the hash list and what vouches for it.
    pub kind: Option<Kind>,
    /// Whether the hash list names it.
    pub listed: bool,
    /// Whether a pack without it is refused.
    pub required: bool,
    /// Whether it must be canonical JSON (PPK-3).
    pub canonical: bool,
    /// Largest size in bytes.
    pub max: u64,
}

/// Every member with a fixed path, in archive order.
pub const BUILT_IN: [BuiltIn; 15] = {
    use Class::{Deterministic, Volatile};
    const fn row(path: &'static str, role: Role, media_type: MediaType, class: Class) -> BuiltIn {
        let canonical = matches!(role, Role::Environment | Role::Toolchain | Role::Sbom);
        let kind = Some(Kind { role, media_type, class });
        BuiltIn { path, kind, listed: true, required: true, canonical, max: HELD_MAX }
    }
    const fn seal(path: &'static str, required: bool, max: u64) -> BuiltIn {
        BuiltIn { path, kind: None, listed: false, required, canonical: false, max }
    }
    [
        BuiltIn { listed: true, canonical: true, ..seal(MANIFEST, true, HELD_MAX) },
        row(README, Role::Readme, MediaType::Text, Deterministic),
        seal(SUMS, true, 8 << 20),
        seal(SIGNATURE, false, 4 << 10),
        seal(ATTESTATION, false, 1 << 20),
        row(ENVIRONMENT, Role::Environment, MediaType::Json, Volatile),
        row(VERDICT, Role::Verdict, MediaType::Json, Volatile),
        row(POLICY, Role::Policy, MediaType::Json, Deterministic),
        row(LEAK_ALLOW, Role::Policy, MediaType::Json, Deterministic),
        row(REPLAY_SH, Role::Script, MediaType::Text, Deterministic),
        row(SBOM, Role::Sbom, MediaType::CycloneDx, Deterministic),
        row(TOOLCHAIN, Role::Toolchain, MediaType::Json, Deterministic),
        row(VERIFY_PS1, Role::Script, MediaType::Text, Deterministic),
        row(VERIFY_SH, Role::Script, MediaType::Text, Deterministic),
        // Known by name so that it is refused as withheld, not as a stray file.
        seal(WITHHELD, false, HELD_MAX),
    ]
};

/// The member with this fixed path, if there is one.
#[must_use]
pub fn built_in(path: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|member| member.path == path)
}

/// What this release says about evidence and gates, as functions, so that an older or a test contract can be put in its place.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// Class of an evidence file by its path in the pack; `None` for a file that no gate names.
    pub class_of: fn(&str) -> Option<Class>,
    /// Timing fields of a row's schema; `None` for an unknown schema.
    pub volatile_fields: fn(&str) -> Option<&'static [&'static str]>,
    /// What a PASS of a gate claims; `None` for an unknown gate.
    pub claim_of: fn(&str) -> Option<&'static str>,
}

impl Tables {
    /// What this release's contract says.
    pub const CONTRACT: Self = Self {
        class_of: contract::record::class_of,
        volatile_fields: contract::record::volatile_fields,
        claim_of: |gate| crate::gate::find(gate).map(|gate| gate.claim),
    };

    /// Role, media type and class of any listed member but the manifest; `None` if the pack has no place for it.
    #[must_use]
    pub fn kind_of(&self, path: &str) -> Option<Kind> {
        if let Some(member) = built_in(path) {
            return member.kind;
        }
        path.strip_prefix(EVIDENCE)?;
        let class = (self.class_of)(path)?;
        Some(Kind { role: Role::Evidence, media_type: media_type_of(path), class })
    }
}

/// Media type of an evidence file by the end of its name.
#[must_use]
pub fn media_type_of(path: &str) -> MediaType {
    const BY_END: [(&str, MediaType); 5] = [
        (".jsonl", MediaType::Jsonl),
        (".json", MediaType::Json),
        (".log", MediaType::Text),
        (".txt", MediaType::Text),
        (".md", MediaType::Text),
    ];
    BY_END.iter().find(|(end, _)| path.ends_with(end)).map_or(MediaType::Bytes, |(_, media_type)| *media_type)
}

/// Largest size of the member at `path`, in bytes (PPK-12).
#[must_use]
pub fn max_size(path: &str) -> u64 {
    match built_in(path) {
        Some(member) => member.max,
        None if media_type_of(path) == MediaType::Json => HELD_MAX,
        None => ARCHIVE_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: Tables = Tables {
        class_of: |path| path.ends_with("rows.jsonl").then_some(Class::Normalised),
        volatile_fields: |_| None,
        claim_of: |_| None,
    };

    #[test]
    fn ppk_1_every_member_has_its_place() {
        let required: Vec<_> = BUILT_IN.iter().filter(|member| member.required).map(|member| member.path).collect();
        let listed: Vec<_> = BUILT_IN.iter().filter(|member| !member.listed).map(|member| member.path).collect();
        assert_eq!(required.len(), 12);
        assert_eq!(listed, [SUMS, SIGNATURE, ATTESTATION, WITHHELD]);
        for member in &BUILT_IN {
            assert!(super::super::names::check(member.path.as_bytes()).is_ok(), "{}", member.path);
            assert_eq!(member.kind, TABLES.kind_of(member.path));
        }
        let rows = Kind { role: Role::Evidence, media_type: MediaType::Jsonl, class: Class::Normalised };
        assert_eq!(TABLES.kind_of("evidence/pr-g4/rows.jsonl"), Some(rows));
        for stray in ["evidence/pr-g4/else.jsonl", "rows.jsonl", "policy/rows.jsonl", "evidence"] {
            assert_eq!(TABLES.kind_of(stray), None, "{stray}");
        }
    }

    #[test]
    fn ppk_12_size_limits_by_path() {
        for (path, max) in [
            (MANIFEST, 16 << 20),
            (SUMS, 8 << 20),
            (SIGNATURE, 4 << 10),
            (ATTESTATION, 1 << 20),
            ("evidence/pr-g0/PR_REPORT.json", 16 << 20),
            ("evidence/pr-g0/rows.jsonl", 1 << 31),
        ] {
            assert_eq!(max_size(path), max, "{path}");
        }
    }
}
