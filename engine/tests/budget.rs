//! The budget drill through the built programs: its rows are counted again here, apart from any judge.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use contract::calibration::Calibration;
use contract::canonical;
use contract::digest::Digest;
use contract::plan::Plan;
use contract::policy::GatePolicy;
use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::{RunCost, ViolationKind};
use contract::record::ledger::{self, LedgerEntry, LedgerRow};
use contract::record::{self, Record};
use contract::seed::Seed;
use serde_json::{Value, json};

/// A tracked file of the policy.
fn tracked(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy").join(name);
    canonical::parse_evidence(&fs::read(path).expect("it is tracked")).expect("strict JSON")
}

fn run(folder: &Path) -> Vec<BudgetCase> {
    let values = tracked("calibration.json");
    let policy = GatePolicy {
        schema: GatePolicy::SCHEMA.into(),
        profile: "dev".into(),
        gates: vec![],
        values: values.clone(),
        sources: BTreeMap::new(),
        loosened: vec![],
        chaos: tracked("chaos.json"),
        scenarios: BTreeMap::new(),
        baseline: json!({}),
        inventory: json!({}),
        trace: json!({}),
        code_audit: json!({}),
        path_allow: json!({}),
    };
    let plan = Plan {
        schema: Plan::SCHEMA.into(),
        gate: "pr-g2".into(),
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
        .args(["budget", "--plan", "plan.json", "--calibration", "calibration.json", "--policy", "gate.json"])
        .args(["--out", "out", "--engine", env!("CARGO_BIN_EXE_engine")])
        .timeout(std::time::Duration::from_secs(100))
        .assert()
        .success();
    let text = fs::read_to_string(folder.join("out/budget-matrix.jsonl")).expect("the drill wrote it");
    text.lines().map(|line| record::read::<BudgetCase>(line.as_bytes()).expect("a row").1).collect()
}

fn file<T: Record>(path: &Path) -> T {
    record::read(&fs::read(path).expect("the drill wrote it")).expect("a record").1
}

fn journal(path: &Path) -> Vec<LedgerRow> {
    let text = fs::read_to_string(path).expect("the drill wrote it");
    let mut trail = ledger::NO_TRAIL;
    let mut rows = Vec::new();
    for line in text.lines() {
        let (row, next) = ledger::read_line(trail, line.as_bytes()).expect("the chain holds");
        trail = next;
        rows.push(row);
    }
    rows
}

/// The most that was ever committed along a journal, and what is charged at its end, in micro-dollars.
fn committed(rows: &[LedgerRow]) -> (u64, u64) {
    let mut standing: BTreeMap<u64, u64> = BTreeMap::new();
    let mut most = 0;
    for row in rows {
        match row.entry {
            LedgerEntry::Reserve { reservation, cost_micro_usd, .. }
            | LedgerEntry::Settle { reservation, cost_micro_usd, .. } => {
                standing.insert(reservation, cost_micro_usd);
            }
            _ => {}
        }
        most = most.max(standing.values().sum());
    }
    (most, standing.values().sum())
}

#[test]
fn every_scenario_ends_as_it_must() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = run(folder.path());
    let scenarios = folder.path().join("out/scenarios");
    let mut met: BTreeMap<Claim, usize> = BTreeMap::new();
    for row in &rows {
        let at = &row.scenario;
        *met.entry(row.claim).or_default() += 1;
        let cost = || file::<RunCost>(&scenarios.join(at).join("run-cost.json"));
        match row.claim {
            Claim::Within | Claim::At => {
                assert_eq!(row.exit_code, Some(0), "{at}");
                assert_eq!(cost().violations, [], "{at}");
            }
            Claim::Over => {
                assert_eq!(row.exit_code, Some(1), "{at}");
                let found = cost().violations;
                assert!(found.iter().all(|found| Some(found.kind) == row.kind), "{at}: {found:?}");
                assert!(found.iter().any(|found| found.value == found.limit + 1), "{at}: {found:?}");
            }
            Claim::OverBuilt => {
                assert_eq!(row.exit_code, Some(1), "{at}");
                assert!(cost().violations.iter().any(|found| Some(found.kind) == row.kind), "{at}");
            }
            Claim::NullCalibration => {
                assert_eq!((row.exit_code, row.arrived), (Some(2), 0), "{at}");
                let end = format!("CALIBRATION_NULL: {}", row.key.as_deref().expect("a leaf"));
                assert!(row.said.lines().any(|line| line.ends_with(&end)), "{at}: {}", row.said);
            }
            Claim::UnknownModel => {
                assert_eq!((row.exit_code, row.arrived), (Some(2), 0), "{at}");
                assert!(row.said.contains("model-without-a-price"), "{}", row.said);
            }
            Claim::UsageMissing => {
                assert_eq!(row.exit_code, Some(1), "{at}");
                let kinds: Vec<_> = cost().violations.iter().map(|found| found.kind).collect();
                assert_eq!(kinds, [ViolationKind::UsageMissing]);
            }
            Claim::ConcurrentOverspend | Claim::CrashCharged => {}
        }
        assert!(!row.said.contains("/tmp/") && !row.said.contains("sk-canary"), "{at}: {}", row.said);
    }
    let leaves = met.remove(&Claim::NullCalibration).unwrap_or(0);
    assert!(leaves > 70, "{leaves} leaves");
    let expected = [
        (Claim::Within, 3),
        (Claim::At, 8),
        (Claim::Over, 8),
        (Claim::OverBuilt, 1),
        (Claim::UnknownModel, 1),
        (Claim::UsageMissing, 1),
        (Claim::ConcurrentOverspend, 1),
        (Claim::CrashCharged, 1),
    ];
    assert_eq!(met, BTreeMap::from(expected));

    for name in ["concurrent-overspend", "crash-charged"] {
        let rows = journal(&scenarios.join(name).join("ledger.jsonl"));
        let calibration = fs::read(scenarios.join(name).join("calibration.json")).expect("the drill wrote it");
        let limit = Calibration::parse(&calibration).expect("valid").max_cost_per_run_usd.0;
        let (most, charged) = committed(&rows);
        assert!(most <= limit && charged > limit / 2, "{name}: {most} of {limit}, {charged} charged");
        let count = |wanted: fn(&LedgerEntry) -> bool| rows.iter().filter(|row| wanted(&row.entry)).count();
        let open = count(|entry| matches!(entry, LedgerEntry::Reserve { .. }))
            - count(|entry| matches!(entry, LedgerEntry::Settle { .. }));
        assert_eq!(open, usize::from(name == "crash-charged"), "{name}: only the killed one left a reservation");
    }
    let spenders: Vec<RunCost> =
        (0..10).map(|k| file(&scenarios.join("concurrent-overspend").join(format!("run-cost-{k}.json")))).collect();
    let total: u64 = spenders.iter().map(|cost| cost.total_cost_usd.0).sum();
    assert_eq!(total, committed(&journal(&scenarios.join("concurrent-overspend/ledger.jsonl"))).1, "every cent");
    assert!(spenders.iter().filter(|cost| cost.total_calls > 0).count() > 1, "several of them spent");
}
