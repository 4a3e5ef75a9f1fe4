//! Evidence as judges see it: files that were checked for schema, version and plan before any rule looks at them.

use std::collections::BTreeMap;

use contract::calibration::Calibration;
use contract::canonical;
use contract::chaos_profile::ChaosFile;
use contract::digest::Digest;
use contract::plan::Plan;
use contract::policy::GatePolicy;
use contract::record::{self, Record, Stamp};
use serde_json::Value;

use crate::check::{NotRun, Place, Unjudged, Violation};

/// Unchecked files of a run folder or a pack, by path below it (`evidence/pr-g1/writers.jsonl`).
pub trait Files {
    /// The bytes of a file; `None` when it is not there.
    fn read(&self, path: &str) -> Option<&[u8]>;
    /// All paths, ascending.
    fn paths(&self) -> Vec<&str>;
}

impl Files for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Option<&[u8]> {
        self.get(path).map(Vec::as_slice)
    }

    fn paths(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

/// The policy in force, typed.
#[derive(Debug)]
pub struct Policy {
    /// The file as it is.
    pub file: GatePolicy,
    /// Its digest.
    pub digest: Digest,
    /// The resolved calibration.
    pub values: Calibration,
    /// The fault profiles.
    pub chaos: ChaosFile,
}

impl Policy {
    /// Checks `policy/gate.json`.
    ///
    /// # Errors
    /// What is wrong, with pointers.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = GatePolicy::parse(bytes)?;
        let digest = file.digest().map_err(|error| error.to_string())?;
        let values = file.calibration().map_err(|error| error.to_string())?;
        let chaos = file.chaos().map_err(|error| error.to_string())?;
        Ok(Self { file, digest, values, chaos })
    }

    /// Whether a row that could not be made leaves a check without evidence.
    #[must_use]
    pub fn strict_rows(&self) -> bool {
        self.file.profile == "release"
    }

    /// Whether rules on wall time decide: not in `dev`, where the machine does other things.
    #[must_use]
    pub fn clock_rules_decide(&self) -> bool {
        self.file.profile != "dev"
    }
}

/// All that a judge sees: the evidence of one gate, its plan, and the policy.
pub struct Context<'a> {
    /// Gate id.
    pub gate: &'static str,
    /// The policy in force.
    pub policy: &'a Policy,
    files: &'a dyn Files,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({})", self.gate)
    }
}

/// The rows of one file, each with its 1-based line.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// The file.
    pub place: Place,
    /// The rows, in file order.
    pub rows: Vec<(u64, T)>,
}

impl<T> Rows<T> {
    /// The rows without their lines.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().map(|(_, row)| row)
    }

    /// The place of one line.
    #[must_use]
    pub fn at(&self, line: u64) -> Place {
        Place { line: Some(line), ..self.place.clone() }
    }

    /// The violations that `broken` finds, row by row.
    pub fn violations(&self, broken: impl Fn(&T) -> Option<String>) -> Vec<Violation> {
        let found = self.rows.iter().filter_map(|(line, row)| Some((line, broken(row)?)));
        found.map(|(line, what)| Violation { what, place: self.at(*line) }).collect()
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether there are none; a file read by [`Context::rows`] always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<'a> Context<'a> {
    /// The evidence of `gate` in `files`.
    #[must_use]
    pub fn new(gate: &'static str, policy: &'a Policy, files: &'a dyn Files) -> Self {
        Self { gate, policy, files }
    }

    /// The gate's plan; it must be of this policy.
    ///
    /// # Errors
    /// No evidence, when the plan is missing, unreadable or of another policy.
    pub fn plan(&self) -> Result<Plan, Unjudged> {
        let (place, bytes) = self.bytes("plan.json")?;
        let no = |reason: String| Unjudged::NoEvidence { place: place.clone(), reason };
        let plan = Plan::parse(bytes).map_err(no)?;
        if plan.policy != self.policy.digest {
            return Err(no(format!("the plan is of policy {}, not {}", plan.policy, self.policy.digest)));
        }
        if plan.gate != self.gate {
            return Err(no(format!("the plan is of gate {}", plan.gate)));
        }
        Ok(plan)
    }

    /// The rows of a JSON Lines file of the gate: at least one, all of the expected schema and of this plan and policy.
    ///
    /// # Errors
    /// No evidence where the file is missing, empty, torn, of another version or another plan; integrity where rows of
    /// several plans stand in one file.
    pub fn rows<T: Record>(&self, name: &str) -> Result<Rows<T>, Unjudged> {
        let (place, bytes) = self.bytes(name)?;
        let no = |line: usize, reason: String| Unjudged::NoEvidence {
            place: Place { line: Some(line as u64), ..place.clone() },
            reason,
        };
        if bytes.last() != Some(&b'\n') {
            return Err(no(bytes.split(|byte| *byte == b'\n').count(), "the last line is torn".into()));
        }
        let mut rows = Vec::new();
        let mut stamps: Vec<(usize, Stamp)> = Vec::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let (stamp, row) = record::read::<T>(line).map_err(|error| no(index + 1, error.to_string()))?;
            stamps.push((index + 1, stamp));
            rows.push((index as u64 + 1, row));
        }
        self.check_stamps(&place, &stamps)?;
        Ok(Rows { place, rows })
    }

    /// A file of the gate with one record.
    ///
    /// # Errors
    /// As [`Context::rows`].
    pub fn file<T: Record>(&self, name: &str) -> Result<Rows<T>, Unjudged> {
        let (place, bytes) = self.bytes(name)?;
        let no = |reason: String| Unjudged::NoEvidence { place: place.clone(), reason };
        let (stamp, row) = record::read::<T>(bytes).map_err(|error| no(error.to_string()))?;
        self.check_stamps(&place, &[(1, stamp)])?;
        Ok(Rows { place, rows: vec![(1, row)] })
    }

    /// A strict JSON file of the gate that is no stamped record, such as an output of `engine`.
    ///
    /// # Errors
    /// No evidence where it is missing or no strict JSON.
    pub fn json(&self, name: &str) -> Result<(Place, Value), Unjudged> {
        let (place, bytes) = self.bytes(name)?;
        match canonical::parse_evidence(bytes) {
            Ok(value) => Ok((place, value)),
            Err(error) => Err(Unjudged::NoEvidence { place, reason: error.to_string() }),
        }
    }

    /// The strict JSON values of a JSON Lines file that holds no stamped records, each with its 1-based line.
    ///
    /// # Errors
    /// No evidence where it is missing, torn or no strict JSON.
    pub fn json_lines(&self, name: &str) -> Result<Rows<Value>, Unjudged> {
        let (place, bytes) = self.bytes(name)?;
        let mut rows = Vec::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let at = Place { line: Some(index as u64 + 1), ..place.clone() };
            let value = canonical::parse_evidence(line)
                .map_err(|error| Unjudged::NoEvidence { place: at, reason: error.to_string() })?;
            rows.push((index as u64 + 1, value));
        }
        Ok(Rows { place, rows })
    }

    /// The bytes of a file of the gate, and its place.
    ///
    /// # Errors
    /// No evidence where it is missing or empty.
    pub fn bytes(&self, name: &str) -> Result<(Place, &'a [u8]), Unjudged> {
        let path = self.path(name);
        let place = |sha256: String| Place { path: path.clone(), line: None, sha256 };
        match self.files.read(&path) {
            None => Err(Unjudged::NoEvidence { place: place(String::new()), reason: "is missing".into() }),
            Some([]) => {
                Err(Unjudged::NoEvidence { place: place(Digest::of(&[]).to_string()), reason: "is empty".into() })
            }
            Some(bytes) => Ok((place(Digest::of(bytes).to_string()), bytes)),
        }
    }

    /// Names of files of the gate below a folder of it, relative to the gate's folder, ascending.
    #[must_use]
    pub fn names_below(&self, folder: &str) -> Vec<String> {
        let root = self.path("");
        let prefix = self.path(folder) + "/";
        let below = self.files.paths().into_iter().filter(|path| path.starts_with(&prefix));
        below.filter_map(|path| path.strip_prefix(&root)).map(str::to_owned).collect()
    }

    fn path(&self, name: &str) -> String {
        format!("evidence/{}/{name}", self.gate)
    }

    fn check_stamps(&self, place: &Place, stamps: &[(usize, Stamp)]) -> Result<(), Unjudged> {
        let at = |line: usize| Place { line: Some(line as u64), ..place.clone() };
        let Some((_, first)) = stamps.first() else {
            return Err(Unjudged::NoEvidence { place: place.clone(), reason: "holds no row".into() });
        };
        if let Some((line, _)) = stamps.iter().find(|(_, stamp)| stamp != first) {
            return Err(Unjudged::Integrity {
                place: at(*line),
                reason: "rows of several plans or policies stand in one file".into(),
            });
        }
        let plan = self.plan()?;
        let expected =
            plan.stamp().map_err(|error| Unjudged::NoEvidence { place: place.clone(), reason: error.to_string() })?;
        if *first != expected {
            return Err(Unjudged::NoEvidence { place: at(1), reason: "was made under another plan or policy".into() });
        }
        Ok(())
    }
}

/// Rows that a drill marks as not made, told apart from rows that were.
pub fn split_not_run<T>(
    rows: &Rows<T>,
    reason: impl Fn(&T) -> Option<(String, String)>,
) -> (Vec<(u64, &T)>, Vec<NotRun>) {
    let mut made = Vec::new();
    let mut not_run = Vec::new();
    for (line, row) in &rows.rows {
        match reason(row) {
            Some((row, reason)) => not_run.push(NotRun { row, reason }),
            None => made.push((*line, row)),
        }
    }
    (made, not_run)
}
