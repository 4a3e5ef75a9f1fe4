//! What a verify run says: one line a check, as escaped text or as JSON Lines, and one result line (PPK-19, PPK-20).

use contract::digest::Digest;
use serde_json::{Value, json};

use super::codes::{Code, Fault, Reason, escape, exit_of};
use crate::check::Verdict;

macro_rules! checks {
    ($($variant:ident = $id:literal: $doc:literal),* $(,)?) => {
        /// A check of the verifier, in the order in which it reports them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CheckId { $(#[doc = $doc] $variant),* }

        impl CheckId {
            /// Every check.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its public id.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),* }
            }
        }
    };
}

checks! {
    Limits = "limits": "Step 1: size and limits.",
    Headers = "headers": "Step 2: local headers and names.",
    Bytes = "bytes": "Step 3: CRC-32 of each member.",
    Directory = "directory": "Step 4: central directory, end record, nothing after it.",
    Sums = "sums": "Step 5: grammar of the hash list.",
    Set = "set": "Step 5: members and hash list name the same files.",
    Hashes = "hashes": "Step 5: SHA-256 of each member.",
    Root = "root": "Step 5: the root the caller expects.",
    Manifest = "manifest": "Step 6: canonical JSON, fields, agreement with list and members.",
    Evidence = "evidence": "Step 6: rows, normalised digests, evidence digest.",
    Scripts = "scripts": "Step 7: scripts and README.",
    Leaks = "leaks": "Step 8: leak lint.",
    Signature = "signature": "Step 9: signature over the hash list.",
    Attestation = "attestation": "Step 9: attestations about the root.",
    Subject = "subject": "Step 9: the commit the caller expects.",
    Verdict = "verdict": "Step 10: the verdict follows from the evidence.",
    Replay = "replay": "Step 11: the evidence comes out again.",
}

/// Outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every rule held.
    Pass,
    /// These rules were broken.
    Fail(Vec<Fault>),
    /// It did not run, for this reason: not a pass.
    NotRun(&'static str),
}

/// Everything a verify run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    checks: Vec<(CheckId, Status)>,
    requested: Vec<CheckId>,
    /// The root, once the hash list was read.
    pub root: Option<Digest>,
    /// The derived verdict, where it was derived.
    pub verdict: Option<Verdict>,
    /// Whether the judged tree was dirty, where the manifest was read.
    pub dirty: Option<bool>,
    /// Who vouches for the pack: the principal of a trusted signature.
    pub signer: Option<String>,
}

impl Report {
    /// A report in which nothing ran yet; `requested` are the checks that must run.
    #[must_use]
    pub fn new(requested: Vec<CheckId>) -> Self {
        let checks = CheckId::ALL.iter().map(|&id| (id, Status::NotRun("not reached"))).collect();
        Self { checks, requested, root: None, verdict: None, dirty: None, signer: None }
    }

    /// Sets the outcome of a check.
    pub fn set(&mut self, id: CheckId, status: Status) {
        if let Some(slot) = self.checks.iter_mut().find(|(check, _)| *check == id) {
            slot.1 = status;
        }
    }

    /// Sets a check to pass, or to fail with these faults.
    pub fn settle(&mut self, id: CheckId, faults: Vec<Fault>) {
        self.set(id, if faults.is_empty() { Status::Pass } else { Status::Fail(faults) });
    }

    /// Outcome of a check.
    #[must_use]
    pub fn status(&self, id: CheckId) -> &Status {
        // Every id has its row from the start.
        self.checks.iter().find(|(check, _)| *check == id).map_or(&Status::NotRun("not reached"), |(_, status)| status)
    }

    /// Every fault, in the order of the checks.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.checks.iter().flat_map(|(_, status)| match status {
            Status::Fail(faults) => faults.as_slice(),
            Status::Pass | Status::NotRun(_) => &[],
        })
    }

    /// The exit: 0 only when nothing failed and every requested check ran.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match exit_of(self.faults()) {
            0 if self.missed().next().is_some() => Code::Usage.exit(),
            exit => exit,
        }
    }

    /// Requested checks that did not run.
    fn missed(&self) -> impl Iterator<Item = CheckId> {
        self.requested.iter().copied().filter(|id| matches!(self.status(*id), Status::NotRun(_)))
    }

    /// The sentence a reader must not misread.
    #[must_use]
    pub fn result_line(&self) -> String {
        let broken = self.faults().any(|fault| matches!(fault.code.exit(), 1 | 2)) || !self.is_whole();
        let mut line = match (&self.signer, broken) {
            (_, true) => "REFUSED".to_owned(),
            (Some(signer), false) => format!("INTACT, AUTHENTICATED by {}", escape(signer.as_bytes())),
            (None, false) => "INTACT, NOT AUTHENTICATED".to_owned(),
        };
        match (self.verdict, broken) {
            (Some(verdict), _) => line += &format!("; derived verdict {}", verdict.word()),
            (None, false) => line += "; verdict not derived",
            (None, true) => {}
        }
        if self.dirty == Some(true) {
            line += "; DIRTY";
        }
        for id in self.missed() {
            line += &format!("; {} was asked for and did not run", id.id());
        }
        if let Some(root) = self.root {
            line += &format!("; root {root}");
        }
        line
    }

    /// Whether all that makes a pack intact has run.
    fn is_whole(&self) -> bool {
        let needed = [CheckId::Sums, CheckId::Set, CheckId::Hashes, CheckId::Manifest, CheckId::Evidence];
        needed.iter().all(|id| *self.status(*id) == Status::Pass)
    }

    /// The report as text: a line a check or fault, then the result line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (id, status) in &self.checks {
            match status {
                Status::Pass => out += &format!("pass     {}\n", id.id()),
                Status::NotRun(why) => out += &format!("not_run  {}: {why}\n", id.id()),
                Status::Fail(faults) => {
                    faults.iter().for_each(|fault| out += &format!("fail     {}: {fault}\n", id.id()));
                }
            }
        }
        out + &self.result_line() + "\n"
    }

    /// The report as JSON Lines: `proofpack.check/1` a check or fault, last `proofpack.result/1`.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut out = String::new();
        for (id, status) in &self.checks {
            let (word, faults) = match status {
                Status::Pass => ("pass", &[][..]),
                Status::NotRun(_) => ("not_run", &[][..]),
                Status::Fail(faults) => ("fail", faults.as_slice()),
            };
            if faults.is_empty() {
                out += &format!("{}\n", check_line(*id, word, None));
            }
            faults.iter().for_each(|fault| out += &format!("{}\n", check_line(*id, word, Some(fault))));
        }
        let count = |wanted: fn(&Status) -> bool| self.checks.iter().filter(|(_, status)| wanted(status)).count();
        let result = json!({
            "schema": "proofpack.result/1",
            "root": self.root.map(|root| root.to_string()),
            "exit": self.exit(),
            "pass": count(|status| *status == Status::Pass),
            "fail": count(|status| matches!(status, Status::Fail(_))),
            "not_run": count(|status| matches!(status, Status::NotRun(_))),
            "result": self.result_line(),
        });
        out + &format!("{result}\n")
    }

    /// A report of nothing but one fault, for a run that could not begin.
    #[must_use]
    pub fn refused(fault: Fault) -> Self {
        let mut report = Self::new(Vec::new());
        report.set(CheckId::Limits, Status::Fail(vec![fault]));
        report
    }
}

/// All text goes through [`escape`], so the line is printable ASCII.
fn check_line(id: CheckId, result: &str, fault: Option<&Fault>) -> Value {
    let text = |text: fn(&Fault) -> Option<&String>| fault.and_then(text).map(|text| escape(text.as_bytes()));
    json!({
        "schema": "proofpack.check/1",
        "id": id.id(),
        "result": result,
        "code": fault.map(|fault| fault.code.to_string()),
        "reason": fault.map(|fault| Reason::word(fault.reason)),
        "path": text(|fault| fault.path.as_ref()),
        "offset": fault.and_then(|fault| fault.offset),
        "expected": text(|fault| fault.expected.as_ref()),
        "found": text(|fault| fault.found.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(requested: Vec<CheckId>) -> Report {
        let mut report = Report::new(requested);
        let run = CheckId::ALL.iter().filter(|id| **id < CheckId::Signature);
        run.for_each(|id| report.set(*id, Status::Pass));
        report
    }

    #[test]
    fn ppk_19_a31_not_run_is_not_a_pass() {
        assert_eq!(whole(Vec::new()).exit(), 0);
        for id in [CheckId::Signature, CheckId::Verdict, CheckId::Replay] {
            let report = whole(vec![id]);
            assert_ne!(report.exit(), 0, "{}", id.id());
            assert!(report.result_line().contains("did not run"), "{}", report.result_line());
        }
    }

    #[test]
    fn ppk_19_the_result_line() {
        let mut report = whole(Vec::new());
        assert_eq!(report.result_line(), "INTACT, NOT AUTHENTICATED; verdict not derived");
        report.signer = Some("release\u{1b}".into());
        report.verdict = Some(Verdict::Pass);
        report.dirty = Some(true);
        assert_eq!(report.result_line(), "INTACT, AUTHENTICATED by release\\x1b; derived verdict PASS; DIRTY");
        report.settle(CheckId::Leaks, vec![Fault::new(Code::Leak, Reason::Found)]);
        assert!(report.result_line().starts_with("REFUSED"));
        assert!(Report::new(Vec::new()).result_line().starts_with("REFUSED"), "nothing ran");
    }

    #[test]
    fn ppk_20_lines_are_printable_ascii() {
        let mut report = whole(Vec::new());
        let fault = Fault::new(Code::Name, Reason::Charset).at("a\u{1b}\u{9b}\"\n").found("\u{202e}");
        report.settle(CheckId::Headers, vec![fault]);
        for text in [report.text(), report.json_lines()] {
            assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text:?}");
        }
        let lines: Vec<Value> =
            report.json_lines().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[1]["code"], "E_NAME");
        assert_eq!(lines[1].as_object().expect("an object").len(), 9);
        let last = lines.last().expect("a result");
        assert_eq!((last["schema"].as_str(), last["exit"].as_u64()), (Some("proofpack.result/1"), Some(1)));
    }
}
