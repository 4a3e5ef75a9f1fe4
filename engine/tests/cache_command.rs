//! `engine cache` through the built program: reason words, exit codes, and a folder in use.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use contract::digest::Digest;
use engine::clock::Clock;
use engine::store::atomic::Durability;
use engine::store::cache::{Cache, Facts};
use engine::store::lock::{self, LockPolicy};
use serde_json::Value;

const POLICY: LockPolicy = LockPolicy { timeout_ms: 2_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };

fn cache(folder: &Path) -> Cache {
    let cache = Cache::open(folder, POLICY, Durability::None, Clock::real()).expect("the cache opens");
    for word in ["one", "two", "three"] {
        cache.put(&Digest::of(word.as_bytes()), &Facts::new(), word.as_bytes()).expect("stores");
    }
    cache
}

/// Runs `engine cache <arguments> DIR --json` and gives the exit code and the object.
fn engine(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let calibration: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gates/policy/calibration.json");
    let output = Command::new(env!("CARGO_BIN_EXE_engine"))
        .arg("cache")
        .args(arguments)
        .arg(folder)
        .arg("--json")
        .env("PROOFHOUSE_CALIBRATION", calibration)
        .output()
        .expect("it runs");
    let value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    (output.status.code().expect("it ends by itself"), value)
}

#[test]
fn hrd_23_a_folder_in_use_is_verified_counted_evicted_and_swept() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let folder = folder.path();
    let cache = cache(folder);
    let two = Digest::of(b"two");
    let held = lock::acquire(&cache.entry_path(&Digest::of(b"one")).with_extension("lock"), &POLICY, "work");
    let _in_use = held.expect("free");
    fs::write(cache.entry_path(&two).with_extension("99-0.tmp"), "left").expect("written");

    let (code, stats) = engine(folder, &["stats"]);
    assert_eq!(
        (code, &stats["reason"], &stats["entries"], &stats["locks"]),
        (0, &"counted".into(), &3.into(), &1.into())
    );
    let (code, swept) = engine(folder, &["sweep"]);
    assert_eq!((code, &swept["temporaries_removed"], &swept["locks_live"]), (0, &1.into(), &1.into()));
    let (code, verified) = engine(folder, &["verify"]);
    assert_eq!((code, &verified["reason"], &verified["good"]), (0, &"verified".into(), &3.into()));

    fs::write(cache.entry_path(&two), "damaged").expect("written");
    let (code, verified) = engine(folder, &["verify"]);
    assert_eq!((code, &verified["reason"], &verified["quarantined"]), (1, &"quarantined".into(), &1.into()));
    let (code, evicted) = engine(folder, &["evict", "--key", &Digest::of(b"three").to_string()]);
    assert_eq!((code, &evicted["reason"], &evicted["evicted"]), (0, &"evicted".into(), &1.into()));
    let (code, evicted) = engine(folder, &["evict", "--older-than-s", "3600"]);
    assert_eq!((code, &evicted["evicted"]), (0, &0.into()));
    assert_eq!(engine(folder, &["stats"]).1["entries"], 1);
}

#[test]
fn a_mistyped_folder_is_not_a_good_cache() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let (code, said) = engine(&folder.path().join("cahce"), &["verify"]);
    assert_eq!((code, &said["reason"]), (2, &"usage".into()));
    assert!(!folder.path().join("cahce").exists());
    let (code, said) = engine(Path::new("/proc/self"), &["stats"]);
    assert_eq!((code, &said["reason"]), (2, &"CACHE_FS_UNSUPPORTED".into()));
}

#[test]
fn without_a_calibration_it_says_what_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let output = Command::new(env!("CARGO_BIN_EXE_engine"))
        .current_dir(folder.path())
        .env_remove("PROOFHOUSE_CALIBRATION")
        .args(["cache", "stats", "."])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text.lines().last(), Some("policy"));
    assert!(text.contains("PROOFHOUSE_CALIBRATION") && text.contains("gates/policy/calibration.json"), "{text}");
}
