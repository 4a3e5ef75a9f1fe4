//! A pack that `ssh-keygen` signed, from build to verify: who is believed, and who is not (A34 to A39).

use std::fs;

use contract::digest::Digest;
use gates::proofpack::attest::{Subject, TEST_RESULT, TestResult, Tests, envelope, pre_authentication, statement};
use gates::proofpack::build::Built;
use gates::proofpack::codes::{Code, Reason};
use gates::proofpack::forge::{Archive, Member};
use gates::proofpack::layout::{ATTESTATION, POLICY, SBOM, SIGNATURE, SUMS, TOOLCHAIN};
use gates::proofpack::report::Report;
use gates::proofpack::signers::{NAMESPACE, parse_time};
use gates::proofpack::verify::Options;
use signature::Signer;
use ssh_key::{PrivateKey, Signature};

use crate::tool::{Tool, find};
use crate::world::{World, check_with, codes};

/// A built pack, and a key that `ssh-keygen` made.
struct Scene {
    keygen: Tool,
    world: World,
    built: Built,
    archive: Archive,
    public: String,
}

impl Scene {
    fn new(world: World) -> Option<Self> {
        let keygen = find(&["ssh-keygen"], "a pack signed by ssh-keygen verifies")?;
        let built = world.build();
        let archive = Archive::parse(&fs::read(&built.path).expect("was written")).expect("a right archive");
        let made = keygen.run(&world.out(), &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key"]);
        assert_eq!(made.exit, Some(0), "{made:?}");
        let public = fs::read_to_string(world.out().join("key.pub")).expect("ssh-keygen wrote it").trim().to_owned();
        Some(Self { keygen, world, built, archive, public })
    }

    fn data(&self, path: &str) -> Vec<u8> {
        let member = self.archive.members.iter().find(|member| member.name == path.as_bytes());
        member.expect("a member of every pack").data.clone()
    }

    fn signature(&self, namespace: &str) -> Vec<u8> {
        let arguments = ["-q", "-Y", "sign", "-f", "key", "-n", namespace];
        let outcome = self.keygen.run_with(&self.world.out(), &arguments, &self.data(SUMS), &[]);
        assert_eq!(outcome.exit, Some(0), "{outcome:?}");
        outcome.stdout
    }

    /// A test-result line for this pack, or for another one with the given root.
    fn attestation(&self, root: Digest, result: TestResult) -> Vec<u8> {
        let digest = |path: &str| Digest::of(&self.data(path));
        let name = self.built.path.file_stem().expect("a pack has a name").to_string_lossy().into_owned();
        let subject = Subject {
            root,
            pack: &name,
            git_commit: self.built.manifest.subject.git_commit.as_str(),
            artifacts: &[],
            policy: digest(POLICY),
            toolchain: digest(TOOLCHAIN),
            sbom: digest(SBOM),
        };
        let payload = statement(&subject, result, &Tests::default()).expect("texts of this test are ASCII");
        let key = PrivateKey::read_openssh_file(self.world.out().join("key")).expect("a key without passphrase");
        let raw: Signature = Signer::sign(&key, &pre_authentication(&payload));
        let raw = raw.as_bytes().try_into().expect("Ed25519 signatures have 64 bytes");
        envelope(&payload, "", raw).expect("texts of this test are ASCII")
    }

    /// Verifies the pack with these sealing members, for a caller who trusts `list`.
    fn verify(&self, seals: &[(&str, &[u8])], list: &str, at: &str, attested: bool) -> Report {
        let mut archive = self.archive.clone();
        archive.members.extend(seals.iter().map(|(name, data)| Member::new(name, data)));
        archive.members.sort_by(|a, b| a.name.cmp(&b.name));
        let options = Options {
            allowed_signers: Some(list.as_bytes().to_vec()),
            principal: Some("ann".to_owned()),
            require_signature: true,
            require_attestation: attested.then(|| TEST_RESULT.to_owned()).into_iter().collect(),
            verify_time: Some(parse_time(at).expect("a time of this test")),
            ..Options::default()
        };
        check_with(&archive.bytes(), &options)
    }
}

const NOON: &str = "20260101120000Z";

#[test]
fn a33_to_a37_who_is_believed() {
    let Some(scene) = Scene::new(World::green()) else { return };
    let key = &scene.public;
    let (good, elsewhere) = (scene.signature(NAMESPACE), scene.signature("file"));
    let until_ten = format!("ann valid-before=\"20260101100000Z\" {key}\n");
    let trusted = format!("ann {key}\n");
    let report = scene.verify(&[(SIGNATURE, &good)], &trusted, NOON, false);
    assert_eq!((codes(&report), report.exit()), (vec![], 0), "{}", report.text());
    assert!(report.result_line().starts_with("INTACT, AUTHENTICATED by ann"), "{}", report.result_line());
    for (what, seals, list, at, reason) in [
        ("A33", &[][..], &trusted, NOON, Some(Reason::Missing)),
        (
            "A34: the signature names its key, the caller does not",
            &[(SIGNATURE, &good[..])],
            &String::new(),
            NOON,
            Some(Reason::Untrusted),
        ),
        ("A36", &[(SIGNATURE, &elsewhere)], &trusted, NOON, Some(Reason::Namespace)),
        ("A37", &[(SIGNATURE, &good)], &until_ten, NOON, Some(Reason::Expired)),
        ("A37 at an earlier time", &[(SIGNATURE, &good)], &until_ten, "20260101095959Z", None),
    ] {
        let report = scene.verify(seals, list, at, false);
        let expected: Vec<_> = reason.map(|reason| (Code::Sig, reason)).into_iter().collect();
        assert_eq!(codes(&report), expected, "{what}");
        assert_eq!(report.exit(), if reason.is_some() { 3 } else { 0 }, "{what}");
    }
}

#[test]
fn a38_a39_what_is_attested() {
    for (world, right, wrong) in [
        (World::green(), TestResult::Passed, TestResult::Failed),
        (World::red(), TestResult::Failed, TestResult::Passed),
    ] {
        let Some(scene) = Scene::new(world) else { return };
        let (trusted, signature) = (format!("ann {}\n", scene.public), scene.signature(NAMESPACE));
        let faults = |attestation: Option<&[u8]>| {
            let seals: Vec<_> =
                [(SIGNATURE, &signature[..])].into_iter().chain(attestation.map(|data| (ATTESTATION, data))).collect();
            let mut found = codes(&scene.verify(&seals, &trusted, NOON, true));
            // A red pack is red whoever attests it.
            found.retain(|(code, _)| *code != Code::Gate);
            found
        };
        let root = scene.built.root;
        assert_eq!(faults(Some(&scene.attestation(root, right))), []);
        assert_eq!(faults(Some(&scene.attestation(root, wrong))), [(Code::Attest, Reason::Verdict)], "A39");
        let moved = scene.attestation(Digest::of(b"another pack"), right);
        assert_eq!(faults(Some(&moved)), [(Code::Attest, Reason::Subject)], "A38");
        assert_eq!(faults(None), [(Code::Attest, Reason::Missing)]);
        assert_eq!(faults(Some(b"")), [(Code::Attest, Reason::Missing)], "emptied");
    }
}
