//! The stress drill through the built program: its rows are counted again here, apart from any judge.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use contract::canonical;
use contract::digest::Digest;
use contract::plan::{DrillPlan, Plan};
use contract::record::run::{Equivalence, Memory, Planted, Run};
use contract::record::{self, Record};
use contract::seed::Seed;
use serde_json::{Value, json};

const RUNS: u64 = 40;

fn tracked(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy").join(name);
    canonical::parse_evidence(&fs::read(path).expect("it is tracked")).expect("strict JSON")
}

fn plan() -> Plan {
    let drill = |scenario: &str, runs| DrillPlan { drill: "stress".into(), scenario: scenario.into(), runs };
    Plan {
        schema: Plan::SCHEMA.into(),
        gate: "pr-g4".into(),
        profile: "dev".into(),
        commit: String::new(),
        tree: String::new(),
        policy: Digest::of(b"policy"),
        toolchain: String::new(),
        master_seed: Seed(42),
        drills: vec![drill("scribe", RUNS), drill("command", 6)],
    }
}

/// Runs the drill with a subject that passes for even indices and prints its index as a score.
fn run(folder: &Path) {
    let mut values = tracked("calibration.json");
    let subject = "read line; i=${line#*:}; i=${i%%,*}; echo \"{\\\"score\\\": $i}\"; exit $((i % 2))";
    values["COMMAND_SUBJECT"] = json!(["sh", "-c", subject]);
    values["REPEATED_INDICES"] = json!(5);
    let policy = json!({
        "schema": "proofhouse.gate-policy/1", "profile": "dev", "gates": [], "values": values, "sources": {},
        "loosened": [], "chaos": tracked("chaos.json"), "scenarios": {}, "baseline": {}, "inventory": {}, "trace": {},
        "code_audit": {}, "path_allow": {},
    });
    let plan = serde_json::to_value(plan()).expect("plain data");
    for (name, value) in [("calibration.json", &values), ("gate.json", &policy), ("plan.json", &plan)] {
        fs::write(folder.join(name), value.to_string()).expect("written");
    }
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_drill"))
        .current_dir(folder)
        .args(["stress", "--plan", "plan.json", "--calibration", "calibration.json", "--policy", "gate.json"])
        .args(["--out", "out"])
        .timeout(std::time::Duration::from_secs(100))
        .assert()
        .success();
}

fn rows<T: Record>(folder: &Path, file: &str) -> Vec<T> {
    let stamp = plan().stamp().expect("canonical");
    let text = fs::read_to_string(folder.join("out").join(file)).expect("the drill wrote it");
    let read = |line: &str| {
        let (found, row) = record::read::<T>(line.as_bytes()).expect("a row of its schema");
        assert_eq!(found, stamp);
        row
    };
    text.lines().map(read).collect()
}

#[test]
fn every_run_is_written_down_in_order_and_the_first_one_twice() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let folder = folder.path();
    run(folder);

    let runs: Vec<Run> = rows(folder, "stress-scribe.jsonl");
    assert!(runs.iter().map(|run| (run.repeat, run.index)).eq((0..RUNS).map(|index| (0, index)).chain([(1, 0)])));
    assert!(runs.iter().all(|run| run.seed == Seed(42).derive("pr-g4", run.index)));
    let inputs: BTreeSet<Digest> = runs.iter().map(|run| run.input_digest).collect();
    assert_eq!(inputs.len() as u64, RUNS);
    let (first, again) = (&runs[0], &runs[runs.len() - 1]);
    assert_eq!((first.output_digest, first.cost_micro_usd), (again.output_digest, again.cost_micro_usd));
    assert!(runs.iter().all(|run| run.end_ns > run.start_ns && run.missing == 0 && run.attempts >= run.planned));

    let planted: Vec<Planted> = rows(folder, "planted.jsonl");
    let scenes: u64 = runs.iter().filter(|run| run.repeat == 0).map(|run| run.planned).sum();
    assert_eq!(planted.len() as u64, scenes);
    assert!(planted.iter().all(|scene| scene.planted == scene.measured));
    assert!(planted.iter().any(|scene| !scene.planted.is_empty()));

    let equal: Vec<Equivalence> = rows(folder, "equivalence.jsonl");
    assert_eq!(equal.len(), 5 * 3);
    for arms in equal.chunks(3) {
        assert_eq!([arms[0].workers, arms[1].workers, arms[2].workers], [1, 2, 8]);
        assert!(arms.iter().all(|arm| arm.index == arms[0].index && arm.outcome == arms[0].outcome));
    }
    let memory: Vec<Memory> = rows(folder, "memory.jsonl");
    assert!(
        memory.len() >= 90 && memory.iter().all(|row| row.live_bytes > 0 && row.resident_bytes > row.live_bytes / 4)
    );

    let subject: Vec<Run> = rows(folder, "stress-command.jsonl");
    let seen: Vec<(u64, u8, f64)> = subject.iter().map(|run| (run.index, run.exit_code, run.scores["score"])).collect();
    let expected = [(0, 0, 0.0), (1, 1, 1.0), (2, 0, 2.0), (3, 1, 3.0), (4, 0, 4.0), (5, 1, 5.0), (0, 0, 0.0)];
    assert_eq!(seen, expected);
    let line = canonical::to_bytes(&json!({"index": 3, "seed": Seed(42).derive("pr-g4", 3)})).expect("plain data");
    assert_eq!(subject[3].input_digest, Digest::of(&line));
}
