//! `ssh-keygen` and our verifier say the same of signatures and of lists of trusted keys (PPK-32, PPK-33).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gates::proofpack::codes::Reason;
use gates::proofpack::sign;
use gates::proofpack::signers::{AllowedSigners, NAMESPACE, Trust, parse_time};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use tempfile::TempDir;

use crate::tool::{Tool, find};

const SUMS: &[u8] = b"one line of a hash list\n";
const NEEDED_FOR: &str = "signatures and trust agree both ways";

struct Bench {
    keygen: Tool,
    folder: TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        let keygen = find(&["ssh-keygen"], NEEDED_FOR)?;
        let folder = tempfile::tempdir().expect("a scratch folder");
        fs::write(folder.path().join("sums"), SUMS).expect("scratch folder takes files");
        Some(Self { keygen, folder })
    }

    /// Writes a private key where `ssh-keygen` finds it, and gives its public line.
    fn key(&self, seed: u8, name: &str) -> (PrivateKey, String) {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
        let key = PrivateKey::new(pair, "").expect("a seed is a key");
        let file = self.folder.path().join(name);
        fs::write(&file, key.to_openssh(LineEnding::LF).expect("a key has a text form"))
            .expect("scratch folder takes files");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own file");
        let public = key.public_key().to_openssh().expect("a key has a text form");
        (key, public)
    }

    fn sign(&self, key: &str, namespace: &str) -> String {
        let outcome =
            self.keygen.run_with(self.folder.path(), &["-q", "-Y", "sign", "-f", key, "-n", namespace], SUMS, &[]);
        assert_eq!(outcome.exit, Some(0), "{outcome:?}");
        outcome.text()
    }

    /// Whether `ssh-keygen` accepts.
    fn theirs(&self, list: &str, armor: &str, sums: &[u8], time: &str) -> bool {
        self.write("list", list);
        self.write("armor", armor);
        let time = format!("-Overify-time={time}");
        let arguments = ["-Y", "verify", "-f", "list", "-I", "ann", "-n", NAMESPACE, "-s", "armor", &time];
        self.keygen.run_with(self.folder.path(), &arguments, sums, &[]).exit == Some(0)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("scratch folder takes files");
    }
}

fn ours(list: &str, armor: &str, sums: &[u8], time: &str) -> Result<(), Reason> {
    let signers = AllowedSigners::parse(list.as_bytes()).expect("the list of this test is valid");
    let at = parse_time(time).expect("the time of this test is valid");
    let trust = Trust { signers: &signers, principal: "ann", at };
    sign::verify(sums, Some(armor.as_bytes()), &trust).map(drop).map_err(|fault| fault.reason)
}

const NOON: &str = "20260101120000Z";

#[test]
fn a35_ssh_keygen_signs_the_bytes_that_crate_ssh_key_signs() {
    let Some(bench) = Bench::new() else { return };
    let (key, public) = bench.key(1, "key");
    let theirs = bench.sign("key", NAMESPACE);
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, SUMS).expect("an Ed25519 key signs");
    let own = signature.to_pem(LineEnding::LF).expect("a signature has an armored form");
    assert_eq!(theirs, own);
    let list = format!("ann {public}\n");
    assert!(bench.theirs(&list, &own, SUMS, NOON));
    assert_eq!(ours(&list, &theirs, SUMS, NOON), Ok(()));
}

#[test]
fn ppk_33_both_obey_the_same_lists() {
    let Some(bench) = Bench::new() else { return };
    let (_, public) = bench.key(1, "key");
    let (_, other) = bench.key(2, "other");
    let armor = bench.sign("key", NAMESPACE);
    for (list, expected) in [
        (format!("ann {public}"), Ok(())),
        (format!("bob,a* {public} with a comment"), Ok(())),
        (format!("\"ann,bob\" {public}"), Ok(())),
        (format!("*,!a?n {public}"), Err(Reason::Untrusted)),
        (format!("bob {public}"), Err(Reason::Untrusted)),
        (format!("ANN {public}"), Err(Reason::Untrusted)),
        (format!("ann {other}"), Err(Reason::Untrusted)),
        (format!("ann cert-authority {public}"), Err(Reason::Untrusted)),
        (format!("ann namespaces=\"git,proofpack@*\" {public}"), Ok(())),
        (format!("ann namespaces=\"git\" {public}"), Err(Reason::Namespace)),
        (format!("ann namespaces=\"*,!proofpack@proofhouse\" {public}"), Err(Reason::Namespace)),
        (format!("ann valid-after=\"20260101120000Z\" {public}"), Ok(())),
        (format!("ann valid-after=\"20260101120001Z\" {public}"), Err(Reason::Expired)),
        (format!("ann valid-before=\"202601011200\" {public}"), Ok(())),
        (format!("ann valid-before=\"20260101115959\" {public}"), Err(Reason::Expired)),
        (format!("ann valid-before=\"20260101\" {public}"), Err(Reason::Expired)),
        (format!("ann namespaces=\"git\" {public}\nann {public}"), Ok(())),
        (format!("# nobody\n\n  \nann {other}\nann {public}"), Ok(())),
    ] {
        let list = list + "\n";
        assert_eq!(ours(&list, &armor, SUMS, NOON), expected, "ours: {list}");
        assert_eq!(bench.theirs(&list, &armor, SUMS, NOON), expected.is_ok(), "theirs: {list}");
    }
}

#[test]
fn both_refuse_what_was_not_signed() {
    let Some(bench) = Bench::new() else { return };
    let (_, public) = bench.key(1, "key");
    let list = format!("ann {public}\n");
    let armor = bench.sign("key", NAMESPACE);
    let elsewhere = bench.sign("key", "file");
    for (armor, sums, reason) in [
        (&armor, &b"other bytes\n"[..], Reason::Bad),
        (&elsewhere, SUMS, Reason::Namespace),
        (&armor.replace("U1NIU0lH", "U1NIU0lI"), SUMS, Reason::Malformed),
        (&"no armor\n".to_owned(), SUMS, Reason::Malformed),
    ] {
        assert_eq!(ours(&list, armor, sums, NOON), Err(reason));
        assert!(!bench.theirs(&list, armor, sums, NOON), "{reason}");
    }
}

#[test]
fn keys_and_fingerprints_of_ssh_keygen_are_read() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder.path();
    let run = |arguments: &[&str]| bench.keygen.run(folder, arguments);
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256")] {
        assert_eq!(run(&["-q", "-t", kind, "-b", bits, "-N", "", "-C", "made here", "-f", kind]).exit, Some(0));
    }
    let public = |name: &str| fs::read_to_string(Path::join(folder, name)).expect("ssh-keygen wrote it");
    // A list with keys of other types is still a list; those keys cannot sign a pack.
    let list = ["ed25519.pub", "rsa.pub", "ecdsa.pub"].map(|name| format!("ann {}", public(name))).concat();
    let signers = AllowedSigners::parse(list.as_bytes()).expect("what ssh-keygen writes can be read");
    let trust = Trust { signers: &signers, principal: "ann", at: 0 };
    let signer = sign::verify(SUMS, Some(bench.sign("ed25519", NAMESPACE).as_bytes()), &trust).expect("a trusted key");
    assert!(run(&["-l", "-f", "ed25519.pub"]).text().contains(&signer.fingerprint));
    let rsa = sign::verify(SUMS, Some(bench.sign("rsa", NAMESPACE).as_bytes()), &trust).expect_err("not Ed25519");
    assert_eq!(rsa.reason, Reason::Malformed);
}
