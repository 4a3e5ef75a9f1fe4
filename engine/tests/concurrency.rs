//! The concurrency drill through the built program, with real processes, kills and disks: its rows are counted again
//! here, apart from any judge.
#![allow(clippy::print_stdout, reason = "a part that could not be run must say so loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use contract::canonical;
use contract::digest::Digest;
use contract::plan::Plan;
use contract::policy::GatePolicy;
use contract::record::lock::{
    ClockJump, Counter, CrashPoint, Found, Kill, Phase, Reader, Residue, Section, StoppedWaiter, StorageFault,
    Takeover, Trace, Writer,
};
use contract::record::{self, Record};
use contract::seed::Seed;
use serde_json::{Value, json};

/// The tracked policy, with sizes that fit a test.
fn calibration() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy/calibration.json");
    let mut value = canonical::parse_evidence(&fs::read(path).expect("it is tracked")).expect("strict JSON");
    value["CONCURRENCY_N"] = json!(4);
    value["CONCURRENCY_INCREMENTS"] = json!(12);
    value["CONCURRENCY_KILLS"] = json!(4);
    value
}

fn policy(values: &Value) -> GatePolicy {
    let scenario = json!({ "LOCK_TIMEOUT_MS": 90, "LOCK_MAX_AGE_MS": 60 });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy/chaos.json");
    GatePolicy {
        schema: GatePolicy::SCHEMA.into(),
        profile: "dev".into(),
        gates: vec![],
        values: values.clone(),
        sources: BTreeMap::new(),
        loosened: vec![],
        chaos: canonical::parse_evidence(&fs::read(path).expect("it is tracked")).expect("strict JSON"),
        scenarios: BTreeMap::from([("stopped-holder".to_owned(), scenario)]),
        baseline: json!({}),
        inventory: json!({}),
        trace: json!({}),
        code_audit: json!({}),
        path_allow: json!({}),
    }
}

fn plan() -> Plan {
    Plan {
        schema: Plan::SCHEMA.into(),
        gate: "pr-g1".into(),
        profile: "dev".into(),
        commit: String::new(),
        tree: String::new(),
        policy: Digest::of(b"policy"),
        toolchain: String::new(),
        master_seed: Seed(42),
        drills: vec![],
    }
}

fn write(folder: &Path, name: &str, value: &impl serde::Serialize) {
    fs::write(folder.join(name), canonical::to_bytes(value).expect("finite")).expect("written");
}

fn prepare(folder: &Path) {
    let values = calibration();
    write(folder, "calibration.json", &values);
    write(folder, "gate.json", &policy(&values));
    write(folder, "plan.json", &plan());
}

fn run(folder: &Path) {
    prepare(folder);
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_drill"))
        .current_dir(folder)
        .args(["concurrency", "--plan", "plan.json", "--calibration", "calibration.json", "--policy", "gate.json"])
        .args(["--out", "out"])
        .timeout(std::time::Duration::from_secs(100))
        .assert()
        .success();
}

fn rows<T: Record>(folder: &Path, file: &str) -> Vec<T> {
    let stamp = plan().stamp().expect("canonical");
    let text = fs::read_to_string(folder.join("out").join(file)).expect("the drill wrote it");
    assert!(!text.contains("/tmp") && !text.contains("proofhouse-drill-"), "{file} holds a path");
    let read = |line: &str| {
        let (found, row) = record::read::<T>(line.as_bytes()).expect("a row of its schema");
        assert_eq!(found, stamp);
        row
    };
    text.lines().map(read).collect()
}

#[test]
fn many_processes_share_one_folder_and_every_trace_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let folder = folder.path();
    run(folder);
    crowd(folder);
    holders(folder);
    crashes(folder);
    disks(folder);
}

fn crowd(folder: &Path) {
    let writers: Vec<Writer> = rows(folder, "writers.jsonl");
    let (killed, alive): (Vec<_>, Vec<_>) = writers.iter().partition(|writer| writer.signal == Some(9));
    assert_eq!((killed.len(), alive.len()), (4, 4 + 4 + 3));
    assert!(alive.iter().all(|writer| writer.exit_code == Some(0) && writer.acknowledged >= writer.planned));
    assert_eq!(rows::<Kill>(folder, "kills.jsonl").len(), 4);

    let sections: Vec<Section> = rows(folder, "sections.jsonl");
    assert!(sections.iter().all(|section| !section.overlap));
    for counter in rows::<Counter>(folder, "counters.jsonl") {
        let mut of_counter: Vec<&Section> =
            sections.iter().filter(|s| (s.phase, s.counter) == (counter.phase, counter.counter)).collect();
        of_counter.sort_by_key(|section| section.start_ns);
        for pair in of_counter.windows(2) {
            assert!(pair[0].end_ns.is_none_or(|end| end <= pair[1].start_ns), "two holders: {pair:?}");
        }
        let done = of_counter.iter().filter(|section| section.end_ns.is_some()).count() as u64;
        let value = counter.value.expect("the counter verifies");
        assert!((done..=of_counter.len() as u64).contains(&value), "{counter:?}: {done} acknowledged");
    }
    let calm = sections.iter().filter(|section| section.phase == Phase::Calm).count();
    assert_eq!(calm, 4 * 12);

    for reader in rows::<Reader>(folder, "readers.jsonl") {
        assert_eq!((reader.exit_code, reader.torn, reader.set_aside), (Some(0), 0, 0), "{reader:?}");
        assert!(reader.intact > 0 && reader.planted > 0 && reader.planted == reader.planted_refused, "{reader:?}");
    }
    let residues: Vec<Residue> = rows(folder, "residue.jsonl");
    assert!(residues.iter().all(|left| (left.locks_after, left.tmps_after, left.entries_bad) == (0, 0, 0)));
    assert!(residues.iter().any(|left| left.tmps_before > 0), "the sweep had work");
}

fn holders(folder: &Path) {
    for waiter in rows::<StoppedWaiter>(folder, "stopped.jsonl") {
        assert_eq!((waiter.not_run.as_deref(), waiter.error.as_str()), (None, "LOCK_TIMEOUT"));
        assert_eq!(waiter.named_pid, Some(waiter.holder_pid));
        assert!(waiter.stuck && waiter.end_ns - waiter.start_ns >= 90_000_000, "{waiter:?}");
    }
    let trials: Vec<Takeover> = rows(folder, "takeovers.jsonl");
    assert_eq!(trials.len(), 4);
    assert!(trials.iter().all(|trial| trial.acquired_ns.is_some_and(|at| at >= trial.killed_ns)), "{trials:?}");
}

fn crashes(folder: &Path) {
    let points: Vec<CrashPoint> = rows(folder, "steps.jsonl");
    assert_eq!(points.len(), 27);
    for point in points {
        assert_eq!((point.signal, point.repeated), (Some(9), true), "{point:?}");
        assert!(point.found != Found::Torn && point.ledger_after >= point.ledger_least, "{point:?}");
    }
    for trace in rows::<Trace>(folder, "traces.jsonl") {
        if let Some(reason) = trace.not_run {
            println!("NOT RUN: system calls of {:?}: {reason}", trace.operation);
            continue;
        }
        let calls: Vec<String> =
            trace.calls.iter().map(|call| format!("{} {} {}", call.call, call.target, call.onto)).collect();
        let text = calls.join(",");
        let order = match trace.operation {
            contract::record::lock::Operation::Put => "create tmp ,write tmp ,sync tmp ,rename tmp entry,sync folder ,",
            _ => "write journal ,sync journal ,unlock lock ",
        };
        assert!(text.contains(order), "{text}");
    }
}

fn disks(folder: &Path) {
    let faults: Vec<StorageFault> = rows(folder, "storage.jsonl");
    assert_eq!(faults.len(), 5);
    for fault in faults {
        if let Some(reason) = fault.not_run {
            println!("NOT RUN: {:?}: {reason}", fault.fault);
            continue;
        }
        assert!(fault.error.starts_with("STORAGE_") || fault.error == "CACHE_FS_UNSUPPORTED", "{fault:?}");
        assert!(matches!(fault.found, Found::Old | Found::NotApplicable), "{fault:?}");
        assert_eq!((fault.locks_left, fault.tmps_left, fault.exit_code), (0, 0, Some(3)), "{fault:?}");
    }
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for jump in rows::<ClockJump>(folder, "clock.jsonl") {
        outcomes.entry(jump.decision).or_default().push(jump.outcome);
    }
    assert_eq!(outcomes.len(), 7);
    assert!(outcomes.values().all(|of_one| of_one.len() == 5 && of_one.iter().all(|word| *word == of_one[0])));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test ends the process that it starts")]
fn an_interrupted_drill_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().expect("a folder is made");
    prepare(folder.path());
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).expect("a folder is made");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_drill"))
        .current_dir(folder.path())
        .env("TMPDIR", &temporary)
        .args(["concurrency", "--plan", "plan.json", "--calibration", "calibration.json", "--policy", "gate.json"])
        .args(["--out", "out"])
        .spawn()
        .expect("the drill starts");
    let holds_work = || {
        let works = fs::read_dir(&temporary).expect("lists").map(|entry| entry.expect("an entry").path());
        works.filter(|work| work.join("calm").is_dir()).count()
    };
    while holds_work() == 0 {
        assert_eq!(child.try_wait().expect("it is ours"), None, "it ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it is ours").code(), Some(130));
    assert!(!folder.path().join("out/writers.jsonl").exists(), "half a drill is no evidence");
    assert_eq!(holds_work(), 0);
}
