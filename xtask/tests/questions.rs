//! Commands that answer a question about the workspace, from outside: `gate list`, `config`, `doctor`, `baseline`.

use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;

fn xtask(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("xtask").expect("built for this test");
    command.current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PROOFHOUSE_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).envs(variables.iter().copied()).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect()
}

#[test]
fn gate_list_shows_gates_checks_and_rules() {
    let (code, out, err) = xtask(&["gate", "list"], &[("COLUMNS", "100")]);
    assert_eq!(code, Some(0), "{err}");
    for word in ["pr-g0", "pr-g5", "no-lost-update", "invariant", "many processes share one folder"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let (_, out, _) = xtask(&["gate", "list", "--json"], &[]);
    assert!(lines(&out).iter().any(|line| line["check"] == "tamper-detected" && line["gate"] == "pr-g5"), "{out}");
}

#[test]
fn pol_11_config_show_names_value_source_and_what_it_shadows() {
    let variables = [("PROOFHOUSE_STRESS_N", "2000")];
    let (code, out, err) = xtask(&["config", "show", "STRESS_N", "--set", "STRESS_N=3000", "--json"], &variables);
    assert_eq!(code, Some(0), "{err}");
    let [line] = &lines(&out)[..] else { panic!("one value: {out}") };
    assert_eq!((line["value"].as_u64(), line["source"]["layer"].as_str()), (Some(3000), Some("cli")));
    let shadowed: Vec<&str> =
        line["source"]["shadowed"].as_array().expect("a list").iter().filter_map(|one| one["layer"].as_str()).collect();
    assert_eq!(shadowed.first(), Some(&"env"), "{line}");
    assert_eq!(shadowed.last(), Some(&"default"), "{line}");
    let (code, out, _) = xtask(&["config", "show", "LATENCY_LIMITS"], &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("LATENCY_LIMITS.max_call_latency_ms = 60000") && !out.contains("STRESS_N"), "{out}");
}

#[test]
fn pol_12_what_is_unknown_or_malformed_is_refused_by_name() {
    for (arguments, variables, word) in [
        (&["config", "show", "STRES_N"][..], &[][..], "STRESS_N"),
        (&["config", "check", "--profile", "relaese"], &[], "release"),
        (&["config", "check", "--set", "STRESS_N=many"], &[], "STRESS_N"),
        (&["config", "check"], &[("PROOFHOUSE_STRESS_N", "many")], "PROOFHOUSE_STRESS_N"),
        (&["config", "check", "--profile", "release", "--set", "STRESS_N=1"], &[], "STRESS_N"),
        (&["config"], &[], "show"),
        (&["doctor", "--profile", "relaese"], &[], "release"),
        (&["baseline", "accept", "--run", "nowhere"], &[], "cargo-test.log"),
    ] {
        let (code, out, err) = xtask(arguments, variables);
        assert_eq!(code, Some(2), "{arguments:?}: {out}{err}");
        assert!(err.contains(word), "{arguments:?}: {err}");
    }
    let (code, out, _) = xtask(&["config", "check", "--profile", "ci"], &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("the policy holds: profile ci"), "{out}");
}

#[test]
fn gat_3_the_doctor_names_what_is_missing_and_exits_75() {
    let (code, out, _) = xtask(&["doctor", "--json"], &[]);
    assert_eq!(code, Some(0), "a machine that runs this test has what dev needs: {out}");
    assert!(lines(&out).iter().any(|line| line["program"] == "git" && line["found"] == true), "{out}");
    let (code, out, _) = xtask(&["doctor", "--profile", "ci"], &[("PATH", "/nowhere")]);
    assert_eq!(code, Some(75), "{out}");
    for word in ["MISSING  strace", "apt-get install strace", "crash-points"] {
        assert!(out.contains(word), "{word}: {out}");
    }
}
