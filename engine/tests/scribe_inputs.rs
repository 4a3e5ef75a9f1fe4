//! Broken inputs: each is refused with the problem that the table beside them names.

use std::path::{Path, PathBuf};

use engine::scribe::problem::Problem;
use engine::scribe::validate::Story;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    intent: String,
    plan: String,
    expected: Vec<Expected>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    file: String,
    pointer: String,
    word: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/stories/hostile")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn told(problem: &Problem) -> Expected {
    let (file, pointer, word) = (problem.file.to_string(), problem.pointer.clone(), problem.word.to_string());
    Expected { file, pointer, word }
}

#[test]
fn every_hostile_input_is_refused_as_the_table_says() {
    let rows: Vec<Row> = serde_json::from_slice(&read("table.json")).expect("the table has its shape");
    assert!(rows.len() >= 40);
    for row in &rows {
        let problems = Story::parse(&read(&row.intent), &read(&row.plan)).expect_err(&row.name);
        let found: Vec<Expected> = problems.iter().map(told).collect();
        for expected in &row.expected {
            assert!(found.contains(expected), "{}: {expected:?} is not among {found:#?}", row.name);
        }
        // Whatever else is found can only be digests that no longer fit the edited part.
        for problem in found.iter().filter(|problem| !row.expected.contains(problem)) {
            assert_eq!(problem.word, "hash", "{}: {problem:?} was not expected", row.name);
        }
    }
    let named: Vec<&str> = rows.iter().flat_map(|row| [row.intent.as_str(), row.plan.as_str()]).collect();
    for entry in std::fs::read_dir(folder()).expect("the folder is shipped") {
        let name = entry.expect("an entry is read").file_name().into_string().expect("names are ASCII");
        assert!(name == "table.json" || named.contains(&name.as_str()), "{name} is in no row");
    }
}

#[test]
fn huge_and_deep_files_are_refused_without_harm() {
    let plan = read("../silent-watch/plan.json");
    let refused = |intent: Vec<u8>| told(&Story::parse(&intent, &plan).expect_err("a hostile file")[0]).word;
    let big_string = format!("{{\"schema\":\"{}\"}}", "x".repeat(10 << 20));
    let long_string = format!("{{\"schema\":\"{}\"}}", "x".repeat((64 << 10) + 1));
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for hostile in [big_string, long_string, deep] {
        assert_eq!(refused(hostile.into_bytes()), "json");
    }
}

#[test]
fn line_ends_and_spaces_change_nothing() {
    let (intent, plan) = (read("../silent-watch/intent.json"), read("../silent-watch/plan.json"));
    let windows = String::from_utf8(intent.clone()).expect("UTF-8").replace('\n', "\r\n\t ");
    let plain = Story::parse(&intent, &plan).expect("shipped");
    let other = Story::parse(windows.as_bytes(), &plan).expect("white space is no content");
    assert_eq!(plain.input_digest, other.input_digest);
}

#[test]
fn defaults_are_the_documented_ones() {
    let mut intent: Value = serde_json::from_slice(&read("../silent-watch/intent.json")).expect("shipped");
    intent["intent"].as_object_mut().expect("an object").remove("language");
    intent["constraints"].as_object_mut().expect("an object").remove("word_count_tolerance");
    let plan = read("../silent-watch/plan.json");
    let intent_bytes = serde_json::to_vec(&intent).expect("plain data");
    // The parts changed, so only their digests may be complained about.
    let problems = Story::parse(&intent_bytes, &plan).expect_err("the digests no longer fit");
    assert!(problems.iter().all(|problem| told(problem).word == "hash"), "{problems:#?}");
    let typed: engine::scribe::intent::Intent = serde_json::from_value(intent).expect("a whole intent");
    assert_eq!(typed.constraints.word_count_tolerance, 0.5);
    assert_eq!(typed.intent.language, engine::scribe::style::Language::En);
}
