//! `cargo xtask gate selftest`: switches one named defect of the engine on at a time and demands that exactly the checks
//! it declares turn red. A defect that nothing catches, or that turns another check red too, is an integrity failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use contract::exit;
use serde::Deserialize;
use serde_json::Value;

use crate::cli;
use crate::failure::Failure;
use crate::policy;
use crate::process;
use crate::progress::Progress;
use crate::workspace::{NO_DEFECT, SABOTAGE, Workspace};

/// One run of one gate, its build included the first time.
const RUN_MAX: Duration = Duration::from_secs(1800);

/// `cargo xtask gate selftest`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Selftest {
    /// Try this defect only (repeat for several)
    #[arg(long, value_name = "DEFECT")]
    only: Vec<String>,
}

/// A row of `[[sabotage]]` in `gates/policy/trace.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sabotage {
    /// Name of the seam.
    pub(crate) name: String,
    /// The gate that must catch it.
    pub(crate) gate: String,
    /// The one to three checks that it must turn red.
    pub(crate) turns_red: Vec<String>,
    /// Why these.
    pub(crate) why: String,
}

/// The checks of one gate that were not PASS, without their instances.
type Red = BTreeSet<String>;

impl Selftest {
    /// Tries the defects; prints the table of defect, declared, seen.
    ///
    /// # Errors
    /// An unknown defect, or a run that did not come to a verdict.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let mut progress = Progress::new(false, false, 1);
        let space = Workspace::find(&mut progress)?;
        let all = declared(&policy::trace(&space.root)?)?;
        let chosen: Vec<&Sabotage> =
            all.iter().filter(|defect| self.only.is_empty() || self.only.contains(&defect.name)).collect();
        if let Some(unknown) = self.only.iter().find(|name| !all.iter().any(|defect| defect.name == **name)) {
            let names: Vec<&str> = all.iter().map(|defect| defect.name.as_str()).collect();
            return Err(
                Failure::usage(format!("unknown defect `{unknown}`")).hint(format!("known: {}", names.join(", ")))
            );
        }
        progress.expect_steps(chosen.len() as u64);
        let mut healthy: BTreeMap<&str, Red> = BTreeMap::new();
        let mut wrong = 0;
        let mut table = String::new();
        for defect in chosen {
            if !healthy.contains_key(defect.gate.as_str()) {
                let red = red_checks(&space, &defect.gate, NO_DEFECT, &mut progress)?;
                if !red.is_empty() {
                    let text = format!("{} is not green with nothing switched on: {}", defect.gate, list(&red));
                    return Err(Failure::internal(text));
                }
                healthy.insert(&defect.gate, red);
            }
            let seen = red_checks(&space, &defect.gate, &defect.name, &mut progress)?;
            let wanted: Red = defect.turns_red.iter().cloned().collect();
            let word = if seen == wanted { "caught" } else { "WRONG" };
            wrong += u32::from(seen != wanted);
            // Writing into a string cannot fail.
            let _ = writeln!(
                table,
                "{word:<7} {:<28} {}  declared {}; seen {}",
                defect.name,
                defect.gate,
                list(&wanted),
                list(&seen)
            );
        }
        progress.finish();
        cli::print(&table)?;
        Ok(if wrong == 0 { exit::gate::PASS } else { exit::gate::INTEGRITY })
    }
}

/// The declared defects.
///
/// # Errors
/// A row that lacks a field, or declares none or more than three checks.
pub(crate) fn declared(trace: &Value) -> Result<Vec<Sabotage>, Failure> {
    let rows = trace.get("sabotage").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let rows: Vec<Sabotage> =
        serde_json::from_value(rows).map_err(|error| Failure::usage(format!("trace.toml: sabotage: {error}")))?;
    match rows.iter().find(|row| !(1..=3).contains(&row.turns_red.len()) || row.why.is_empty()) {
        Some(row) => Err(Failure::usage(format!(
            "trace.toml: sabotage {} declares no reason, or not one to three checks",
            row.name
        ))),
        None => Ok(rows),
    }
}

/// Runs one gate of this very program with one defect switched on, and reads which checks it says are not PASS.
fn red_checks(space: &Workspace, gate: &str, defect: &str, progress: &mut Progress) -> Result<Red, Failure> {
    progress.begin(format!("{gate} with {defect}"), false);
    let own =
        std::env::current_exe().map_err(|error| Failure::internal(format!("cannot find this program: {error}")))?;
    let arguments = ["gate", gate, "--message-format", "json", "--quiet"];
    let task = process::program_in(&space.root, &own, arguments, RUN_MAX).env(SABOTAGE, defect);
    let ended = task.env("CARGO_TARGET_DIR", &space.target).ask(progress)?;
    progress.end();
    let mut red = Red::new();
    let mut judged = 0;
    for line in ended.out.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        if value.get("schema").and_then(Value::as_str) != Some("proofhouse.check-report/1") {
            continue;
        }
        judged += 1;
        let passed = value.pointer("/state/verdict").and_then(Value::as_str) == Some("PASS");
        let hard = value.get("severity").and_then(Value::as_str) == Some("hard");
        if let (false, true, Some(id)) = (passed, hard, value.get("id").and_then(Value::as_str)) {
            red.insert(id.split(':').next().unwrap_or(id).to_owned());
        }
    }
    if judged == 0 {
        return Err(Failure::internal(format!(
            "{gate} with {defect} gave no verdict: {}{}",
            ended.end,
            ended.tail_text()
        )));
    }
    Ok(red)
}

fn list(red: &Red) -> String {
    if red.is_empty() { "nothing".to_owned() } else { red.iter().cloned().collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_defects_are_declared_well() {
        let text = include_str!("../../gates/policy/trace.toml");
        let trace: toml::Value = toml::from_str(text).expect("trace.toml is TOML");
        let trace = serde_json::to_value(trace).expect("TOML without dates is JSON");
        let rows = declared(&trace).expect("every row is whole");
        assert!(rows.len() >= 15, "{} defects", rows.len());
        for row in rows {
            let gate = gates::gate::find(&row.gate).unwrap_or_else(|| panic!("{}: no gate {}", row.name, row.gate));
            for check in row.turns_red {
                assert!(
                    gate.checks.iter().any(|known| known.id == check),
                    "{}: {} has no check {check}",
                    row.name,
                    row.gate
                );
            }
        }
    }
}
