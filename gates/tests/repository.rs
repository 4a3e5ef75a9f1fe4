//! Rules of the repository as tests: pages name every check, crates depend in one direction, CI cannot hide a red.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a test may start a shell and say NOT RUN")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gates::gate::all;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn each_check_has_its_row_in_the_page_of_its_gate() {
    for gate in all() {
        let page = read(&format!("docs/gates/{}.md", gate.id));
        let rows: BTreeSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .filter(|id| *id != "check")
            .collect();
        let checks: BTreeSet<&str> = gate.checks.iter().map(|check| check.id).collect();
        assert_eq!(rows, checks, "docs/gates/{}.md", gate.id);
    }
}

#[test]
fn check_ids_are_unique_and_kebab_case() {
    let ids: Vec<&str> = all().flat_map(|gate| gate.checks).map(|check| check.id).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
    for id in distinct {
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{id}");
    }
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let document: toml::Table = toml::from_str(&read(manifest)).unwrap_or_else(|error| panic!("{manifest}: {error}"));
    let table = document.get("dependencies").and_then(toml::Value::as_table).unwrap_or_else(|| panic!("{manifest}"));
    table.keys().cloned().collect()
}

#[test]
fn crates_depend_in_one_direction() {
    let contract = dependencies("engine/contract/Cargo.toml");
    let allowed = ["rand_chacha", "serde", "serde_json", "serde_json_canonicalizer", "sha2"];
    assert!(contract.iter().all(|name| allowed.contains(&name.as_str())), "contract holds types only: {contract:?}");
    for (manifest, forbidden) in [
        ("gates/Cargo.toml", &["engine", "xtask", "tokio", "reqwest", "axum"][..]),
        ("xtask/Cargo.toml", &["engine", "tokio", "reqwest", "axum"]),
        ("engine/Cargo.toml", &["gates", "xtask"]),
    ] {
        let found = dependencies(manifest);
        assert!(forbidden.iter().all(|name| !found.contains(*name)), "{manifest}: {found:?}");
    }
}

/// `.ci/run` in an empty folder, with a `cargo` that fails when its arguments hold `red`.
fn ci_with(red: &str) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ci = folder.path().join(".ci");
    let bin = folder.path().join("bin");
    fs::create_dir_all(&ci).expect("a folder");
    fs::create_dir_all(&bin).expect("a folder");
    fs::copy(root().join(".ci/run"), ci.join("run")).expect("the script is there");
    fs::write(ci.join("install-tools"), "exit 0\n").expect("written");
    fs::write(bin.join("cargo"), format!("#!/bin/sh\ncase \"$*\" in *{red}*) exit 1;; esac\n")).expect("written");
    let made = Command::new("chmod").arg("+x").arg(bin.join("cargo")).status().expect("chmod runs");
    assert!(made.success());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let ran = Command::new("bash").arg(ci.join("run")).env("PATH", path).output().expect("bash runs");
    ran.status.success()
}

#[test]
fn ci_fails_with_the_tests_and_with_the_gate() {
    assert!(ci_with("nothing-is-called-like-this"));
    assert!(!ci_with("test"), "a red test run must not pass");
    assert!(!ci_with("xtask"), "a red gate must not pass");
}

#[test]
fn every_figure_of_the_performance_page_has_its_result() {
    match Command::new("python3").arg(root().join("docs/performance/table.py")).arg("check").output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("NOT RUN: python3 is missing ({error}); the performance page was not checked"),
    }
}

#[test]
fn requirements_name_exactly_the_checks_that_serve_them_and_tests_of_the_baseline() {
    let trace: toml::Table = toml::from_str(&read("gates/policy/trace.toml")).expect("trace.toml is TOML");
    let baseline: serde_json::Value = serde_json::from_str(&read("gates/policy/baseline.json")).expect("baseline.json");
    let texts = |value: &toml::Value, key: &str| -> BTreeSet<String> {
        let list = value.get(key).and_then(toml::Value::as_array).unwrap_or_else(|| panic!("{value:?}: no {key}"));
        list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let known = texts(&toml::Value::try_from(&baseline).expect("a table"), "tests");
    let mut named = BTreeSet::new();
    for requirement in trace["requirement"].as_array().expect("a list") {
        let id = requirement["id"].as_str().expect("an id");
        assert!(texts(requirement, "tests").is_subset(&known), "{id} names a test that is not in the baseline");
        named.extend(texts(requirement, "checks").into_iter().map(|check| (id.to_owned(), check)));
    }
    let served: BTreeSet<(String, String)> = gates::gate::all()
        .flat_map(|gate| gate.checks)
        .map(|check| (check.requirement.to_owned(), check.id.to_owned()))
        .collect();
    assert_eq!(named, served);
}
