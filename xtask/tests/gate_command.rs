//! The built `xtask gate` from outside: what it refuses, what it only plans, how it ends when it is interrupted. Gates run in
//! a scratch workspace with the shipped policy and programs of a few lines, so that no test compiles the real engine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use contract::canonical;
use serde_json::Value;

/// A child of a test that is not done by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// `drill --help` as the real one answers; every other call does what `DRILL` says.
const DRILL: &str = r#"
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("--plan <FILE> --calibration <FILE> --out <DIR> --scenario <NAME=FILE>");
        return;
    }
    let at = arguments.iter().position(|argument| argument == "--out").expect("xtask gives --out");
    let out = std::path::Path::new(&arguments[at + 1]);
    DRILL
}
"#;

/// Starts a grandchild, leaves its pid, and sleeps.
const SLEEPS: &str = r#"
    let child = std::process::Command::new("sleep").arg("300").spawn().expect("sleep is there");
    std::fs::write(out.join("pid.tmp"), child.id().to_string()).expect("the folder is there");
    std::fs::rename(out.join("pid.tmp"), out.join("pid")).expect("same folder");
    std::thread::sleep(std::time::Duration::from_secs(300));
"#;
const FAILS: &str = "let _ = out; eprintln!(\"no room\"); std::process::exit(3);";
const TELLS: &str = r#"
    let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    std::fs::write(out.join("names"), names.join("\n")).expect("the folder is there");
"#;
const NOTHING: &str = "let _ = out;";

/// A workspace with the shipped policy and an engine of a few lines.
struct Scratch {
    _holder: tempfile::TempDir,
    root: PathBuf,
}

impl Scratch {
    fn new(drill: &str) -> Self {
        let holder = tempfile::tempdir().expect("a temporary folder");
        // A space and a letter outside ASCII, as in many home folders.
        let root = holder.path().join("a b é");
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
        write("engine/src/bin/drill.rs", &DRILL.replace("DRILL\n", &format!("{drill}\n")));
        Self { _holder: holder, root }
    }

    fn with_git(self) -> Self {
        for arguments in [
            &["init", "-q"][..],
            &["add", "."],
            &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "t"],
        ] {
            let status = program("git", &self.root).args(arguments).status().expect("git is needed by the product too");
            assert!(status.success(), "git {arguments:?}");
        }
        self
    }

    fn gate(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_xtask"), &self.root);
        command.arg("gate").args(arguments).env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }

    /// The folder of the newest run.
    fn run_folder(&self) -> PathBuf {
        let gates = self.root.join("target/gates");
        let latest = std::fs::read_to_string(gates.join("latest")).expect("a run was begun");
        gates.join("runs").join(latest.trim())
    }

    fn json(&self, name: &str) -> Value {
        let bytes = std::fs::read(self.run_folder().join(name)).expect(name);
        canonical::parse_evidence(&bytes).expect("strict JSON")
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

/// Waits for `ready`, in patience.
fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(50);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(found) = ready() {
            return found;
        }
        std::thread::sleep(step);
    }
    panic!("nothing happened in {PATIENCE:?}");
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
}

#[test]
fn nothing_typed_lists_the_usual_commands() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (code, out, err) = run(&mut program(env!("CARGO_BIN_EXE_xtask"), &here));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("cargo xtask gate"), "{out}");
}

#[test]
fn what_cannot_be_meant_is_exit_2_with_a_hint() {
    let scratch = Scratch::new(NOTHING);
    for (arguments, word) in [
        (&["pr-g9"][..], "pr-g0, pr-g1, pr-g2, pr-g3, pr-g4, pr-g5"),
        (&["--profile", "relase"], "did you mean `release`?"),
        (&["pr-g1", "--only", "no-overlaps"], "`no-overlap`"),
        (&["--set", "STRES_N=5"], "`STRESS_N`"),
        (&["--workload", "machining"], "scribe, command"),
        (&["--workload", "command"], "--workload command -- PROGRAM ARGS"),
        (&["--", "tool"], "--workload command"),
        (&["--seed", "0xzz"], "no seed"),
        (&["--profile", "release"], "git checkout"),
    ] {
        let (code, out, err) = run(&mut scratch.gate(arguments));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains("error: ") && err.contains(word), "{arguments:?}: {err}");
    }
    assert!(!scratch.root.join("target/gates").exists(), "nothing was begun");
    let outside = tempfile::tempdir().expect("a temporary folder");
    let (code, _, err) = run(program(env!("CARGO_BIN_EXE_xtask"), outside.path()).arg("gate"));
    assert_eq!(code, Some(2));
    assert!(err.contains("hint: run this inside a checkout"), "{err}");
}

#[test]
fn gat_16_a_plan_runs_nothing() {
    let scratch = Scratch::new(FAILS);
    let (code, out, err) = run(&mut scratch.gate(&["--plan", "--set", "STRESS_N=2000", "--set", "MAX_RETRIES=4"]));
    assert_eq!(code, Some(0), "{err}");
    for word in [
        "drill stress scribe: n 2000, seeds 0x",
        "no-overlap",
        "loosened: MAX_RETRIES 3 -> 4",
        "nothing was run",
        "PASS from",
    ] {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert!(!scratch.root.join("target").exists(), "nothing was built");
}

#[test]
fn gat_6_a_loosened_limit_is_partial_and_a_silent_drill_is_no_evidence() {
    // Outside git: a tarball works too, and says that there is no commit.
    let scratch = Scratch::new(NOTHING);
    let (code, out, err) = run(&mut scratch.gate(&["pr-g1", "--set", "MAX_RETRIES=4"]));
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(out.contains("pr-g1  NO_EVIDENCE") && out.contains("loosened: MAX_RETRIES 3 -> 4"), "{out}");
    assert!(scratch.run_folder().to_string_lossy().ends_with("000001-no-commit"));
    assert!(!scratch.run_folder().join("run.json").exists(), "without a commit there is no subject to pack");
    assert_eq!(scratch.json("evidence/verdict.json")["verdict"], "NO_EVIDENCE");
}

#[test]
fn a_drill_that_did_not_finish_is_said_with_its_last_words() {
    let scratch = Scratch::new(FAILS).with_git();
    let (code, out, err) = run(&mut scratch.gate(&["pr-g1", "--message-format", "json"]));
    assert_eq!(code, Some(4), "{out}{err}");
    let last = out.lines().last().and_then(|line| canonical::parse_evidence(line.as_bytes()).ok()).expect("JSON Lines");
    let problem = last["problems"][0]["text"].as_str().expect("a problem").to_owned();
    assert!(problem.contains("exit 3") && problem.contains("no room"), "{problem}");
    assert_eq!(scratch.json("run.json")["state"], "PARTIAL", "such a run is not packed");
}

#[cfg(unix)]
#[test]
fn a_linked_checkout_works_and_children_see_neither_cargos_nor_hooks_nor_this_runs_variables() {
    let scratch = Scratch::new(TELLS).with_git();
    let link = scratch.root.with_file_name("link");
    std::os::unix::fs::symlink(&scratch.root, &link).expect("a new link");
    let own = [("PROOFHOUSE_STRESS_N", "2000"), ("CARGO_PKG_NAME", "xtask"), ("GIT_DIR", "nowhere")];
    let (code, out, err) = run(scratch.gate(&["pr-g1"]).current_dir(&link).env("PWD", &link).envs(own));
    assert_eq!(code, Some(4), "{out}{err}");
    assert_eq!(scratch.json("run.json")["set"][0], "STRESS_N=2000", "the variable reached the policy");
    assert_eq!(scratch.json("run.json")["state"], "COMPLETE");
    let names = std::fs::read_to_string(scratch.run_folder().join("evidence/pr-g1/names")).expect("the drill wrote it");
    assert!(names.lines().any(|name| name == "PATH"));
    for (name, _) in own {
        assert!(names.lines().all(|seen| seen != name), "{name} was passed on");
    }
}

#[test]
fn code_that_does_not_build_is_101_and_a_null_in_the_policy_is_2() {
    let scratch = Scratch::new("this is no Rust");
    let (code, out, err) = run(&mut scratch.gate(&["pr-g1"]));
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(out.contains("DOES NOT BUILD") && out.contains("pr-g1  BLOCKED by build"), "{out}");
    let path = scratch.root.join("gates/policy/calibration.json");
    let text = std::fs::read_to_string(&path).expect("the shipped calibration");
    std::fs::write(&path, text.replace("\"MAX_RETRIES\": 3", "\"MAX_RETRIES\": null")).expect("a small file");
    let (code, out, _) = run(&mut scratch.gate(&["pr-g1"]));
    assert_eq!(code, Some(2), "{out}");
    assert!(
        out.contains("CALIBRATION_NULL: /MAX_RETRIES") && out.contains("pr-g1  BLOCKED by calibration-complete"),
        "{out}"
    );
}

#[test]
fn gat_15_an_interrupt_ends_the_tree_and_leaves_a_report() {
    let scratch = Scratch::new(SLEEPS).with_git();
    let child = scratch.gate(&["pr-g1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let pid_file = || std::fs::read_to_string(scratch.run_folder().join("evidence/pr-g1/pid")).ok();
    wait_for(|| scratch.root.join("target/gates/latest").exists().then_some(()));
    let grandchild: i32 = wait_for(pid_file).parse().expect("a pid");
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{out}");
    assert!(out.contains("ABORTED"), "{out}");
    assert_eq!(scratch.json("run.json")["state"], "ABORTED");
    assert_eq!(scratch.json("evidence/verdict.json")["verdict"], "NO_EVIDENCE");
    let pid = rustix::process::Pid::from_raw(grandchild).expect("a pid");
    wait_for(|| {
        let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
        let dead = rustix::process::test_kill_process(pid).is_err() || state.is_ok_and(|state| state.contains(") Z "));
        dead.then_some(())
    });
}

#[test]
fn a_second_run_waits_for_the_first_and_names_it() {
    let scratch = Scratch::new(SLEEPS).with_git();
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut first = quiet(&mut scratch.gate(&["pr-g1"]));
    wait_for(|| scratch.root.join("target/gates/latest").exists().then_some(()));
    let notes = scratch.root.join("notes");
    let file = std::fs::File::create(&notes).expect("a new file");
    let mut second = scratch.gate(&["pr-g1"]).stdout(Stdio::null()).stderr(file).spawn().expect("it starts");
    let expected = format!("waiting for another run (pid {})", first.id());
    wait_for(|| std::fs::read_to_string(&notes).is_ok_and(|text| text.contains(&expected)).then_some(()));
    interrupt(&second);
    assert_eq!(second.wait().expect("it ends").code(), Some(130), "Ctrl-C while it waits");
    interrupt(&first);
    assert_eq!(first.wait().expect("it ends").code(), Some(130));
}
