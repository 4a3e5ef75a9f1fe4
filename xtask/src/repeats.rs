//! Repeats seeded indices of the stress drill through the built `engine`, each in a process of its own: a drill that did
//! something else than what ships would be seen here (`repeats.jsonl`).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use contract::canonical;
use contract::money::MicroUsd;
use contract::plan::{DrillPlan, Plan};
use contract::record::run::{Outcome, Repeat, Run as RunRow};
use contract::record::{self, Stamp};
use contract::seed::Seed;
use serde_json::Value;

use crate::compile::Programs;
use crate::failure::Failure;
use crate::process;
use crate::progress::Progress;
use crate::runs::RunFolder;
use crate::selection::COMMAND;

/// One story on the virtual clock takes well under a second.
const ENGINE_MAX: Duration = Duration::from_secs(60);
/// The drill whose indices are stories.
const STRESS: &str = "stress";

/// Repeats `count` indices of every planned workload of our own, and writes their rows. A foreign program is repeated by
/// its drill, which starts it as a process anyway.
///
/// # Errors
/// The engine cannot be started, a file cannot be written, or Ctrl-C.
pub(crate) fn run(
    plan: &Plan,
    programs: &Programs,
    count: u64,
    folder: &RunFolder,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let own = plan.drills.iter().filter(|drill| drill.drill == STRESS && drill.scenario != COMMAND);
    let stamp = plan.stamp().map_err(|error| Failure::internal(format!("the plan has no digest: {error}")))?;
    let mut lines = Vec::new();
    for drill in own {
        progress.begin(format!("{} repeats {}", plan.gate, drill.scenario), false);
        for row in rows_of(&folder.evidence(&plan.gate), drill, &stamp, &indices(plan, drill, count)) {
            let repeat = repeat(drill, &row, programs, folder, progress)?;
            let line = record::to_line(&stamp, &repeat);
            lines.extend(line.map_err(|error| Failure::internal(format!("repeats: {error}")))?);
        }
    }
    if !lines.is_empty() {
        folder.write(&format!("evidence/{}/repeats.jsonl", plan.gate), &lines)?;
    }
    Ok(())
}

/// Which indices: drawn from the master seed, so that nobody can choose those that agree; ascending, without doubles.
fn indices(plan: &Plan, drill: &DrillPlan, count: u64) -> BTreeSet<u64> {
    if drill.runs <= count {
        return (0..drill.runs).collect();
    }
    let seed = plan.master_seed.stream(&format!("repeats/{}/{}/{}", plan.gate, drill.drill, drill.scenario));
    let mut chosen = BTreeSet::new();
    let mut counter = 0;
    while (chosen.len() as u64) < count {
        chosen.insert(seed.word(counter) % drill.runs);
        counter += 1;
    }
    chosen
}

/// The drill's own rows of these indices. What cannot be read is the judge's to say; it is not repeated.
fn rows_of(evidence: &Path, drill: &DrillPlan, stamp: &Stamp, wanted: &BTreeSet<u64>) -> Vec<RunRow> {
    let Ok(bytes) = std::fs::read(evidence.join(format!("{STRESS}-{}.jsonl", drill.scenario))) else {
        return Vec::new();
    };
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| record::read::<RunRow>(line).ok());
    let ours = lines.filter(|(found, row)| found == stamp && row.repeat == 0 && wanted.contains(&row.index));
    ours.map(|(_, row)| row).collect()
}

fn repeat(
    drill: &DrillPlan,
    row: &RunRow,
    programs: &Programs,
    folder: &RunFolder,
    progress: &mut Progress,
) -> Result<Repeat, Failure> {
    let out = folder.path.join("repeats").join(&drill.scenario).join(row.index.to_string());
    std::fs::create_dir_all(&out).map_err(|error| Failure::file("cannot make", &out, &error))?;
    let (built, built_exit, note) = through_engine(row.seed, programs, folder, &out, progress)?;
    Ok(Repeat {
        drill: drill.drill.clone(),
        scenario: drill.scenario.clone(),
        index: row.index,
        seed: row.seed,
        inside: Outcome {
            output_digest: row.output_digest,
            attempts: row.attempts,
            cost_micro_usd: row.cost_micro_usd,
        },
        built,
        built_exit,
        note,
    })
}

/// `engine story` writes the story of the seed, `engine scribe` tells it: what a user would type.
fn through_engine(
    seed: Seed,
    programs: &Programs,
    folder: &RunFolder,
    out: &Path,
    progress: &mut Progress,
) -> Result<(Option<Outcome>, Option<u8>, String), Failure> {
    let seed = format!("0x{seed}");
    let calibration = folder.path.join("calibration.json");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let story: Vec<String> = ["story", "--seed", &seed, "--out", &text(out)].map(str::to_owned).to_vec();
    let scribe: Vec<String> = [
        "scribe",
        "--intent",
        &text(&out.join("intent.json")),
        "--plan",
        &text(&out.join("plan.json")),
        "--seed",
        &seed,
        "--virtual-time",
        "--calibration",
        &text(&calibration),
        "--out",
        // The folder of a pack must be empty, and `out` holds the story.
        &text(&out.join("pack")),
    ]
    .map(str::to_owned)
    .to_vec();
    let mut exit = None;
    for arguments in [story, scribe] {
        let task = process::program_in(out, &programs.engine, &arguments, ENGINE_MAX);
        let task = task.without_own_variables().with_sabotage();
        let ended = task.ask(progress)?;
        exit = ended.code().and_then(|code| u8::try_from(code).ok());
        // A story that fails its own rules is told all the same, and compared.
        if exit.is_none_or(|code| code > contract::exit::engine::FAILURE) {
            let last = ended.tail.back().map_or("", String::as_str);
            return Ok((None, exit, format!("engine {}: {}: {last}", arguments[0], ended.end)));
        }
    }
    match outcome(&out.join("pack")) {
        Ok(outcome) => Ok((Some(outcome), exit, String::new())),
        Err(reason) => Ok((None, exit, reason)),
    }
}

fn outcome(out: &Path) -> Result<Outcome, String> {
    let bytes = std::fs::read(out.join("run-report.json")).map_err(|error| format!("run-report.json: {error}"))?;
    let report = canonical::parse_evidence(&bytes).map_err(|error| format!("run-report.json: {error}"))?;
    let missing = |name: &str| format!("run-report.json: /{name}: missing or of another type");
    let field = |name: &'static str| report.get(name).ok_or_else(|| missing(name));
    let digest = field("output_digest")?.as_str().and_then(contract::digest::Digest::parse);
    let cost = field("cost_usd")?.as_f64().and_then(MicroUsd::from_usd);
    Ok(Outcome {
        output_digest: digest.ok_or_else(|| missing("output_digest"))?,
        attempts: field("attempts").map(Value::as_u64)?.ok_or_else(|| missing("attempts"))?,
        cost_micro_usd: cost.ok_or_else(|| missing("cost_usd"))?.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::digest::Digest;

    fn plan(runs: u64) -> Plan {
        Plan {
            schema: Plan::SCHEMA.into(),
            gate: "pr-g4".into(),
            profile: "dev".into(),
            commit: String::new(),
            tree: String::new(),
            policy: Digest::of(b"policy"),
            toolchain: String::new(),
            master_seed: Seed(42),
            drills: vec![DrillPlan { drill: STRESS.into(), scenario: "scribe".into(), runs }],
        }
    }

    #[test]
    fn indices_are_drawn_from_the_seed_without_doubles() {
        let of = |runs, count| indices(&plan(runs), &plan(runs).drills[0], count);
        let chosen = of(1000, 20);
        assert_eq!((chosen.len(), of(1000, 20)), (20, chosen.clone()));
        assert!(chosen.iter().all(|index| *index < 1000) && chosen != (0..20).collect());
        assert_eq!(of(21, 20).len(), 20, "almost all of a few");
        assert_eq!(of(5, 20), (0..5).collect());
    }

    #[test]
    fn a_report_without_a_figure_gives_no_outcome() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let digest = Digest::of(b"x");
        let whole = format!(r#"{{"output_digest": "{digest}", "attempts": 3, "cost_usd": 0.000012}}"#);
        let report = scratch.path().join("run-report.json");
        std::fs::write(&report, &whole).expect("a small file");
        assert_eq!(outcome(scratch.path()), Ok(Outcome { output_digest: digest, attempts: 3, cost_micro_usd: 12 }));
        for (from, to) in
            [("\"attempts\": 3", "\"attempts\": \"3\""), ("0.000012", "null"), ("output_digest", "digest")]
        {
            std::fs::write(&report, whole.replace(from, to)).expect("a small file");
            assert!(outcome(scratch.path()).is_err(), "{from}");
        }
    }
}
