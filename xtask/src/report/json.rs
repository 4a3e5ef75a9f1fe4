//! The report for programs: JSON Lines, one object a check, a gate and the run, each naming its schema.

use gates::check::Verdict;
use gates::verdict::{CheckReport, State};
use serde::Serialize;
use serde_json::json;

use super::{Finished, checks};
use crate::failure::Failure;

/// One line a check: what the judge said, and the gate it belongs to.
#[derive(Serialize)]
struct CheckLine<'a> {
    schema: &'static str,
    gate: &'a str,
    #[serde(flatten)]
    check: &'a CheckReport,
}

/// Renders a run: its checks, its gates, and as the last line the run.
///
/// # Errors
/// A number that JSON does not have.
pub(crate) fn render(run: &Finished) -> Result<String, Failure> {
    let mut out = String::new();
    for found in checks(&run.report) {
        push(&mut out, &CheckLine { schema: "proofhouse.check-report/1", gate: &found.gate.id, check: found.check })?;
    }
    for gate in &run.report.gates {
        let passed = gate.checks.iter().filter(|check| check.state.verdict() == Some(Verdict::Pass)).count();
        let mut line = json!({
            "schema": "proofhouse.gate-report/1",
            "id": gate.id,
            "word": gate.state.word(),
            "checks": gate.checks.len(),
            "passed": passed,
        });
        if let State::Blocked { by } = &gate.state {
            line["blocked_by"] = by.as_str().into();
        }
        push(&mut out, &line)?;
    }
    let ended = run.conclusion();
    let phases = run
        .phases
        .iter()
        .map(|phase| json!({"name": phase.name, "cargo": phase.cargo, "ms": phase.took.as_millis() as u64}));
    push(
        &mut out,
        &json!({
            "schema": "proofhouse.run-report/1",
            "word": ended.word,
            "exit": ended.code,
            "state": run.state,
            "rules": run.report.rules,
            "profile": run.report.profile,
            "policy": run.report.policy,
            "seed": run.seed,
            "folder": run.folder,
            "loosened": run.report.loosened,
            "narrowed": run.narrowed,
            "not_selected": run.left_out,
            "problems": run.problems,
            "phases": phases.collect::<Vec<_>>(),
            "bytes_left": run.bytes_left,
        }),
    )?;
    Ok(out)
}

/// One line of printable ASCII: JSON escapes what a terminal would act on, and needs a hand with what lies above.
///
/// # Errors
/// A number that JSON does not have.
pub(crate) fn push(out: &mut String, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::internal(format!("a report line: {error}")))?;
    for character in text.chars() {
        match character {
            ' '..='~' => out.push(character),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn lines(run: &Finished) -> Vec<Value> {
        let text = render(run).expect("finite numbers");
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    #[test]
    fn one_object_a_check_a_gate_and_the_run() {
        let lines = lines(&sample::red());
        let schemas: Vec<&str> = lines.iter().filter_map(|line| line["schema"].as_str()).collect();
        let (check, gate, run) = ("proofhouse.check-report/1", "proofhouse.gate-report/1", "proofhouse.run-report/1");
        assert_eq!(schemas, [check, check, check, check, gate, gate, run]);
        let lost = lines.iter().find(|line| line["id"] == "no-lost-update").expect("the failed check");
        assert_eq!(lost["gate"], "pr-g1");
        assert_eq!(lost["state"]["verdict"], "FAIL");
        assert_eq!(lost["evidence"][0]["line"], 1);
        assert_eq!(lines[5]["blocked_by"], "pr-g1");
        let last = &lines[6];
        assert_eq!((last["word"].as_str(), last["exit"].as_u64()), (Some("FAIL"), Some(1)));
        assert_eq!(last["loosened"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn hostile_text_comes_back_unchanged_from_printable_lines() {
        let run = sample::hostile();
        let lines = lines(&run);
        assert_eq!(lines[0]["claim"].as_str(), Some(run.report.gates[0].checks[0].claim.as_str()));
    }
}
