//! Python packages and OpenSSL agree on attestations, statements, the list of dependencies and PowerShell (PPK-45).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use contract::digest::Digest;
use gates::proofpack::attest::{Subject, TestResult, Tests, envelope, pre_authentication, statement};
use gates::proofpack::sbom;
use gates::proofpack::scripts::template;
use signature::Signer;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, PrivateKey, Signature};

use crate::tool::{Outcome, Tool, find, python};

struct Peers(Tool);

impl Peers {
    fn new(needed_for: &str) -> Option<Self> {
        python(needed_for).map(Self)
    }

    fn ask(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/peers.py").display().to_string();
        let all: Vec<&str> = ["-B", script.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        self.0.run_with(Path::new("/"), &all, input, &[])
    }

    /// Objections are objections only if the script came to its end: a Python error also exits 1.
    fn objects(&self, arguments: &[&str], input: &[u8]) -> bool {
        let outcome = self.ask(arguments, input);
        assert!(outcome.stderr.is_empty(), "{arguments:?}: {}", outcome.stderr);
        outcome.exit == Some(1) && !outcome.text().trim().is_empty()
    }

    fn assert_content(&self, arguments: &[&str], input: &[u8]) {
        let outcome = self.ask(arguments, input);
        assert_eq!((outcome.exit, outcome.text().trim(), outcome.stderr.trim()), (Some(0), "", ""), "{arguments:?}");
    }
}

fn key() -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[1; 32])), "").expect("a seed is a key")
}

fn raw_public() -> [u8; 32] {
    key().public_key().key_data().ed25519().expect("an Ed25519 key").0
}

fn payload() -> Vec<u8> {
    let digest = Digest::of(b"x");
    let artifacts = [("engine.tar", digest)];
    let subject = Subject {
        root: digest,
        pack: "proofpack-pr-g5-0123456789abcdef",
        git_commit: "c0ffee",
        artifacts: &artifacts,
        policy: digest,
        toolchain: digest,
        sbom: digest,
    };
    let tests =
        Tests { passed: ["pr-g0/plan-whole".to_owned()].into(), warned: BTreeSet::new(), failed: BTreeSet::new() };
    statement(&subject, TestResult::Passed, &tests).expect("texts of this test are ASCII")
}

fn signed(payload: &[u8]) -> Signature {
    // The method of the same name makes an SSH signature; this is the bare one.
    Signer::sign(&key(), &pre_authentication(payload))
}

fn line(payload: &[u8], keyid: &str) -> Vec<u8> {
    let signature = signed(payload);
    let raw = signature.as_bytes().try_into().expect("Ed25519 signatures have 64 bytes");
    envelope(payload, keyid, raw).expect("texts of this test are ASCII")
}

#[test]
fn ppk_34_securesystemslib_verifies_our_envelope() {
    let Some(peers) = Peers::new("securesystemslib verifies an attestation") else { return };
    let keyid = key().fingerprint(HashAlg::Sha256).to_string();
    let public: String = raw_public().iter().map(|byte| format!("{byte:02x}")).collect();
    let good = line(&payload(), &keyid);
    peers.assert_content(&["dsse", &public, &keyid], &good);
    let text = String::from_utf8(good).expect("an envelope is ASCII");
    let start = text.find("\"payload\":\"").expect("an envelope has a payload") + 11;
    let swapped = if text.as_bytes()[start] == b'e' { "f" } else { "e" };
    let tampered = [&text[..start], swapped, &text[start + 1..]].concat();
    assert!(peers.objects(&["dsse", &public, &keyid], tampered.as_bytes()), "another payload");
    let other = "00".repeat(31) + "01";
    assert!(peers.objects(&["dsse", &other, &keyid], text.as_bytes()), "another key");
}

#[test]
fn ppk_34_openssl_verifies_the_same_bytes() {
    let Some(openssl) = find(&["openssl"], "OpenSSL verifies an attestation") else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("scratch folder takes files");
    // The fixed front of an Ed25519 key in DER (RFC 8410).
    let front = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    write("key", &[&front[..], &raw_public()].concat());
    write("signature", signed(&payload()).as_bytes());
    let verify = [
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "key",
        "-sigfile",
        "signature",
        "-in",
        "bytes",
    ];
    for (payload, exit) in [(payload(), Some(0)), (b"{}".to_vec(), Some(1))] {
        write("bytes", &pre_authentication(&payload));
        let outcome = openssl.run(folder.path(), &verify);
        assert_eq!(outcome.exit, exit, "{outcome:?}");
    }
}

#[test]
fn ppk_35_in_toto_validates_our_statement() {
    let Some(peers) = Peers::new("in-toto-attestation validates a statement") else { return };
    let good = String::from_utf8(payload()).expect("a statement is ASCII");
    peers.assert_content(&["statement"], good.as_bytes());
    for (from, to) in [
        ("Statement/v1", "Statement/v9"),
        ("https://in-toto.io/attestation/test-result/v0.1", ""),
        ("\"subject\"", "\"subjects\""),
    ] {
        let bad = good.replace(from, to);
        assert!(bad != good && peers.objects(&["statement"], bad.as_bytes()), "{from}");
    }
}

#[test]
fn a43_the_strict_validator_accepts_our_sbom() {
    let Some(peers) = Peers::new("cyclonedx-python-lib validates sbom.cdx.json") else { return };
    let Some(cargo) = find(&["cargo"], "the list of dependencies of this workspace") else { return };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let home = std::env::var("HOME").expect("cargo needs HOME");
    let variables: Vec<(String, String)> =
        std::env::vars().filter(|(name, _)| name.starts_with("RUSTUP") || name == "CARGO_HOME").collect();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([("HOME", home.as_str())])
        .collect();
    // Crates of other platforms are not there after a build; a release asks for all of them, after a fetch.
    let host = cargo.run_with(workspace, &["-vV"], b"", &variables).text();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host").to_owned();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host];
    let metadata = cargo.run_with(workspace, &arguments, b"", &variables);
    assert_eq!(metadata.exit, Some(0), "{}", metadata.stderr);
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("the workspace has a lock file");
    let bom = sbom::render(&metadata.text(), &lock, ("proofhouse", "0.1.0")).expect("the graph is whole");
    peers.assert_content(&["sbom"], &bom);
    let text = String::from_utf8(bom).expect("the list is ASCII");
    let found = gates::proofpack::leak::scan(
        "sbom.cdx.json",
        text.as_bytes(),
        &gates::proofpack::leak::Literals::new([], [home.as_str()]),
    );
    assert_eq!(found, [], "the list holds no path");
    let unknown = text.replacen("{\"bomFormat\"", "{\"aField\":1,\"bomFormat\"", 1);
    assert!(unknown != text && peers.objects(&["sbom"], unknown.as_bytes()), "an unknown field");
}

#[test]
fn a59_powershell_lint() {
    let Some(peers) = Peers::new("tree-sitter-powershell parses verify.ps1") else { return };
    let good = template("verify.ps1").expect("it is a template");
    peers.assert_content(&["powershell"], good.as_bytes());
    for (what, from, to) in [
        ("brace", "trap {", "trap "),
        ("parenthesis", "if ($Special.Count -gt 0)", "if ($Special.Count -gt 0"),
        ("of for in", "foreach ($Line in $Lines)", "foreach ($Line of $Lines)"),
        ("open quote", "Fail 'evidence'", "Fail 'evidence"),
        ("non-ASCII", "# .NET", "# \u{a0}.NET"),
        ("CRLF", "\nexit 0\n", "\r\nexit 0\r\n"),
        ("alias", "Write-Output (", "echo ("),
        ("program", "exit 0\n", "cmd /c ver\nexit 0\n"),
        ("wildcard path", "-LiteralPath $Full", "-Path $Full"),
        ("Invoke-Expression", "exit 0\n", "Invoke-Expression 'x'\nexit 0\n"),
        ("ignores case", "-cnotmatch", "-notmatch"),
        ("no trap", "trap {", "if ($true) {"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(bad != good && peers.objects(&["powershell"], bad.as_bytes()), "{what}");
    }
    crate::tool::not_run("verify.ps1", "no PowerShell engine here; it is linted, not run");
}
