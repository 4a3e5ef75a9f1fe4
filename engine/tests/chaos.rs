//! The chaos drill through the built program: its rows are counted again here, apart from any judge.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use contract::canonical;
use contract::chaos_profile::ChaosFile;
use contract::digest::Digest;
use contract::plan::Plan;
use contract::policy::GatePolicy;
use contract::record::chaos::{Attempt, ChaosLog, Storm, StormPurpose, WireCase};
use contract::record::run::Repeat;
use contract::record::{self, Record};
use contract::seed::Seed;
use serde_json::{Value, json};

/// A tracked file of the policy.
fn tracked(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy").join(name);
    canonical::parse_evidence(&fs::read(path).expect("it is tracked")).expect("strict JSON")
}

/// One run of the drill for all tests here; it takes seconds.
static FIRST: LazyLock<tempfile::TempDir> = LazyLock::new(run);

fn run() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let folder = scratch.path();
    let mut values = tracked("calibration.json");
    values["CHAOS_CALLS"] = json!(200);
    values["CHAOS_SEEDS"] = json!(2);
    let scenarios = tracked("profiles.json")["scenarios"].clone();
    let policy = GatePolicy {
        schema: GatePolicy::SCHEMA.into(),
        profile: "dev".into(),
        gates: vec![],
        values: values.clone(),
        sources: BTreeMap::new(),
        loosened: vec![],
        chaos: tracked("chaos.json"),
        scenarios: serde_json::from_value(scenarios).expect("an object"),
        baseline: json!({}),
        inventory: json!({}),
        trace: json!({}),
        code_audit: json!({}),
        path_allow: json!({}),
    };
    let plan = Plan {
        schema: Plan::SCHEMA.into(),
        gate: "pr-g3".into(),
        profile: "dev".into(),
        commit: String::new(),
        tree: String::new(),
        policy: Digest::of(b"policy"),
        toolchain: String::new(),
        master_seed: Seed(42),
        drills: vec![],
    };
    let write = |name: &str, value: &Value| {
        fs::write(folder.join(name), canonical::to_bytes(value).expect("finite")).expect("written");
    };
    write("calibration.json", &values);
    write("gate.json", &serde_json::to_value(policy).expect("plain data"));
    write("plan.json", &serde_json::to_value(plan).expect("plain data"));
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_drill"))
        .current_dir(folder)
        .args(["chaos", "--plan", "plan.json", "--calibration", "calibration.json", "--policy", "gate.json"])
        .args(["--out", "out", "--wire", env!("CARGO_BIN_EXE_wire"), "--engine", env!("CARGO_BIN_EXE_engine")])
        .timeout(std::time::Duration::from_secs(100))
        .assert()
        .success();
    scratch
}

fn rows<T: Record>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).expect("the drill wrote it");
    let read = |line: &str| record::read::<T>(line.as_bytes()).expect("a row").1;
    text.lines().map(read).collect()
}

fn file<T: Record>(path: &Path) -> T {
    record::read(&fs::read(path).expect("the drill wrote it")).expect("a record").1
}

/// Every storm folder: report, log, attempts.
fn storms(out: &Path) -> Vec<(PathBuf, Storm, ChaosLog, Vec<Attempt>)> {
    let profiles = ChaosFile::from_value(&tracked("chaos.json")).expect("valid").profiles;
    let mut found = Vec::new();
    for (profile, index) in profiles.keys().flat_map(|profile| [(profile, 0), (profile, 1)]) {
        for part in ["c1", "c2", "c8", "bounds"] {
            let folder = out.join(profile).join(Seed(42).derive("pr-g3", index).to_string()).join(part);
            let (report, log) = (file(&folder.join("run-report.json")), file(&folder.join("chaos-log.json")));
            let attempts = rows(&folder.join("attempts.jsonl"));
            found.push((folder, report, log, attempts));
        }
    }
    found
}

#[test]
fn storms_add_up() {
    let storms = storms(&FIRST.path().join("out"));
    assert_eq!(storms.len(), 5 * 2 * 4);
    let mut decisions: BTreeMap<(String, Seed), BTreeMap<(u64, u32), _>> = BTreeMap::new();
    let chaos = ChaosFile::from_value(&tracked("chaos.json")).expect("valid");
    let mut exhausted = 0;
    for (folder, report, log, attempts) in &storms {
        let at = folder.display();
        let places: Vec<_> = attempts.iter().map(|row| (row.call_index, row.attempt)).collect();
        assert_eq!(
            places,
            log.entries.iter().map(|entry| (entry.call_index, entry.attempt)).collect::<Vec<_>>(),
            "{at}"
        );
        assert!(places.is_sorted(), "{at}");
        let (_, modes) = chaos.profile(&report.profile, 0.2).expect("a known profile");
        let known = decisions.entry((report.profile.clone(), report.seed)).or_default();
        for (entry, row) in log.entries.iter().zip(attempts) {
            assert_eq!((entry.injected, entry.failure_type), (row.injected.is_some(), row.injected), "{at}");
            assert!(row.injected.is_none_or(|mode| modes.contains(&mode)), "{at}: outside the profile");
            assert_ne!((row.outcome.as_str(), row.injected.is_some()), ("ok", true), "{at}: a fault was a success");
            let before = known.insert((entry.call_index, entry.attempt), entry.failure_type);
            assert!(before.is_none_or(|before| before == entry.failure_type), "{at}: another decision");
        }
        let sent = attempts.iter().filter(|row| row.injected.is_none()).count() as u64;
        assert_eq!(sent, report.arrived, "{at}: reconciled");
        assert_eq!(report.ends.len() as u64, report.calls, "{at}");
        for end in &report.ends {
            let of_call: Vec<_> = attempts.iter().filter(|row| row.call_index == end.call_index).collect();
            assert_eq!(of_call.len() as u64, end.attempts, "{at}");
            assert!(of_call.len() <= 4, "{at}: 1 + MAX_RETRIES");
            assert_eq!(end.outcome == "ok", of_call.last().is_some_and(|row| row.outcome == "ok"), "{at}");
            assert_eq!(end.outcome == "ok", end.chars > 0, "{at}: no text, no success");
        }
        let retries = attempts.iter().filter(|row| row.attempt > 1).count();
        if report.purpose == StormPurpose::Bounds {
            assert!(retries <= 30, "{at}: MAX_RETRIES_PER_RUN");
            let refused = report.ends.iter().any(|end| end.outcome == "budget_refused");
            exhausted += u32::from(refused || attempts.iter().any(|row| row.gave_up.as_deref() == Some("quota")));
        }
    }
    assert!(exhausted > 0, "at least one storm ran into its bounds");
}

#[test]
fn storms_are_the_same_bytes_again() {
    let second = run();
    let bytes = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let names = ["attempts.jsonl", "chaos-log.json", "run-report.json"];
        let storms = storms(&folder.join("out"));
        let files = storms.iter().flat_map(|(at, ..)| names.map(|name| at.join(name)));
        files
            .map(|path| {
                (path.strip_prefix(folder).expect("below").display().to_string(), fs::read(path).expect("read"))
            })
            .collect()
    };
    let (first, second) = (bytes(FIRST.path()), bytes(second.path()));
    let differing: BTreeSet<_> =
        first.iter().filter(|(name, bytes)| second.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
    assert!(differing.is_empty() && first.len() == 5 * 2 * 4 * 3, "{differing:?}");
}

#[test]
fn stories_under_chaos_are_the_same_through_the_built_engine() {
    let repeats = rows::<Repeat>(&FIRST.path().join("out/repeats.jsonl"));
    assert_eq!(repeats.len(), 20);
    for row in &repeats {
        assert_eq!(row.built.as_ref(), Some(&row.inside), "{} {}: {}", row.scenario, row.index, row.note);
    }
    assert!(repeats.iter().any(|row| row.inside.attempts > 6), "some stories met faults");
}

#[test]
fn wire_rows_hold_both_protocols_and_six_modes_and_their_journals() {
    let out = FIRST.path().join("out");
    let cases = rows::<WireCase>(&out.join("wire.jsonl"));
    let met: BTreeSet<_> = cases
        .iter()
        .filter(|case| case.not_run.is_none())
        .filter_map(|case| Some((case.protocol.as_str(), case.mode?)))
        .collect();
    assert_eq!(met.len(), 12);
    for case in cases.iter().filter(|case| case.not_run.is_none()) {
        let journal = out.join("wire-journal").join(&case.case);
        assert_eq!(rows::<Attempt>(&journal.join("attempts.jsonl")).len() as u64, case.attempts);
        let arrived = fs::read_to_string(journal.join("arrived.jsonl")).expect("the drill wrote it");
        assert_eq!(arrived.lines().count() as u64, case.arrived);
        assert_eq!((case.attempts, case.key_seen), (case.arrived, 0), "{}", case.case);
    }
}
