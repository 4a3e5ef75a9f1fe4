//! A small run folder, the tables and the judge that go with it: what every test of a whole pack starts from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::digest::Digest;
use contract::record::class_of;
use gates::check::Verdict;
use gates::evidence::Files;
use gates::proofpack::build::{BuildOptions, Built, build};
use gates::proofpack::codes::{Code, Fault, Reason};
use gates::proofpack::json;
use gates::proofpack::layout::Tables;
use gates::proofpack::leak::Literals;
use gates::proofpack::manifest::Part;
use gates::proofpack::report::Report;
use gates::proofpack::verify::{Derived, Input, Judge, Options, verify};
use serde_json::{Value, json};

/// Classes as the contract fixes them, one row schema of our own.
pub(crate) const TABLES: Tables = Tables {
    class_of,
    volatile_fields: |schema| match schema {
        "test.row/1" => Some(&["start_ns"]),
        "test.plan/1" => Some(&[]),
        _ => None,
    },
    claim_of: |_| Some("every row says ok"),
};

pub(crate) const PARTS: [&str; 5] = ["pr-g0", "pr-g1", "pr-g2", "pr-g3", "pr-g4"];

/// PASS when every row of a gate says ok, FAIL when one does not, NO_EVIDENCE without a row.
pub(crate) struct RowsSayOk(pub(crate) u64);

impl Judge for RowsSayOk {
    fn rules(&self) -> u64 {
        self.0
    }

    fn derive(&self, files: &dyn Files) -> Result<Derived, String> {
        let policy = files.read("policy/gate.json").ok_or("no policy")?;
        let policy: Value = serde_json::from_slice(policy).map_err(|error| error.to_string())?;
        let gates = policy["gates"].as_array().ok_or("no gates in the policy")?;
        let judged: Vec<(Part, f64)> = gates.iter().filter_map(Value::as_str).map(|id| judge_gate(id, files)).collect();
        let verdict = judged.iter().map(|(part, _)| part.verdict).max().unwrap_or(Verdict::NoEvidence);
        let gates: Vec<Value> = judged
            .iter()
            .map(|(part, ratio)| json!({"id": part.id, "ratio": ratio, "verdict": part.verdict.word()}))
            .collect();
        let report = json!({"rules": self.0, "gates": gates, "verdict": verdict.word()});
        Ok(Derived { verdict, soft_broken: false, parts: judged.into_iter().map(|(part, _)| part).collect(), report })
    }
}

fn judge_gate(id: &str, files: &dyn Files) -> (Part, f64) {
    let rows = files.read(&format!("evidence/{id}/rows.jsonl")).unwrap_or(&[]);
    let rows: Vec<Value> =
        rows.split(|&byte| byte == b'\n').filter_map(|row| serde_json::from_slice(row).ok()).collect();
    let ok = rows.iter().filter(|row| row["ok"] == true).count();
    let verdict = match rows.len() {
        0 => Verdict::NoEvidence,
        n if n == ok => Verdict::Pass,
        _ => Verdict::Fail,
    };
    (Part { id: id.to_owned(), verdict }, ok as f64 / rows.len().max(1) as f64)
}

/// A run folder on disk.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// A green run of all gates.
    pub(crate) fn green() -> Self {
        Self::with_rows(
            |_, index| json!({"schema": "test.row/1", "index": index, "ok": true, "start_ns": 1000 + index}),
        )
    }

    /// A run in which one row of pr-g2 is not ok.
    pub(crate) fn red() -> Self {
        Self::with_rows(
            |gate, index| json!({"schema": "test.row/1", "index": index, "ok": gate != "pr-g2" || index != 1}),
        )
    }

    fn with_rows(row: impl Fn(&str, u64) -> Value) -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for gate in PARTS {
            world.put(&format!("evidence/{gate}/plan.json"), &line(&json!({"schema": "test.plan/1", "gate": gate})));
            let rows: Vec<u8> = (0..3).flat_map(|index| line(&row(gate, index))).collect();
            world.put(&format!("evidence/{gate}/rows.jsonl"), &rows);
        }
        world.put("evidence/pr-g0/cargo-build.log", b"    Finished \x1b[32mdev\x1b[0m in <target>\n");
        world.put("policy/gate.json", &line(&json!({"gates": PARTS, "schema": "test.policy/1"})));
        world.put("policy/leak-allow.json", b"[]\n");
        let environment = json!({
            "schema": "proofhouse.environment/1", "os": "linux", "kernel": "6.1", "arch": "x86_64", "cpu_model": "model",
            "logical_cpus": 2, "memory_mib": 4096, "load_x100": 50, "filesystem": "ext4", "machine_class": "small",
        });
        world.put("environment.json", &canonical(&environment));
        let sbom = canonical(&json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}));
        let toolchain = json!({
            "schema": "proofhouse.toolchain/1", "rustc": ["rustc 1.95.0"], "cargo": "cargo 1.95.0", "profile": "dev",
            "target": "x86_64-unknown-linux-gnu", "cargo_lock_sha256": Digest::of(b"lock"),
            "rust_toolchain_sha256": Digest::of(b"toolchain"), "sbom_sha256": Digest::of(&sbom),
        });
        world.put("sbom.cdx.json", &sbom);
        world.put("toolchain.json", &canonical(&toolchain));
        world.judge();
        world
    }

    /// Judges the folder: `evidence/verdict.json` and `run.json`.
    pub(crate) fn judge(&self) {
        let mut files = BTreeMap::new();
        for gate in PARTS {
            let path = format!("evidence/{gate}/rows.jsonl");
            files.insert(path.clone(), std::fs::read(self.run().join(path)).expect("the rows were written"));
        }
        files.insert(
            "policy/gate.json".into(),
            std::fs::read(self.run().join("policy/gate.json")).expect("was written"),
        );
        let derived = RowsSayOk(1).derive(&files).expect("rows and policy are there");
        self.put("evidence/verdict.json", &line(&derived.report));
        let parts: Vec<Value> =
            derived.parts.iter().map(|part| json!({"id": part.id, "verdict": part.verdict.word()})).collect();
        self.put("run.json", &line(&json!({
            "schema": "proofhouse.run/1", "state": "COMPLETE", "parts": parts, "rules": 1, "foreign": false,
            "subject": {"name": "proofhouse", "git_commit": "a".repeat(40), "git_tree": "b".repeat(40), "dirty": false},
            "source_date_epoch": 1_700_000_000, "profile": "dev", "seed": "000000000000002a", "set": ["CONCURRENCY_N=4"],
            "replay": {"env_allow": ["HOME", "PATH"], "expect": "normalised-equal", "timeout_s": 600},
            "tool": {"name": "xtask", "version": "0.1.0", "sha256": Digest::of(b"tool")},
            "loosened": [], "narrowed": [],
        })));
    }

    /// The run folder.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Where packs go.
    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A folder for other things.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the run.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        put(&self.run(), path, bytes);
    }

    /// Changes a field of `run.json`, by pointer.
    pub(crate) fn set_fact(&self, pointer: &str, value: Value) {
        let path = self.run().join("run.json");
        let mut facts: Value = serde_json::from_slice(&std::fs::read(&path).expect("was written")).expect("is JSON");
        *facts.pointer_mut(pointer).expect("a field of run.json") = value;
        self.put("run.json", &line(&facts));
    }

    /// Packs the run.
    pub(crate) fn build(&self) -> Built {
        self.try_build(|_| ()).expect("the run is fit")
    }

    /// Packs the run with other options.
    pub(crate) fn try_build(&self, change: impl FnOnce(&mut BuildOptions<'_>)) -> Result<Built, Vec<Fault>> {
        let literals = Literals::none();
        let mut options = BuildOptions::new("pr-g5", &literals, &TABLES);
        change(&mut options);
        build(&self.run(), &self.out(), &options, &mut |_| ())
    }

    /// The pack of this run as bytes.
    pub(crate) fn pack(&self) -> Vec<u8> {
        std::fs::read(self.build().path).expect("the pack was written")
    }
}

/// Writes a file below a folder.
pub(crate) fn put(root: &Path, path: &str, bytes: &[u8]) {
    let place = root.join(path);
    std::fs::create_dir_all(place.parent().expect("a path below the root")).expect("folders can be made");
    std::fs::write(place, bytes).expect("files can be written");
}

/// One line of JSON.
pub(crate) fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// Canonical JSON.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    json::canonical(value.to_string().as_bytes()).expect("printable ASCII and integers")
}

/// Verifies bytes with the test's judge and tables.
pub(crate) fn check(bytes: &[u8]) -> Report {
    check_with(bytes, &Options::default())
}

/// Verifies bytes with options.
pub(crate) fn check_with(bytes: &[u8], options: &Options) -> Report {
    verify(Input::Bytes(bytes), options, Some(&RowsSayOk(1)), &TABLES)
}

/// Codes and reasons of a report, in order.
pub(crate) fn codes(report: &Report) -> Vec<(Code, Reason)> {
    report.faults().map(|fault| (fault.code, fault.reason)).collect()
}

/// Code and reason of the first fault of a refused build.
pub(crate) fn refusal(result: Result<Built, Vec<Fault>>) -> (Code, Reason) {
    let faults = result.expect_err("the run must be refused");
    (faults[0].code, faults[0].reason)
}
