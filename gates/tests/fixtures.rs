//! Every check of the registry is shown evidence that must pass it and evidence that must fail it.
//!
//! The fixtures are made by `fixtures/make/*.py`, which share no code with engine or gates; each folder's `expect.json`
//! names the one fact that makes it good or bad, the word it must get, and what the message must say.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a test may start python and say NOT RUN")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gates::check::Verdict;
use gates::evidence::{Files, Policy};
use gates::gate::{Gate, Selection, all, judge, refused};
use gates::verdict::CheckReport;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    fact: String,
    verdict: Verdict,
    message: String,
    /// Which instance of the check; absent for the worst of all.
    instance: Option<String>,
    /// The gate whose good evidence this differs from; absent where everything is its own.
    base: Option<String>,
    /// Files of that evidence that are not there.
    absent: Vec<String>,
}

struct Fixture {
    name: String,
    expect: Expect,
    policy: Result<Policy, String>,
    files: BTreeMap<String, Vec<u8>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn read_below(folder: &Path, prefix: &str, out: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let entry = entry.expect("the entry is readable");
        let name = format!("{prefix}{}", entry.file_name().to_str().expect("fixture names are UTF-8"));
        if entry.path().is_dir() {
            read_below(&entry.path(), &format!("{name}/"), out);
        } else {
            out.insert(name, fs::read(entry.path()).expect("the file is readable"));
        }
    }
}

fn fixtures_of(check: &str) -> Vec<Fixture> {
    let folder = root().join(check);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap_or_else(|_| panic!("check {check} has no fixtures in {}", folder.display()))
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let load = |name: String| {
        let mut own = BTreeMap::new();
        read_below(&folder.join(&name), "", &mut own);
        let expect = own.remove("expect.json").unwrap_or_else(|| panic!("{check}/{name} has no expect.json"));
        let expect: Expect = serde_json::from_slice(&expect).unwrap_or_else(|error| panic!("{check}/{name}: {error}"));
        let mut files = BTreeMap::new();
        if let Some(base) = &expect.base {
            read_below(&root().join(base), "", &mut files);
        }
        files.retain(|path, _| !expect.absent.contains(path));
        files.extend(own);
        let policy = files.remove("policy/gate.json").unwrap_or_else(|| panic!("{check}/{name} has no policy"));
        Fixture { name: format!("{check}/{name}"), expect, policy: Policy::parse(&policy), files }
    };
    names.into_iter().map(load).collect()
}

/// The report that the expectation is about: its instance, or the worst.
fn report(gate: &'static Gate, check: &str, fixture: &Fixture, files: &dyn Files) -> CheckReport {
    let selection = Selection { only: vec![check.to_owned()] };
    let reports = match &fixture.policy {
        Ok(policy) => judge(gate, files, policy, &selection).checks,
        Err(reason) => refused("dev", &[], reason).gates.into_iter().flat_map(|gate| gate.checks).collect(),
    };
    let full = fixture.expect.instance.as_ref().map(|instance| format!("{check}:{instance}"));
    let of_check = |report: &&CheckReport| report.id == check || report.id.starts_with(&format!("{check}:"));
    // A check that could not be judged has one report, without instances.
    let chosen = reports
        .iter()
        .filter(of_check)
        .filter(|report| full.as_ref().is_none_or(|full| report.id == *full || report.id == check));
    // The first of the worst: `max_by_key` alone would take the last.
    chosen
        .rev()
        .max_by_key(|report| report.state.verdict())
        .unwrap_or_else(|| panic!("{}: nothing judged", fixture.name))
        .clone()
}

fn every_fixture(mut visit: impl FnMut(&'static Gate, &'static str, &Fixture)) {
    for gate in all() {
        for check in gate.checks {
            for fixture in fixtures_of(check.id) {
                visit(gate, check.id, &fixture);
            }
        }
    }
}

#[test]
fn good_evidence_passes_and_bad_evidence_turns_its_check_red() {
    let mut wrong = Vec::new();
    every_fixture(|gate, check, fixture| {
        let report = report(gate, check, fixture, &fixture.files);
        let Expect { fact, verdict, message, .. } = &fixture.expect;
        if report.state.verdict() != Some(*verdict) || !report.claim.contains(message) {
            wrong.push(format!(
                "{}: {fact}\n  wanted {} `{message}`\n  got {} `{}`",
                fixture.name,
                verdict.word(),
                report.state.word(),
                report.claim
            ));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_has_a_good_and_a_bad_fixture() {
    for check in all().flat_map(|gate| gate.checks) {
        let fixtures = fixtures_of(check.id);
        assert!(
            fixtures.iter().any(|fixture| fixture.expect.verdict == Verdict::Pass),
            "{} has no good fixture",
            check.id
        );
        assert!(
            fixtures.iter().any(|fixture| fixture.expect.verdict != Verdict::Pass),
            "{} has no bad fixture",
            check.id
        );
        assert!(fixtures.iter().all(|fixture| fixture.expect.fact.len() > 10), "{}: a fixture names no fact", check.id);
    }
}

#[test]
fn inverting_every_verdict_field_never_moves_a_verdict_to_pass() {
    let mut inverted_fields = 0;
    every_fixture(|gate, check, fixture| {
        let mut files = fixture.files.clone();
        for bytes in files.values_mut() {
            inverted_fields += invert_file(bytes);
        }
        let (before, after) = (report(gate, check, fixture, &fixture.files), report(gate, check, fixture, &files));
        let (before, after) = (before.state.verdict(), after.state.verdict());
        assert!(after == before || after == Some(Verdict::Integrity), "{}: {before:?} became {after:?}", fixture.name);
    });
    assert!(inverted_fields > 0, "no fixture holds a verdict field, so this test shows nothing");
}

#[test]
fn ignoring_any_file_never_helps() {
    every_fixture(|gate, check, fixture| {
        let watched = Watched { files: &fixture.files, read: RefCell::default() };
        if report(gate, check, fixture, &watched).state.verdict() == Some(Verdict::Pass) {
            return;
        }
        for path in watched.read.into_inner() {
            let mut files = fixture.files.clone();
            files.remove(&path);
            let verdict = report(gate, check, fixture, &files).state.verdict();
            assert!(verdict != Some(Verdict::Pass), "{}: passes without {path}", fixture.name);
        }
    });
}

/// Notes which files a judge reads.
struct Watched<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    read: RefCell<BTreeSet<String>>,
}

impl Files for Watched<'_> {
    fn read(&self, path: &str) -> Option<&[u8]> {
        self.read.borrow_mut().insert(path.to_owned());
        Files::read(self.files, path)
    }

    fn paths(&self) -> Vec<&str> {
        self.files.paths()
    }
}

#[test]
fn the_fixtures_are_what_their_scripts_make() {
    let script = root().join("make/make.py");
    match Command::new("python3").arg(&script).arg("--check").output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("NOT RUN: python3 is missing ({error}); the fixtures were not made again"),
    }
}

/// Inverts each verdict, pass, status or total field of a JSON or JSON Lines file; returns how many there were.
fn invert_file(bytes: &mut Vec<u8>) -> usize {
    let mut count = 0;
    let invert_one = |text: &[u8], count: &mut usize| -> Option<Vec<u8>> {
        let mut value: Value = serde_json::from_slice(text).ok()?;
        *count += invert(&mut value);
        serde_json::to_vec(&value).ok()
    };
    if let Some(whole) = invert_one(bytes, &mut count) {
        *bytes = [whole, b"\n".to_vec()].concat();
        return count;
    }
    let lines =
        bytes.split(|byte| *byte == b'\n').map(|line| invert_one(line, &mut count).unwrap_or_else(|| line.to_vec()));
    *bytes = lines.collect::<Vec<_>>().join(&b'\n');
    count
}

fn invert(value: &mut Value) -> usize {
    let mut count = 0;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| count += invert(item)),
        Value::Object(entries) => {
            for (key, inner) in entries {
                count +=
                    if is_verdict_field(key) { usize::from(invert_leaf(inner)) + invert(inner) } else { invert(inner) };
            }
        }
        _ => {}
    }
    count
}

/// The engine's and the drills' own words: judges must derive them from rows, never follow them.
fn is_verdict_field(key: &str) -> bool {
    ["verdict", "pass", "passed", "failed", "status", "total", "schema_ok"].iter().any(|word| key.contains(word))
}

fn invert_leaf(value: &mut Value) -> bool {
    let inverted = match &*value {
        Value::Bool(word) => Value::Bool(!word),
        Value::Number(number) => match number.as_u64() {
            Some(count) => Value::from(count + 1),
            None => Value::from(number.as_f64().unwrap_or(0.0) + 1.0),
        },
        Value::String(word) => Value::from(match word.as_str() {
            "PASS" => "FAIL",
            "pass" => "fail",
            "fail" => "pass",
            _ => "PASS",
        }),
        _ => return false,
    };
    *value = inverted;
    true
}
