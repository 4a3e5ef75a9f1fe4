//! `judge` and `proofpack` from outside, over one small run and the pack that is built from it: good, broken and hostile.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// A run of pr-g1 whose drill observed nothing: complete, red, and fit to be packed by hand.
struct World {
    _holder: tempfile::TempDir,
    root: PathBuf,
    run: PathBuf,
    pack: PathBuf,
}

static WORLD: OnceLock<World> = OnceLock::new();

fn world() -> &'static World {
    WORLD.get_or_init(World::new)
}

impl World {
    fn new() -> Self {
        let holder = tempfile::tempdir().expect("a temporary folder");
        let root = holder.path().join("space");
        let real = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        std::fs::create_dir_all(root.join("gates/policy")).expect("a new folder");
        std::fs::create_dir_all(root.join("engine/src/bin")).expect("a new folder");
        for entry in std::fs::read_dir(real.join("gates/policy")).expect("the shipped policy") {
            let entry = entry.expect("the shipped policy");
            std::fs::copy(entry.path(), root.join("gates/policy").join(entry.file_name())).expect("a small file");
        }
        std::fs::copy(real.join("rust-toolchain.toml"), root.join("rust-toolchain.toml")).expect("a small file");
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("a small file");
        write("Cargo.toml", "[workspace]\nmembers = [\"engine\"]\nresolver = \"3\"\n");
        write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"engine\"\nversion = \"0.0.0\"\n");
        write(
            "engine/Cargo.toml",
            "[package]\nname = \"engine\"\nversion = \"0.0.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n",
        );
        write("engine/src/bin/engine.rs", "fn main() {}\n");
        write("engine/src/bin/drill.rs", "fn main() {}\n");
        write(".gitignore", "target\n");
        for arguments in [
            &["init", "-q"][..],
            &["add", "."],
            &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "t"],
        ] {
            assert!(program("git", &root).args(arguments).status().expect("git is there").success(), "{arguments:?}");
        }
        let (code, out, err) = run(program(env!("CARGO_BIN_EXE_xtask"), &root)
            .args(["gate", "pr-g1"])
            .env("CARGO_TARGET_DIR", root.join("target")));
        assert_eq!(code, Some(4), "{out}{err}");
        let gates = root.join("target/gates");
        let latest = std::fs::read_to_string(gates.join("latest")).expect("a run was begun");
        let folder = gates.join("runs").join(latest.trim());
        let (code, out, err) =
            xtask(&root, &["proofpack", "build", "--run", text(&folder), "--gate", "pr-g1", "--json"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let built: Value = serde_json::from_str(&out).expect("one JSON line");
        let pack = PathBuf::from(built["path"].as_str().expect("a path"));
        assert_eq!(pack.parent(), Some(root.join("proofpacks").as_path()), "packs go to the workspace's folder");
        Self { _holder: holder, root, run: folder, pack }
    }

    /// A copy of the run folder that a test may damage.
    fn copied(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_below(&self.run, copy.path());
        copy
    }
}

fn copy_below(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a run folder") {
        let entry = entry.expect("a run folder");
        if entry.path().is_dir() {
            copy_below(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a small file");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts the program that it is about")]
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PROOFHOUSE_") || name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

fn xtask(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(program(env!("CARGO_BIN_EXE_xtask"), folder).args(arguments).env("CARGO_TARGET_DIR", folder.join("target")))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders are UTF-8")
}

#[test]
fn ppk_29_judge_agrees_with_what_the_run_recorded() {
    let world = world();
    for path in [&world.run, &world.pack] {
        let (code, out, err) = xtask(&world.root, &["judge", text(path)]);
        assert_eq!(code, Some(4), "{out}{err}");
        assert!(out.contains("NO_EVIDENCE, equal to the recorded one"), "{out}");
        assert!(out.contains("writers-succeed") && out.contains("repro: "), "{out}");
    }
}

#[test]
fn ppk_29_an_edited_verdict_is_e_verdict_with_its_place() {
    let copy = world().copied();
    let path = copy.path().join("evidence/verdict.json");
    let stored = std::fs::read_to_string(&path).expect("written by the run");
    std::fs::write(&path, stored.replace("NO_EVIDENCE", "PASS")).expect("a small file");
    let (code, out, _) = xtask(&world().root, &["judge", text(copy.path())]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("E_VERDICT") && out.contains("verdict.json#/"), "{out}");
    std::fs::remove_file(&path).expect("it is there");
    let (code, out, _) = xtask(&world().root, &["judge", text(copy.path())]);
    assert_eq!(code, Some(4), "{out}");
    assert!(out.contains("no recorded verdict"), "{out}");
    std::fs::write(&path, stored.replace("\"rules\": ", "\"rules\": 9")).expect("a small file");
    let (code, out, _) = xtask(&world().root, &["judge", text(copy.path())]);
    assert_eq!(code, Some(6), "{out}");
    assert!(out.contains("RULES CHANGED"), "{out}");
}

#[test]
fn ppk_29_a_policy_from_outside_never_gives_0() {
    let world = world();
    let policy = world.run.join("policy/gate.json");
    for path in [&world.run, &world.pack] {
        let (code, out, _) = xtask(&world.root, &["judge", text(path), "--policy", text(&policy), "--json"]);
        assert_eq!(code, Some(6), "{out}");
        let last: Value = serde_json::from_str(out.lines().last().expect("lines")).expect("JSON");
        assert_eq!((last["what_if"].as_bool(), last["exit"].as_u64()), (Some(true), Some(6)));
        assert!(last["result"].as_str().is_some_and(|text| text.starts_with("WHAT-IF")), "{last}");
    }
    let (code, _, err) = xtask(&world.root, &["judge", text(&world.run), "--policy", "nowhere.json"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn without_policy_or_file_nothing_is_derived() {
    let copy = world().copied();
    std::fs::remove_file(copy.path().join("policy/gate.json")).expect("it is there");
    let (code, out, _) = xtask(&world().root, &["judge", text(copy.path())]);
    assert_eq!(code, Some(6), "{out}");
    assert!(out.contains("policy/gate.json is missing"), "{out}");
    let (code, out, _) = xtask(&world().root, &["judge", "no-such-pack.zip"]);
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("E_IO"), "{out}");
}

#[test]
fn a_built_pack_verifies_from_a_file_and_from_a_pipe() {
    let world = world();
    let (code, out, _) = xtask(&world.root, &["proofpack", "verify", text(&world.pack)]);
    assert_eq!(code, Some(4), "intact, but not PASS: {out}");
    assert!(out.contains("INTACT, NOT AUTHENTICATED; derived verdict NO_EVIDENCE"), "{out}");
    let piped = |arguments: &[&str]| {
        let file = std::fs::File::open(&world.pack).expect("the pack");
        let mut command = program(env!("CARGO_BIN_EXE_xtask"), &world.root);
        run(command.args(["proofpack", "verify", "-"]).args(arguments).stdin(file))
    };
    let (code, out, _) = piped(&["--json"]);
    assert_eq!(code, Some(0), "{out}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect();
    let last = lines.last().expect("a result");
    assert_eq!((last["schema"].as_str(), last["exit"].as_u64()), (Some("proofpack.result/1"), Some(0)));
    assert!(lines.iter().any(|line| line["id"] == "verdict" && line["result"] == "not_run"), "{out}");
    assert_eq!(piped(&["--verdict"]).0, Some(2), "a pipe cannot be judged");
}

#[test]
fn a_broken_pack_is_refused_by_every_command() {
    let bytes = std::fs::read(&world().pack).expect("the pack");
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let path = scratch.path().join("broken.zip");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for broken in [flipped, bytes[..bytes.len() - 1].to_vec(), [&bytes[..], b"x"].concat(), Vec::new()] {
        std::fs::write(&path, &broken).expect("a small file");
        for arguments in [&["judge"][..], &["proofpack", "verify"], &["proofpack", "inspect"]] {
            let (code, out, err) = xtask(scratch.path(), &[arguments, &[text(&path)]].concat());
            assert_eq!(code, Some(1), "{arguments:?} {} bytes: {out}{err}", broken.len());
        }
    }
}

#[test]
fn inspect_shows_the_summary_and_single_files() {
    let world = world();
    let (code, out, _) = xtask(&world.root, &["proofpack", "inspect", text(&world.pack)]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("pr-g1 NO_EVIDENCE") && out.contains("evidence/pr-g1/plan.json"), "{out}");
    let file = ["proofpack", "inspect", text(&world.pack), "--file", "evidence/pr-g1/plan.json"];
    let (code, out, _) = xtask(&world.root, &file);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\"proofhouse.plan/1\""), "{out}");
    let (code, _, err) = xtask(&world.root, &["proofpack", "inspect", text(&world.pack), "--file", "../etc/passwd"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn wrong_flags_are_usage() {
    let world = world();
    for arguments in [
        &["judge"][..],
        &["proofpack"],
        &["proofpack", "verify"],
        &["proofpack", "verify", "x", "--require-signature"],
        &["proofpack", "verify", "x", "--verdict", "--no-verdict"],
        &["proofpack", "verify", "x", "--expect-root", "abc"],
        &["proofpack", "verify", "-", "--tree"],
        &["proofpack", "build", "--run", "nowhere"],
        &["proofpack", "build", "--gate", "pr-g9"],
    ] {
        let (code, out, err) = xtask(&world.root, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {out}{err}");
        assert!(err.contains("error: "), "{arguments:?}: {err}");
    }
}
