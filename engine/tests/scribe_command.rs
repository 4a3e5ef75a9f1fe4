//! `engine scribe` and `engine story` through the built program: exit codes, reason words, files, signals.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use contract::canonical;
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn story(name: &str, file: &str) -> PathBuf {
    root().join("data/stories").join(name).join(file)
}

fn calibration() -> PathBuf {
    root().join("../gates/policy/calibration.json")
}

/// `engine` with a clean environment, in `folder`.
fn engine(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engine"));
    command.current_dir(folder).env_remove("PROOFHOUSE_CALIBRATION").timeout(WAIT);
    command
}

/// `engine scribe` of a shipped story with the tracked calibration, writing to `out`.
fn scribe(folder: &Path, out: &str) -> Command {
    let mut command = engine(folder);
    command.arg("scribe").arg("--intent").arg(story("silent-watch", "intent.json"));
    command.arg("--plan").arg(story("silent-watch", "plan.json"));
    command.arg("--calibration").arg(calibration()).args(["--out", out]);
    command
}

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// The last line that was said, which is the reason word.
    fn word(&self) -> &str {
        let said = if self.out.is_empty() { &self.err } else { &self.out };
        said.lines().last().unwrap_or("")
    }
}

fn end(mut command: Command) -> Ended {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

fn report(folder: &Path, out: &str) -> Value {
    let bytes = fs::read(folder.join(out).join("run-report.json")).expect("the report is written");
    canonical::parse_evidence(&bytes).expect("canonical")
}

fn names(folder: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name().into_string().expect("ASCII");
    let mut names: Vec<String> = fs::read_dir(folder).expect("the folder is there").map(name).collect();
    names.sort();
    names
}

#[test]
fn a_good_run_writes_every_file_and_a_repeat_writes_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder is made");
    for out in ["a", "b"] {
        let mut command = scribe(folder.path(), out);
        command.args(["--virtual-time", "--defect-rate", "0", "--chaos-profile", "light"]);
        let ended = end(command);
        assert_eq!((ended.code, ended.word()), (0, "pass"), "{}", ended.err);
        assert!(ended.out.starts_with("PASS: 3 scenes") && ended.out.contains("prosepack.json"), "{}", ended.out);
        assert!(ended.err.contains("scene 2 of 3 (false-light):"), "{}", ended.err);
    }
    let expected = [
        "attempts.jsonl",
        "chaos-log.json",
        "ledger.jsonl",
        "prose.txt",
        "prosepack.json",
        "repair-report.json",
        "run-cost.json",
        "run-report.json",
    ];
    assert_eq!(names(&folder.path().join("a")), expected);
    for name in expected {
        let read = |out: &str| fs::read(folder.path().join(out).join(name)).expect("listed above");
        assert_eq!(read("a"), read("b"), "{name}");
    }
}

#[test]
fn the_story_of_a_seed_is_told_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let mut command = engine(folder.path());
    command.args(["story", "--seed", "0x2af451f1322c46e0", "--out", "story with space é"]);
    assert_eq!(end(command).code, 0);
    let mut command = engine(folder.path());
    command.args(["scribe", "--intent", "story with space é/intent.json", "--plan", "story with space é/plan.json"]);
    command.args(["--out", "out", "--virtual-time", "--json", "--calibration"]).arg(calibration());
    let ended = end(command);
    let said: Value = serde_json::from_str(&ended.out).expect("one JSON object");
    assert_eq!(
        (said["exit_code"].as_i64(), &said["output_digest"]),
        (Some(i64::from(ended.code)), &report(folder.path(), "out")["output_digest"])
    );
}

#[test]
fn usage_policy_and_input_are_told_apart_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    let mut nulled: Value = serde_json::from_slice(&fs::read(calibration()).expect("tracked")).expect("JSON");
    nulled["MAX_RETRIES"] = Value::Null;
    fs::write(path.join("null.json"), nulled.to_string()).expect("written");
    fs::create_dir(path.join("full")).expect("made");
    fs::write(path.join("full/notes.txt"), "mine").expect("written");

    type Change = fn(&mut Command);
    let cases: [(&str, Change, &str, &str); 9] = [
        (
            "unknown model",
            |c| {
                c.args(["--model", "gpt-9"]);
            },
            "usage",
            "gpt-9",
        ),
        (
            "null in the calibration",
            |c| {
                c.args(["--calibration", "null.json"]);
            },
            "policy",
            "CALIBRATION_NULL: /MAX_RETRIES",
        ),
        (
            "virtual time over HTTP",
            |c| {
                c.args(["--virtual-time", "--provider", "openai"]).env("OPENAI_API_KEY", "k");
            },
            "usage",
            "virtual-time",
        ),
        (
            "no key",
            |c| {
                c.args(["--provider", "anthropic"]).env_remove("ANTHROPIC_API_KEY");
            },
            "usage",
            "ANTHROPIC_API_KEY",
        ),
        (
            "plain http far away",
            |c| {
                c.args(["--provider", "openai", "--base-url", "http://example.com"]).env("OPENAI_API_KEY", "k");
            },
            "usage",
            "https",
        ),
        (
            "offline without cache",
            |c| {
                c.args(["--provider", "offline", "--as", "mock"]);
            },
            "usage",
            "--cache",
        ),
        (
            "a flag for another provider",
            |c| {
                c.args(["--base-url", "https://example.com"]);
            },
            "usage",
            "--base-url",
        ),
        (
            "unknown chaos profile",
            |c| {
                c.args(["--chaos-profile", "hell"]);
            },
            "policy",
            "hellfire",
        ),
        (
            "defect rate above 1",
            |c| {
                c.args(["--defect-rate", "1.5"]);
            },
            "usage",
            "0 to 1",
        ),
    ];
    for (name, change, word, said) in cases {
        let mut command = engine(path);
        command.arg("scribe").arg("--intent").arg(story("silent-watch", "intent.json"));
        command.arg("--plan").arg(story("silent-watch", "plan.json")).args(["--out", "none"]);
        if name != "null in the calibration" {
            command.arg("--calibration").arg(calibration());
        }
        change(&mut command);
        let ended = end(command);
        assert_eq!((ended.code, ended.word()), (2, word), "{name}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(said), "{name}: {}", ended.err);
        assert!(!path.join("none").exists(), "{name}");
    }
    let ended = end(scribe(path, "full"));
    assert_eq!((ended.code, ended.word()), (2, "usage"));
    assert_eq!(names(&path.join("full")), ["notes.txt"]);
}

#[test]
fn a_plan_of_another_intent_is_refused_with_the_part() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let mut command = engine(folder.path());
    command.arg("scribe").arg("--intent").arg(story("ferry-ledger", "intent.json"));
    command.arg("--plan").arg(story("silent-watch", "plan.json")).args(["--out", "none", "--json", "--calibration"]);
    command.arg(calibration());
    let ended = end(command);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("plan does not belong to this intent: canon"), "{}", ended.err);
    let said: Value = serde_json::from_str(&ended.out).expect("one JSON object");
    assert_eq!(said["reason"], "input");
}

#[test]
fn a_calibration_is_found_by_variable_and_above_and_else_named() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    let bare = |from: &Path, out: &str| {
        let mut command = engine(from);
        command.arg("scribe").arg("--intent").arg(story("silent-watch", "intent.json"));
        command.arg("--plan").arg(story("silent-watch", "plan.json"));
        command.args(["--virtual-time", "--defect-rate", "0", "--out"]).arg(path.join(out));
        command
    };
    let ended = end(bare(path, "none"));
    assert_eq!((ended.code, ended.word()), (2, "policy"));
    assert!(ended.err.contains("PROOFHOUSE_CALIBRATION"), "{}", ended.err);

    let mut command = bare(path, "by-variable");
    command.env("PROOFHOUSE_CALIBRATION", calibration());
    assert_eq!(end(command).code, 0);

    let deep = path.join("project/deep/er");
    fs::create_dir_all(&deep).expect("made");
    fs::create_dir_all(path.join("project/gates/policy")).expect("made");
    fs::copy(calibration(), path.join("project/gates/policy/calibration.json")).expect("copied");
    assert_eq!(end(bare(&deep, "by-place")).code, 0);
}

#[test]
fn a_second_run_is_served_from_the_cache_and_a_damaged_entry_is_bought_again() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    let run = |out: &str, offline: bool| {
        let mut command = scribe(path, out);
        // The defect rate shapes the replies, so it is part of the key, of the stand-in too.
        command.args(["--cache", "cache", "--virtual-time", "--defect-rate", "0"]);
        if offline {
            command.args(["--provider", "offline", "--as", "mock"]);
        }
        end(command)
    };
    let cold = run("cold", true);
    assert_eq!((cold.code, cold.word()), (3, "not_cached"), "{}{}", cold.out, cold.err);
    assert_eq!(report(path, "cold")["cost_usd"], 0, "nobody was asked");
    assert!(
        report(path, "cold")["message"].as_str().is_some_and(|said| said.contains("no reply under ")),
        "{}",
        cold.out
    );

    assert_eq!(run("bought", false).code, 0);
    let served = run("served", false);
    assert_eq!(served.code, 0, "{}", served.err);
    let (first, second) = (report(path, "bought"), report(path, "served"));
    assert_eq!((&first["calls"], &first["cached"], &first["attempts"]), (&json!(3), &json!(0), &json!(3)));
    assert_eq!((&second["cached"], &second["attempts"], &second["cost_usd"]), (&json!(3), &json!(0), &json!(0)));
    let prose = |out: &str| fs::read_to_string(path.join(out).join("prose.txt")).expect("written");
    assert_eq!(prose("bought"), prose("served"));
    assert_eq!(run("offline", true).code, 0);
    assert_eq!(prose("bought"), prose("offline"));

    let entry = files_below(&path.join("cache")).into_iter().next().expect("an entry was kept");
    let mut bytes = fs::read(&entry).expect("readable");
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&entry, bytes).expect("writable");
    let mended = run("mended", false);
    assert_eq!(mended.code, 0);
    let third = report(path, "mended");
    assert_eq!((&third["cached"], &third["attempts"]), (&json!(2), &json!(1)));
    assert_eq!(third["cache_problems"].as_array().map(Vec::len), Some(1), "{third:#}");
    assert!(!files_below(&path.join("cache/quarantine")).is_empty());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn a_subprocess_answers_or_fails_with_its_own_words() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    let text = "I walk to the cold mill and I wait there. I hear a bell in the dark. I am alone. ".repeat(8);
    let reply = json!({"text": text, "stop_reason": "complete", "usage": {"input_tokens": 5, "output_tokens": 5}, "request_id": null});
    fs::write(path.join("reply.json"), reply.to_string()).expect("written");
    let run = |out: &str, script: &str| {
        let mut command = scribe(path, out);
        command.args(["--provider", "command", "--model", "mock-prose-1", "--command", "sh", "-c", script]);
        end(command)
    };
    let good = run("good", "cat > /dev/null; cat reply.json");
    assert_eq!((good.code, good.word()), (0, "pass"), "{}{}", good.out, good.err);
    let exit = run("exit", "echo the model is out >&2; exit 7");
    assert_eq!((exit.code, exit.word()), (3, "command"), "{}{}", exit.out, exit.err);
    assert!(exit.out.contains("the model is out"), "{}", exit.out);
}

#[test]
fn an_interrupt_keeps_what_was_written_and_counts_what_was_reserved() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    let mut child = spawn(path);
    // The marker file says that the provider is at work, so the interrupt comes in the middle of a call.
    wait_for(&path.join("asked"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the child lives");
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        said.push(line.expect("UTF-8"));
    }
    let status = child.wait().expect("it ends");
    assert_eq!((status.code(), said.last().map(String::as_str)), (Some(130), Some("interrupted")));
    let left = names(&path.join("out"));
    assert!(left.iter().all(|name| !name.ends_with(".lock") && !name.ends_with(".tmp")), "{left:?}");
    let ledger = fs::read_to_string(path.join("out/ledger.jsonl")).expect("kept");
    assert!(ledger.contains("\"reserve\"") && !ledger.contains("\"settle\""), "{ledger}");
    assert_eq!(report(path, "out")["partial"], true);
}

#[expect(clippy::disallowed_methods, reason = "a program that gets a signal cannot be waited for by assert_cmd")]
fn spawn(folder: &Path) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_engine"));
    command.current_dir(folder).arg("scribe").arg("--intent").arg(story("silent-watch", "intent.json"));
    command.arg("--plan").arg(story("silent-watch", "plan.json")).arg("--calibration").arg(calibration());
    command.args(["--out", "out", "--provider", "command", "--model", "mock-prose-1"]);
    command.args(["--command", "sh", "-c", "touch asked; sleep 30"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn wait_for(file: &Path) {
    for _ in 0..3000 {
        if file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} never came", file.display());
}

#[test]
fn a_key_is_in_no_output() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path();
    const CANARY: &str = "sk-canary-5e1f";
    let mut command = engine(path);
    command.arg("scribe").arg("--intent").arg(story("silent-watch", "intent.json"));
    command.arg("--plan").arg(story("silent-watch", "plan.json")).args(["--out", "out"]);
    // Nobody listens on port 9 of this machine.
    command.args(["--provider", "openai", "--base-url", "http://127.0.0.1:9/v1", "--cache", "cache"]);
    command.env("OPENAI_API_KEY", CANARY);
    let mut quick: Value = serde_json::from_slice(&fs::read(calibration()).expect("tracked")).expect("JSON");
    (quick["BACKOFF_BASE_MS"], quick["BACKOFF_MAX_MS"]) = (json!(1), json!(1));
    fs::write(path.join("quick.json"), quick.to_string()).expect("written");
    command.env("PROOFHOUSE_CALIBRATION", "quick.json");
    let ended = end(command);
    assert_eq!(ended.code, 3, "{}{}", ended.out, ended.err);
    assert!(!ended.out.contains(CANARY) && !ended.err.contains(CANARY));
    for file in files_below(path) {
        let bytes = fs::read(&file).expect("readable");
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", file.display());
    }
}

#[test]
fn a_story_never_overwrites_another() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let run = |seed: &str| {
        let mut command = engine(folder.path());
        command.args(["story", "--seed", seed, "--out", "story"]);
        end(command)
    };
    assert_eq!(run("1").code, 0);
    let before = fs::read(folder.path().join("story/plan.json")).expect("written");
    let again = run("2");
    assert_eq!((again.code, again.word()), (2, "usage"));
    assert_eq!(fs::read(folder.path().join("story/plan.json")).expect("still there"), before);
}
