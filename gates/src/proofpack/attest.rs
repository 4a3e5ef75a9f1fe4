//! Attestations: DSSE envelopes, one a line, around in-toto statements about a pack (PPK-34 to PPK-36).
//!
//! The statement of a pack follows from its manifest, hash list and verdict; so it is rendered here and compared, and
//! nothing in a received one is believed that was not derived. Signing itself is not done here.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding as _};
use contract::canonical;
use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signature::Verifier as _;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, Signature};

use super::codes::{Code, Fault, Reason};
use super::json::{CANONICAL, Encoder};
use super::layout;
use super::signers::{Trust, fingerprint};

/// Payload type of every attestation we know.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Type of the statement inside.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The one predicate type that this version writes and accepts.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// Largest attestation file in bytes (PPK-12).
const ATTESTATION_BYTES_MAX: usize = 1 << 20;

/// What a test-result line says of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestResult {
    /// The verdict is PASS and every soft rule held.
    Passed,
    /// The verdict is PASS, but a soft rule is broken.
    Warned,
    /// Any other verdict.
    Failed,
}

/// What a statement is about; all of it stands in the manifest and the hash list.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// SHA-256 of the hash list.
    pub root: Digest,
    /// Name of the pack without `.zip`.
    pub pack: &'a str,
    /// Commit of what was judged.
    pub git_commit: &'a str,
    /// Released files outside the pack, with their digests.
    pub artifacts: &'a [(&'a str, Digest)],
    /// Digest of `policy/gate.json`.
    pub policy: Digest,
    /// Digest of `toolchain.json`.
    pub toolchain: Digest,
    /// Digest of `sbom.cdx.json`.
    pub sbom: Digest,
}

/// Sorted `<gate>/<check>` names by how each came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// PASS, soft target met.
    pub passed: BTreeSet<String>,
    /// PASS, soft target missed.
    pub warned: BTreeSet<String>,
    /// FAIL, INCONCLUSIVE, NO_EVIDENCE or INTEGRITY.
    pub failed: BTreeSet<String>,
}

/// What a pack's test-result line must say.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// What it is about.
    pub subject: Subject<'a>,
    /// The derived result; `None` when no verdict was derived, and then the line's word is not judged.
    pub result: Option<TestResult>,
}

/// A line that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// Its predicate type.
    pub predicate_type: String,
    /// `SHA256:` fingerprint of the trusted key that signed it.
    pub fingerprint: String,
    /// Its result.
    pub result: TestResult,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    result: TestResult,
    configuration: Value,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

/// The canonical statement of a test result, the payload of an envelope.
///
/// # Errors
/// When a text in it has no canonical form.
pub fn statement(subject: &Subject<'_>, result: TestResult, tests: &Tests) -> Result<Vec<u8>, canonical::JsonError> {
    let Tests { passed, warned, failed } = tests;
    canonical::to_bytes(&json!({
        "_type": STATEMENT_TYPE,
        "subject": subjects(subject),
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": result,
            "configuration": configuration(subject),
            "passedTests": passed,
            "warnedTests": warned,
            "failedTests": failed,
        },
    }))
}

/// The bytes that an envelope's key signs: DSSE v1 pre-authentication encoding.
#[must_use]
pub fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// One line of the attestation file, with its line end.
///
/// # Errors
/// When a text in it has no canonical form.
pub fn envelope(payload: &[u8], keyid: &str, signature: &[u8; 64]) -> Result<Vec<u8>, canonical::JsonError> {
    let mut line = canonical::to_bytes(&Envelope {
        payload: Base64::encode_string(payload),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![EnvelopeSignature { keyid: keyid.to_owned(), sig: Base64::encode_string(signature) }],
    })?;
    line.push(b'\n');
    Ok(line)
}

/// Verifies all lines of an attestation file, and that each type in `required` has one that holds.
///
/// Lines of an unknown type are ignored: they neither help nor harm.
///
/// # Errors
/// Every fault, as `E_ATTEST` with reason payload (not canonical, not the fixed shape), signature (no trusted key made
/// it), subject (another pack), verdict (a result that the derived verdict contradicts), missing (no valid line of a
/// required type) or type (none, but lines of other types). `E_LIMIT member` over 1 MiB.
pub fn verify(
    file: Option<&[u8]>,
    expected: &Expected<'_>,
    trust: &Trust<'_>,
    required: &[&str],
) -> Result<Vec<Attested>, Vec<Fault>> {
    let bytes = file.unwrap_or(&[]);
    if bytes.len() > ATTESTATION_BYTES_MAX {
        return Err(vec![Fault::new(Code::Limit, Reason::Member).at(layout::ATTESTATION).found(bytes.len())]);
    }
    let (mut attested, mut faults, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    let mut offset = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match verify_line(line, expected, trust) {
            Ok(Line::Holds(line)) => attested.push(line),
            Ok(Line::Ignored(kind)) => ignored.push(kind),
            Err(Refusal { reason, found }) => {
                faults.push(Fault::new(Code::Attest, reason).at(layout::ATTESTATION).offset(offset).found(found));
            }
        }
        offset += line.len() as u64;
    }
    // A refused line says why already; that its type is then missing would be the same fault twice.
    let unexplained = required.iter().filter(|_| faults.is_empty()).copied().collect::<Vec<_>>();
    for kind in unexplained {
        if !attested.iter().any(|line| line.predicate_type == kind) {
            let missing = Fault::new(Code::Attest, Reason::Missing).at(layout::ATTESTATION).expected(kind);
            faults.push(match ignored.first() {
                Some(other) => Fault { reason: Reason::Type, ..missing.found(other) },
                None => missing,
            });
        }
    }
    if faults.is_empty() { Ok(attested) } else { Err(faults) }
}

enum Line {
    Holds(Attested),
    Ignored(String),
}

struct Refusal {
    reason: Reason,
    found: String,
}

fn verify_line(line: &[u8], expected: &Expected<'_>, trust: &Trust<'_>) -> Result<Line, Refusal> {
    let refuse = |reason, found: &str| Refusal { reason, found: found.to_owned() };
    let malformed = |found: &str| refuse(Reason::Payload, found);
    let line = line.strip_suffix(b"\n").ok_or_else(|| malformed("a line without its end"))?;
    let envelope: Envelope = parse_canonical(line).map_err(|what| malformed(&format!("envelope: {what}")))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Ok(Line::Ignored(envelope.payload_type));
    }
    let payload = Base64::decode_vec(&envelope.payload).map_err(|_| malformed("payload is not base64"))?;
    let statement: Value = parse_canonical(&payload).map_err(|what| malformed(&format!("statement: {what}")))?;
    let text = |key: &str| statement.get(key).and_then(Value::as_str).unwrap_or("");
    if text("_type") != STATEMENT_TYPE || text("predicateType") != TEST_RESULT {
        return Ok(Line::Ignored(format!("{} {}", text("_type"), text("predicateType"))));
    }
    // Nothing below is looked at before the signature over exactly these bytes holds.
    let [signature] = &envelope.signatures[..] else { return Err(malformed("not exactly one signature")) };
    let fingerprint =
        signed_by(&payload, signature, trust).ok_or_else(|| refuse(Reason::Signature, &signature.keyid))?;
    if statement.get("subject") != Some(&subjects(&expected.subject)) {
        return Err(refuse(Reason::Subject, "another pack, commit or artifact"));
    }
    if statement.as_object().is_none_or(|fields| fields.len() != 4) {
        return Err(malformed("statement: an unknown field"));
    }
    let predicate = statement.get("predicate").cloned().unwrap_or(Value::Null);
    let predicate: Predicate = serde_json::from_value(predicate).map_err(|error| malformed(&error.to_string()))?;
    if predicate.configuration != configuration(&expected.subject) {
        return Err(refuse(Reason::Subject, "another configuration"));
    }
    let Predicate { result, passed_tests, warned_tests, failed_tests, .. } = predicate;
    let lists = [&passed_tests, &warned_tests, &failed_tests];
    if lists.iter().any(|list| !list.is_sorted_by(|a, b| a < b)) {
        return Err(malformed("test names are not sorted and unique"));
    }
    // A failed check under a green word contradicts itself, whatever the verdict is.
    let says_pass = result != TestResult::Failed;
    if (says_pass && !failed_tests.is_empty()) || (result == TestResult::Passed && !warned_tests.is_empty()) {
        return Err(refuse(Reason::Verdict, "result contradicts its own tests"));
    }
    if expected.result.is_some_and(|derived| derived != result) {
        return Err(refuse(Reason::Verdict, &format!("{result:?}").to_uppercase()));
    }
    Ok(Line::Holds(Attested { predicate_type: TEST_RESULT.to_owned(), fingerprint, result }))
}

/// The fingerprint of the trusted file key that made the signature. The `keyid` is a hint and not needed.
fn signed_by(payload: &[u8], signature: &EnvelopeSignature, trust: &Trust<'_>) -> Option<String> {
    let raw = Base64::decode_vec(&signature.sig).ok()?;
    let raw = Signature::new(Algorithm::Ed25519, raw).ok()?;
    let bytes = pre_authentication(payload);
    // A hardware key cannot sign bare bytes, so only file keys count.
    let mut keys = trust.keys().filter(|key| matches!(key, KeyData::Ed25519(_)));
    keys.find(|key| key.verify(&bytes, &raw).is_ok()).map(fingerprint)
}

fn parse_canonical<T: for<'a> Deserialize<'a>>(text: &[u8]) -> Result<T, String> {
    let mut encoder = Encoder::default();
    let canonical = encoder.encode(text, CANONICAL, &[]).map_err(|fault| fault.to_string())?;
    if canonical != text {
        return Err("not canonical".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

fn subjects(subject: &Subject<'_>) -> Value {
    let mut all = vec![
        json!({"name": layout::SUMS, "digest": {"sha256": subject.root}}),
        json!({"name": subject.pack, "digest": {"dirHash": subject.root}}),
        json!({"name": "source", "digest": {"gitCommit": subject.git_commit}}),
    ];
    let artifact = |(name, digest): &(&str, Digest)| json!({"name": name, "digest": {"sha256": digest}});
    all.extend(subject.artifacts.iter().map(artifact));
    Value::Array(all)
}

fn configuration(subject: &Subject<'_>) -> Value {
    let files =
        [(layout::POLICY, subject.policy), (layout::TOOLCHAIN, subject.toolchain), (layout::SBOM, subject.sbom)];
    files.iter().map(|(name, digest)| json!({"name": name, "digest": {"sha256": digest}})).collect()
}

#[cfg(test)]
mod tests {
    use ssh_key::PrivateKey;
    use ssh_key::private::{Ed25519Keypair, KeypairData};

    use super::*;
    use crate::proofpack::signers::AllowedSigners;

    fn key(seed: u8) -> PrivateKey {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
        PrivateKey::new(pair, "test").expect("a seed is a key")
    }

    fn subject(root: &[u8]) -> Subject<'static> {
        let digest = Digest::of(b"x");
        Subject {
            root: Digest::of(root),
            pack: "proofpack-pr-g5-0123456789abcdef",
            git_commit: "c0ffee",
            artifacts: &[],
            policy: digest,
            toolchain: digest,
            sbom: digest,
        }
    }

    fn line(seed: u8, payload: &[u8]) -> Vec<u8> {
        let signature = signature::Signer::<Signature>::sign(&key(seed), &pre_authentication(payload));
        let raw = signature.as_bytes().try_into().expect("Ed25519 signatures have 64 bytes");
        envelope(payload, "a hint", raw).expect("texts of this test are ASCII")
    }

    fn payload(root: &[u8], result: TestResult) -> Vec<u8> {
        let passed = ["pr-g0/plan-whole".to_owned()].into();
        let failed = if result == TestResult::Failed { ["pr-g4/pass-rate".to_owned()].into() } else { BTreeSet::new() };
        let tests = Tests { passed, warned: BTreeSet::new(), failed };
        statement(&subject(root), result, &tests).expect("texts of this test are ASCII")
    }

    fn edited(edit: impl Fn(&mut Value)) -> Vec<u8> {
        let mut value = serde_json::from_slice(&payload(b"root", TestResult::Passed)).expect("a statement is JSON");
        edit(&mut value);
        canonical::to_bytes(&value).expect("texts of this test are ASCII")
    }

    fn check(
        file: Option<&[u8]>,
        derived: Option<TestResult>,
        required: &[&str],
    ) -> Result<Vec<Attested>, Vec<Reason>> {
        let public = key(1).public_key().to_openssh().expect("a key has a text form");
        let signers = AllowedSigners::parse(format!("ann {public}\n").as_bytes()).expect("valid list");
        let trust = Trust { signers: &signers, principal: "ann", at: 0 };
        let expected = Expected { subject: subject(b"root"), result: derived };
        verify(file, &expected, &trust, required).map_err(|faults| faults.iter().map(|fault| fault.reason).collect())
    }

    fn reasons(line: &[u8]) -> Vec<Reason> {
        check(Some(line), Some(TestResult::Passed), &[]).err().unwrap_or_default()
    }

    #[test]
    fn ppk_34_a_good_line_holds() {
        let file = line(1, &payload(b"root", TestResult::Passed));
        let attested = check(Some(&file), Some(TestResult::Passed), &[TEST_RESULT]).expect("a good line");
        assert_eq!((attested.len(), attested[0].result), (1, TestResult::Passed));
        assert_eq!(attested[0].fingerprint, fingerprint(key(1).public_key().key_data()));
        assert!(check(Some(&file), None, &[TEST_RESULT]).is_ok());
    }

    #[test]
    fn ppk_36_each_reason() {
        let good = payload(b"root", TestResult::Passed);
        assert_eq!(reasons(&line(2, &good)), [Reason::Signature]);
        assert_eq!(reasons(&line(1, &payload(b"other", TestResult::Passed))), [Reason::Subject], "A38");
        assert_eq!(reasons(&line(1, &payload(b"root", TestResult::Failed))), [Reason::Verdict]);
        let file = line(1, &good);
        assert_eq!(check(Some(&file), Some(TestResult::Failed), &[]), Err(vec![Reason::Verdict]), "A39");
        for (what, payload, reason) in [
            ("commit", edited(|v| v["subject"][2]["digest"]["gitCommit"] = "dead".into()), Reason::Subject),
            ("policy", edited(|v| v["predicate"]["configuration"][0]["name"] = "x".into()), Reason::Subject),
            ("url", edited(|v| v["predicate"]["url"] = "x".into()), Reason::Payload),
            ("field", edited(|v| v["extra"] = 1.into()), Reason::Payload),
            ("word", edited(|v| v["predicate"]["result"] = "OK".into()), Reason::Payload),
            ("unsorted", edited(|v| v["predicate"]["passedTests"] = json!(["b", "a"])), Reason::Payload),
            ("failed", edited(|v| v["predicate"]["failedTests"] = json!(["a"])), Reason::Verdict),
            ("warned", edited(|v| v["predicate"]["warnedTests"] = json!(["a"])), Reason::Verdict),
            ("spaces", [&good[..], b" "].concat(), Reason::Payload),
        ] {
            assert_eq!(reasons(&line(1, &payload)), [reason], "{what}");
        }
    }

    #[test]
    fn envelopes_have_one_form() {
        let good = String::from_utf8(line(1, &payload(b"root", TestResult::Passed))).expect("ASCII");
        let double = good.replace("[{", "[{\"keyid\":\"x\",\"sig\":\"\"},{");
        let bad_signature = good.replace("\"sig\":\"", "\"sig\":\"AAAA");
        for (what, text, reason) in [
            ("no line end", good.trim_end().to_owned(), Reason::Payload),
            ("space", good.replacen(':', ": ", 1), Reason::Payload),
            ("unknown field", good.replacen('{', "{\"a\":1,", 1), Reason::Payload),
            ("two signatures", double, Reason::Payload),
            ("signature of 67 bytes", bad_signature, Reason::Signature),
            ("payload not base64", good.replacen("\"payload\":\"", "\"payload\":\"!", 1), Reason::Payload),
            ("empty line", "\n".to_owned(), Reason::Payload),
        ] {
            assert_eq!(reasons(text.as_bytes()), [reason], "{what}");
        }
        assert_eq!(check(Some(&vec![b'x'; (1 << 20) + 1]), None, &[]), Err(vec![Reason::Member]));
    }

    #[test]
    fn unknown_types_are_ignored_and_satisfy_nothing() {
        let other = line(2, &edited(|v| v["predicateType"] = "https://in-toto.io/attestation/other/v1".into()));
        assert_eq!(check(Some(&other), None, &[]), Ok(vec![]));
        assert_eq!(check(Some(&other), None, &[TEST_RESULT]), Err(vec![Reason::Type]));
        assert_eq!(check(None, None, &[]), Ok(vec![]));
        for file in [None, Some(&b""[..])] {
            assert_eq!(check(file, None, &[TEST_RESULT]), Err(vec![Reason::Missing]));
        }
        let both = [other, line(1, &payload(b"root", TestResult::Passed))].concat();
        assert_eq!(check(Some(&both), None, &[TEST_RESULT]).map(|lines| lines.len()), Ok(1));
    }
}
