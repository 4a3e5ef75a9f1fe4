//! Rows 28 to 31 and the controls: signatures and attestations by keys that are made here.

use std::io::{Cursor, Write};

use contract::digest::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signature::Signer as _;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::super::attest::{self, TEST_RESULT, TestResult, Tests};
use super::super::build;
use super::super::codes::{Code, Reason as R};
use super::super::forge::{Archive, Member};
use super::super::layout::{ATTESTATION, POLICY, SBOM, SIGNATURE, SUMS, TOOLCHAIN};
use super::super::signers::{NAMESPACE, fingerprint};
use super::super::verify::Options;
use super::forgery::Base;
use super::{Control, Mutant};
use crate::check::Verdict;

const PRINCIPAL: &str = "release";

/// A key pair of the attack: number 1 is trusted, number 2 is not.
struct Key(Ed25519Keypair);

impl Key {
    fn new(base: &Base, number: u8) -> Self {
        let seed = Sha256::new().chain_update(b"proofpack/attack/1\0").chain_update(base.seed.0.to_be_bytes());
        Self(Ed25519Keypair::from_seed(&seed.chain_update([number]).finalize().into()))
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::from(self.0.clone())
    }

    /// Armored signature; empty if the crate cannot make one, which no verifier takes for a good one.
    fn sign(&self, namespace: &str, bytes: &[u8]) -> Vec<u8> {
        let signed = self.private().sign(namespace, HashAlg::Sha512, bytes);
        signed
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map(String::into_bytes)
            .unwrap_or_else(|_| Vec::new())
    }

    /// A line of an allowed-signers file.
    fn line(&self, options: &str) -> String {
        let public = self.private().public_key().to_openssh().unwrap_or_else(|_| String::new());
        format!("{PRINCIPAL} {options} {public}\n").replace("  ", " ")
    }

    /// A signed envelope around a statement.
    fn attest(&self, payload: &[u8]) -> Vec<u8> {
        let bytes: [u8; 64] = self
            .0
            .try_sign(&attest::pre_authentication(payload))
            .ok()
            .and_then(|s| s.as_bytes().try_into().ok())
            .unwrap_or([0; 64]);
        let keyid = fingerprint(self.private().public_key().key_data());
        attest::envelope(payload, &keyid, &bytes).unwrap_or_else(|_| Vec::new())
    }
}

/// What the caller asks for: a signature by the trusted key.
fn trusting(line: String) -> Options {
    Options {
        allowed_signers: Some(line.into_bytes()),
        principal: Some(PRINCIPAL.into()),
        require_signature: true,
        verify_time: Some(1_700_000_000),
        ..Options::default()
    }
}

fn attesting(line: String) -> Options {
    Options { require_attestation: vec![TEST_RESULT.into()], ..trusting(line) }
}

/// The pack with members that no list names.
fn sealed<'m>(base: &Base, members: impl IntoIterator<Item = (&'m str, Vec<u8>)>) -> Vec<u8> {
    base.archive(|archive| {
        for (name, bytes) in members {
            let at = archive.members.partition_point(|other| other.name.as_slice() < name.as_bytes());
            archive.members.insert(at, Member::new(name, bytes));
        }
    })
}

/// The mutants of these rows.
pub(super) fn mutants(base: &Base) -> Vec<Mutant<'_>> {
    let line = Key::new(base, 1).line("");
    [signatures(base, &line), attestations(base, &line)].into_iter().flatten().collect()
}

/// Rows 28 to 30: signatures.
fn signatures<'a>(base: &'a Base, line: &str) -> Vec<Mutant<'a>> {
    let signed =
        |row, what, reason, options: Options, number: u8, namespace: &'static str, over: fn(Vec<u8>) -> Vec<u8>| {
            let forge =
                move || sealed(base, [(SIGNATURE, Key::new(base, number).sign(namespace, &over(base.list.clone())))]);
            Mutant::pack(row, what, Code::Sig, reason, forge).with(options)
        };
    let same: fn(Vec<u8>) -> Vec<u8> = |list| list;
    let dated = |option: &str| trusting(Key::new(base, 1).line(option));
    let in_the_pack = Mutant::pack(28, "key-shipped-in-the-pack", Code::Set, R::Extra, move || {
        let key = Key::new(base, 2);
        let forged = base.content(|files| drop(files.insert("allowed_signers".into(), key.line("").into_bytes())));
        let mut archive = forged.archive();
        let list = archive.member(SUMS).map_or_else(|| base.list.clone(), |member| member.data.clone());
        let at = archive.members.partition_point(|other| other.name.as_slice() < SIGNATURE.as_bytes());
        archive.members.insert(at, Member::new(SIGNATURE, key.sign(NAMESPACE, &list)));
        archive.bytes()
    });
    vec![
        signed(28, "unknown-key", R::Untrusted, trusting(line.into()), 2, NAMESPACE, same),
        in_the_pack.with(trusting(line.into())),
        signed(29, "other-bytes", R::Bad, trusting(line.into()), 1, NAMESPACE, |list| [&list[..], b"x"].concat()),
        signed(29, "other-namespace", R::Namespace, trusting(line.into()), 1, "file", same),
        signed(29, "key-for-other-namespace", R::Namespace, dated("namespaces=\"git\""), 1, NAMESPACE, same),
        signed(29, "expired-key", R::Expired, dated("valid-before=\"20200101\""), 1, NAMESPACE, same),
        signed(29, "key-not-yet-valid", R::Expired, dated("valid-after=\"20900101\""), 1, NAMESPACE, same),
        Mutant::pack(30, "signature-removed", Code::Sig, R::Missing, || base.archive.bytes())
            .with(trusting(line.into())),
        Mutant::pack(30, "signature-emptied", Code::Sig, R::Missing, || sealed(base, [(SIGNATURE, Vec::new())]))
            .with(trusting(line.into())),
        Mutant::pack(30, "signature-is-text", Code::Sig, R::Malformed, || {
            sealed(base, [(SIGNATURE, b"signed\n".to_vec())])
        })
        .with(trusting(line.into())),
    ]
}

/// Rows 30 and 31: attestations. The signature itself is always good.
fn attestations<'a>(base: &'a Base, line: &str) -> Vec<Mutant<'a>> {
    let attested = |row, what, reason, number: u8, change: fn(&mut Value)| {
        let forge = move || {
            let mut statement = statement(base);
            change(&mut statement);
            let payload = contract::canonical::to_bytes(&statement).unwrap_or_else(|_| Vec::new());
            let good = Key::new(base, 1).sign(NAMESPACE, &base.list);
            sealed(base, [(SIGNATURE, good), (ATTESTATION, Key::new(base, number).attest(&payload))])
        };
        Mutant::pack(row, what, Code::Attest, reason, forge).with(attesting(line.into()))
    };
    let plain = |row, what, file: Option<&'static [u8]>| {
        let forge = move || {
            let good = (SIGNATURE, Key::new(base, 1).sign(NAMESPACE, &base.list));
            sealed(base, [Some(good), file.map(|file| (ATTESTATION, file.to_vec()))].into_iter().flatten())
        };
        Mutant::pack(row, what, Code::Attest, R::Missing, forge).with(attesting(line.into()))
    };
    vec![
        plain(30, "attestation-removed", None),
        plain(30, "attestation-emptied", Some(b"")),
        attested(31, "root-of-another-pack", R::Subject, 1, |s| {
            s["subject"][0]["digest"]["sha256"] = json!("0".repeat(64))
        }),
        attested(31, "another-commit", R::Subject, 1, |s| {
            s["subject"][2]["digest"]["gitCommit"] = json!("0".repeat(40))
        }),
        attested(31, "another-predicate-type", R::Type, 1, |s| {
            s["predicateType"] = json!("https://slsa.dev/provenance/v1")
        }),
        attested(31, "result-contradicts", R::Verdict, 1, |s| {
            let lie = if s["predicate"]["result"] == "FAILED" { "PASSED" } else { "FAILED" };
            s["predicate"]["result"] = json!(lie);
        }),
        attested(31, "unknown-key", R::Signature, 2, |_| ()),
    ]
}

/// The statement that belongs to this pack, as a value.
fn statement(base: &Base) -> Value {
    let digest = |path: &str| {
        let entry = base.manifest.entries.iter().find(|entry| entry.path == path);
        entry.map_or_else(|| Digest::of(b""), |entry| entry.sha256)
    };
    let root = Digest::of(&base.list);
    let name = build::file_name(&base.manifest.gate.id, root);
    let artifacts: Vec<_> = base.manifest.subject.artifacts.iter().map(|a| (a.name.as_str(), a.sha256)).collect();
    let subject = attest::Subject {
        root,
        pack: name.trim_end_matches(".zip"),
        git_commit: base.manifest.subject.git_commit.as_str(),
        artifacts: &artifacts,
        policy: digest(POLICY),
        toolchain: digest(TOOLCHAIN),
        sbom: digest(SBOM),
    };
    let pass = base.manifest.gate.verdict == Verdict::Pass;
    let result = if pass { TestResult::Passed } else { TestResult::Failed };
    let bytes = attest::statement(&subject, result, &Tests::default()).unwrap_or_else(|_| Vec::new());
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// The controls: unchanged, rebuilt by another writer, stripped and signed again.
pub(super) fn controls(base: &Base) -> Vec<Control<'_>> {
    let signed = move || sealed(base, [(SIGNATURE, Key::new(base, 1).sign(NAMESPACE, &base.list))]);
    vec![
        Control { name: "unchanged", options: Options::default(), forge: Box::new(|| base.original.clone()) },
        Control {
            name: "rebuilt by crate zip",
            options: Options::default(),
            forge: Box::new(|| by_crate_zip(&base.archive)),
        },
        Control {
            name: "stripped and signed again",
            options: trusting(Key::new(base, 1).line("")),
            forge: Box::new(signed),
        },
    ]
}

/// The same members through crate `zip`; empty, and so refused, when it fails.
fn by_crate_zip(archive: &Archive) -> Vec<u8> {
    let write = || -> Option<Vec<u8>> {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .compression_level(None)
            // With its feature `time` the default would be the clock.
            .last_modified_time(zip::DateTime::from_date_and_time(1980, 1, 1, 12, 1, 0).ok()?)
            .unix_permissions(0o644)
            .system(zip::System::Unix)
            .large_file(false);
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for member in &archive.members {
            writer.start_file(String::from_utf8(member.name.clone()).ok()?, options).ok()?;
            writer.write_all(&member.data).ok()?;
        }
        Some(writer.finish().ok()?.into_inner())
    };
    write().unwrap_or_else(Vec::new)
}
