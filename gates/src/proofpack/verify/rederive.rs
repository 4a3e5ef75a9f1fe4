//! Step 10: the verdict once more, from evidence and policy alone, compared with what the pack says.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use contract::digest::Digest;
use serde_json::Value;

use super::super::attest::TestResult;
use super::super::codes::{Code, Fault, Reason};
use super::super::compare;
use super::super::folder;
use super::super::layout::{EVIDENCE, VERDICT};
use super::super::manifest::Manifest;
use super::super::records::Record;
use super::super::report::{CheckId, Status};
use super::{Derived, Judge, Run, Source};
use crate::check::Verdict;

impl Run<'_> {
    /// Step 10: derive the verdict again, and compare it with what the pack says.
    pub(super) fn verdict(&mut self, manifest: &Manifest, judge: &dyn Judge, source: Source<'_>) -> Option<TestResult> {
        // Evidence that is not what the hash list says, or that has no place, has no verdict.
        let sound = [CheckId::Set, CheckId::Hashes, CheckId::Manifest, CheckId::Evidence];
        if sound.iter().any(|id| *self.report.status(*id) != Status::Pass) {
            self.not_run(CheckId::Verdict, "the evidence is not intact");
            return None;
        }
        let judged = match source {
            Source::Gone => {
                self.not_run(CheckId::Verdict, "a pipe cannot be read twice");
                return None;
            }
            source => self.again(source).and_then(|mut files| {
                let stored = files.remove(VERDICT).ok_or_else(|| Fault::new(Code::Set, Reason::Missing).at(VERDICT))?;
                let stored: Value = serde_json::from_slice(&stored)
                    .map_err(|error| Fault::new(Code::Evidence, Reason::Json).at(VERDICT).found(error))?;
                let derived = judge
                    .derive(&files)
                    .map_err(|why| Fault::new(Code::Underivable, Reason::Underivable).found(why))?;
                Ok((stored, derived))
            }),
        };
        match judged {
            Err(fault) => {
                self.report.set(CheckId::Verdict, Status::Fail(vec![fault]));
                None
            }
            Ok((stored, derived)) => {
                self.report.verdict = Some(derived.verdict);
                self.report.settle(CheckId::Verdict, verdict_faults(manifest, judge.rules(), &stored, &derived));
                Some(match derived.verdict {
                    Verdict::Pass if derived.soft_broken => TestResult::Warned,
                    Verdict::Pass => TestResult::Passed,
                    _ => TestResult::Failed,
                })
            }
        }
    }

    /// Evidence and policy once more, each file compared with the digest of the first pass: what is judged is what was
    /// verified.
    fn again(&self, source: Source<'_>) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let wanted = |path: &str| path.starts_with(EVIDENCE) || path.starts_with("policy/");
        let mut files = BTreeMap::new();
        for (path, measured) in self.intake.measured().iter().filter(|(path, _)| wanted(path)) {
            let bytes = source.read(path, measured.size);
            let bytes = bytes.map_err(|error| Fault::new(Code::Io, Reason::Read).at(path).found(error))?;
            if Digest::of(&bytes) != measured.sha256 {
                return Err(Fault::new(Code::Hash, Reason::Sha256).at(path).found("other bytes than a moment ago"));
            }
            files.insert(path.clone(), bytes);
        }
        Ok(files)
    }
}

impl Source<'_> {
    fn read(&self, path: &str, size: u64) -> std::io::Result<Vec<u8>> {
        let place = |records: &[Record]| {
            let at = records.binary_search_by(|record| record.path.as_str().cmp(path));
            at.ok().and_then(|at| records.get(at)).map_or(0, Record::data_offset)
        };
        let mut bytes = Vec::new();
        match self {
            Self::File(file, records) => {
                let mut file = file;
                file.seek(SeekFrom::Start(place(records)))?;
                file.take(size).read_to_end(&mut bytes)?;
            }
            Self::Bytes(all, records) => {
                let rest = usize::try_from(place(records)).ok().and_then(|from| all.get(from..)).unwrap_or(&[]);
                rest.take(size).read_to_end(&mut bytes)?;
            }
            Self::Tree(root) => {
                folder::open_beneath(root, path)?.take(size + 1).read_to_end(&mut bytes)?;
            }
            Self::Gone => {}
        }
        Ok(bytes)
    }
}

/// What the derived verdict says against manifest and report.
fn verdict_faults(manifest: &Manifest, rules: u64, stored: &Value, derived: &Derived) -> Vec<Fault> {
    let differences = compare::differences(stored, &derived.report);
    let list = || differences.iter().map(|d| d.pointer.as_str()).take(20).collect::<Vec<_>>().join(" ");
    if rules != manifest.gate.rules {
        let fault = Fault::new(Code::Underivable, Reason::Rules).expected(format!("rules {}", manifest.gate.rules));
        return vec![fault.found(format!("RULES CHANGED to {rules}; differing: {}", list()))];
    }
    let mut faults = Vec::new();
    let mut underivable = false;
    for part in &manifest.gate.parts {
        let found = derived.parts.iter().find(|other| other.id == part.id).map(|other| other.verdict);
        match found {
            Some(found) if found == part.verdict => {}
            // Rows or rules that a verdict needs are gone: that is no other verdict, but none.
            None | Some(Verdict::NoEvidence) => {
                underivable = true;
                let fault = Fault::new(Code::Underivable, Reason::Underivable).at(&part.id);
                faults.push(fault.expected(part.verdict.word()).found("no evidence for it"));
            }
            Some(found) => {
                let fault = Fault::new(Code::Verdict, Reason::Verdict).at(&part.id);
                faults.push(fault.expected(found.word()).found(part.verdict.word()));
            }
        }
    }
    if let (Some(first), false) = (differences.first(), underivable) {
        let show = |value: &Option<Value>| value.as_ref().map_or("nothing".into(), Value::to_string);
        let fault = Fault::new(Code::Verdict, Reason::Pointer).at(format!("{VERDICT}#{}", first.pointer));
        let more = if differences.len() > 1 { format!(" (and {} more)", differences.len() - 1) } else { String::new() };
        faults.push(fault.expected(show(&first.derived)).found(show(&first.stored) + &more));
    }
    if faults.is_empty() && derived.verdict != Verdict::Pass {
        faults.push(Fault::new(Code::Gate, Reason::NotPass).expected("PASS").found(derived.verdict.word()));
    }
    faults
}
