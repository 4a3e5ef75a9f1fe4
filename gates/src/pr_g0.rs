//! pr-g0 preflight: what is about to be judged is whole, pinned and green.

use contract::record::preflight::{Preflight, ToolRun};
use serde_json::Value;

use crate::check::{Check, Family, Judged, Numbers, Place, Unjudged, Verdict, Violation};
use crate::evidence::{Context, Rows};
use crate::gate::Gate;

mod policy_lists;
pub mod test_log;

use policy_lists::{AuditPattern, Baseline, PathAllowance};

/// File name of the preflight record.
pub const RECORD: &str = "PR_PREFLIGHT.json";

/// Id of the check that a refused policy turns red.
pub const CALIBRATION: &str = "calibration-complete";

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g0",
    name: "preflight",
    claim: "what is about to be judged is whole, pinned and green",
    checks: CHECKS,
    drills: |_| Vec::new(),
};

const CHECKS: &[Check] = &[
    Check {
        id: CALIBRATION,
        requirement: "INV-POLICY-01",
        family: Family::Invariant,
        evidence: &[],
        rule: "every key of the calibration is present, non-null, of its type and in range; unknown keys are refused",
        judge: calibration_complete,
    },
    Check {
        id: "source-state",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "branch, commit and tree are recorded; outside `dev` the tree is clean",
        judge: source_state,
    },
    Check {
        id: "toolchain-pinned",
        requirement: "INV-REPLAY-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "rustc and cargo agree with rust-toolchain.toml, and Cargo.lock is unchanged by the build",
        judge: toolchain_pinned,
    },
    Check {
        id: "build-clean",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD, "cargo-build.log"],
        rule: "cargo build --workspace --all-targets --locked exits 0 with no warning",
        judge: build_clean,
    },
    Check {
        id: "lint-clean",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD, "cargo-fmt.log", "cargo-clippy.log"],
        rule: "cargo fmt --check and cargo clippy --workspace --all-targets -- -D warnings exit 0",
        judge: lint_clean,
    },
    Check {
        id: "tests-baseline",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD, "cargo-test.log"],
        rule: "no test failed; every test of the accepted baseline ran and passed; only tests named there are ignored",
        judge: tests_baseline,
    },
    Check {
        id: "smoke",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "the built engine writes one shipped story without a HARD violation",
        judge: smoke,
    },
    Check {
        id: "inventory",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "every file named in policy/inventory.json exists, and its digest is recorded",
        judge: inventory,
    },
    Check {
        id: "portable-paths",
        requirement: "INV-PROOFPACK-EXPORT-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "no absolute path stands in a tracked text file beyond policy/path-allow.json, and no allowance is unused",
        judge: portable_paths,
    },
    Check {
        id: "code-audit",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "the required and forbidden patterns of policy/code-audit.json hold, each proven by a sample that trips it",
        judge: code_audit,
    },
    Check {
        id: "dependency-budget",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[RECORD],
        rule: "xtask pulls in at most XTASK_CRATES_MAX crates",
        judge: dependency_budget,
    },
];

type Outcome = Result<Vec<Judged>, Unjudged>;

fn calibration_complete(context: &Context<'_>) -> Outcome {
    let values = &context.policy.file.values;
    let place = Place { path: "policy/gate.json".into(), line: None, sha256: String::new() };
    let errors = contract::calibration::TABLE.check(values);
    let broken: Vec<Violation> =
        errors.iter().map(|error| Violation { what: error.to_string(), place: place.clone() }).collect();
    let rule = "every key of the calibration is present, non-null, of its type and in range; unknown keys are refused";
    Ok(vec![Judged::invariant(rule, leaves(values), vec![place], &broken)])
}

fn source_state(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let clean_needed = context.policy.file.profile != "dev";
    let broken = record.violations(|seen| {
        let missing: Vec<&str> = [("branch", &seen.branch), ("commit", &seen.head), ("tree", &seen.tree)]
            .iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(name, _)| *name)
            .collect();
        match (missing.as_slice(), seen.dirty.as_slice()) {
            ([], [line, ..]) if clean_needed => {
                Some(format!("the tree is dirty: {} lines, the first `{line}`; commit or stash", seen.dirty.len()))
            }
            ([], _) => None,
            (names, _) => Some(format!("no {} is known: the source is no git checkout", names.join(", "))),
        }
    });
    let rule = if clean_needed {
        "branch, commit and tree are recorded, the tree is clean"
    } else {
        "branch, commit and tree are recorded"
    };
    Ok(vec![Judged::invariant(rule, 3, vec![record.place.clone()], &broken)])
}

fn toolchain_pinned(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let broken = record.violations(|seen| {
        let facts = &seen.toolchain;
        let release = facts.rustc.iter().find_map(|line| line.strip_prefix("release: "));
        let cargo = facts.cargo.split_whitespace().nth(1);
        if release != Some(facts.pinned.as_str()) {
            Some(format!("rustc is {}, pinned is {}", release.unwrap_or("unknown"), facts.pinned))
        } else if cargo != Some(facts.pinned.as_str()) {
            Some(format!("cargo is {}, pinned is {}", cargo.unwrap_or("unknown"), facts.pinned))
        } else if facts.lock_before != facts.lock_after {
            Some("Cargo.lock was changed by the build; commit the new one".into())
        } else {
            None
        }
    });
    Ok(vec![Judged::invariant(
        "rustc, cargo and Cargo.lock are the pinned ones",
        3,
        vec![record.place.clone()],
        &broken,
    )])
}

fn build_clean(context: &Context<'_>) -> Outcome {
    let (place, broken) = tools_clean(context, &[("build", &["build", "--workspace", "--all-targets", "--locked"])])?;
    Ok(vec![Judged::invariant(
        "cargo build --workspace --all-targets --locked exits 0 with no warning",
        1,
        place,
        &broken,
    )])
}

fn lint_clean(context: &Context<'_>) -> Outcome {
    let tools: &[(&str, &[&str])] =
        &[("fmt", &["fmt", "--check"]), ("clippy", &["clippy", "--workspace", "--all-targets", "-D", "warnings"])];
    let (place, broken) = tools_clean(context, tools)?;
    Ok(vec![Judged::invariant("cargo fmt --check and cargo clippy -- -D warnings exit 0", 2, place, &broken)])
}

/// For each tool: it ran with the arguments that make it mean something, exited 0, and its own log holds no warning.
fn tools_clean(context: &Context<'_>, tools: &[(&str, &[&str])]) -> Result<(Vec<Place>, Vec<Violation>), Unjudged> {
    let record = preflight(context)?;
    let mut places = vec![record.place.clone()];
    let mut broken = Vec::new();
    for (id, arguments) in tools {
        let run = tool(&record, id)?;
        let (log_place, log) = context.bytes(&run.log).or_else(|missing| match missing {
            // A formatter that has nothing to say writes nothing.
            Unjudged::NoEvidence { place, reason } if reason == "is empty" => Ok((place, &[][..])),
            other => Err(other),
        })?;
        let log = String::from_utf8_lossy(log);
        if let Some(absent) = arguments.iter().find(|wanted| !run.command.iter().any(|word| word == *wanted)) {
            broken.push(Violation {
                what: format!("`{}` was run without `{absent}`", run.command.join(" ")),
                place: record.at(1),
            });
        }
        let noisy = log.lines().zip(1..).find(|(line, _)| line.starts_with("warning") || line.starts_with("error"));
        match (run.exit, noisy) {
            (Some(0), None) => {}
            (Some(0), Some((line, number))) => {
                broken.push(Violation {
                    what: line.to_owned(),
                    place: Place { line: Some(number), ..log_place.clone() },
                });
            }
            (exit, noisy) => {
                let first = noisy.map_or("no line of its log says why", |(line, _)| line);
                let what = format!("`{}` ended with {}: {first}", run.command.join(" "), exit_word(exit));
                let line = noisy.map(|(_, number)| number);
                broken.push(Violation { what, place: Place { line, ..log_place.clone() } });
            }
        }
        places.push(log_place);
    }
    Ok((places, broken))
}

fn tests_baseline(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let run = tool(&record, "test")?;
    let (place, log) = context.bytes(&run.log)?;
    let no = |reason: String| Unjudged::NoEvidence { place: place.clone(), reason };
    let seen = test_log::parse(&String::from_utf8_lossy(log));
    if seen.tests.is_empty() || seen.binaries == 0 {
        return Err(no("the test runner ran nothing".into()));
    }
    if let Some(reason) = seen.contradiction {
        return Err(Unjudged::Integrity { place, reason });
    }
    let baseline = Baseline::parse(&context.policy.file.baseline).map_err(no)?;
    let at = |what: String| Violation { what, place: place.clone() };
    let mut failed: Vec<Violation> =
        seen.named(test_log::Outcome::Failed).map(|name| at(format!("test {name} failed"))).collect();
    if run.exit != Some(0) && failed.is_empty() {
        failed.push(at(format!(
            "`{}` ended with {} though no test failed",
            run.command.join(" "),
            exit_word(run.exit)
        )));
    }
    let n = seen.tests.len() as u64;
    let mut judged = vec![Judged::invariant("0 tests failed", n, vec![place.clone()], &failed)];
    let vanished = baseline.tests.iter().filter(|name| seen.tests.get(*name) != Some(&test_log::Outcome::Passed));
    let mut missing: Vec<Violation> =
        vanished.map(|name| at(format!("test {name} of the baseline did not run and pass"))).collect();
    let unexpected =
        seen.named(test_log::Outcome::Ignored).filter(|name| !baseline.ignored.iter().any(|known| known == *name));
    missing.extend(unexpected.map(|name| at(format!("test {name} is ignored, the baseline does not say so"))));
    let rule = format!(
        "all {} tests of the accepted baseline ran and passed; only those named there are ignored",
        baseline.tests.len()
    );
    let compared = Judged::invariant(rule, n, vec![place.clone()], &missing).instance("accepted");
    judged.push(if baseline.accepted {
        compared
    } else {
        Judged {
            claim: "no baseline is accepted yet; `cargo xtask baseline accept` writes one".into(),
            ..compared.soft()
        }
    });
    Ok(judged)
}

fn smoke(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let steps = record.iter().flat_map(|seen| &seen.smoke);
    let mut broken = Vec::new();
    let mut n = 0;
    for step in steps {
        n += 1;
        if step.exit != Some(0) || step.hard_violations != Some(0) {
            let hard = step.hard_violations.map_or("no report".to_owned(), |count| format!("{count} HARD violations"));
            broken.push(Violation {
                what: format!("{} ended with {}, {hard}", step.step, exit_word(step.exit)),
                place: record.at(1),
            });
        }
    }
    Ok(vec![Judged::invariant(
        "each smoke step exits 0 without a HARD violation",
        n,
        vec![record.place.clone()],
        &broken,
    )])
}

fn inventory(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let wanted = policy_lists::inventory(&context.policy.file.inventory).map_err(|reason| policy_fault(&reason))?;
    let broken = wanted.iter().filter_map(|file| {
        let seen = record.iter().next().and_then(|seen| seen.inventory.get(file));
        let what = match seen {
            Some(Some(_)) => return None,
            Some(None) => format!("{file} does not exist"),
            None => format!("{file} was not looked for"),
        };
        Some(Violation { what, place: record.at(1) })
    });
    let broken: Vec<Violation> = broken.collect();
    Ok(vec![Judged::invariant(
        "every file of the inventory exists",
        wanted.len() as u64,
        vec![record.place.clone()],
        &broken,
    )])
}

fn portable_paths(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let allowed = PathAllowance::parse(&context.policy.file.path_allow).map_err(|reason| policy_fault(&reason))?;
    let findings: Vec<_> = record.iter().flat_map(|seen| &seen.path_findings).collect();
    let searched = record.iter().map(|seen| seen.files_searched).sum();
    let covers = |allow: &PathAllowance, file: &str, rule: &str| allow.file == file && allow.rule == rule;
    let open = findings.iter().filter(|found| !allowed.iter().any(|allow| covers(allow, &found.file, &found.rule)));
    let mut broken: Vec<Violation> = open
        .map(|found| Violation {
            what: format!("{}:{} breaks path rule {}", found.file, found.line, found.rule),
            place: record.at(1),
        })
        .collect();
    let unused = allowed.iter().filter(|allow| !findings.iter().any(|found| covers(allow, &found.file, &found.rule)));
    broken.extend(unused.map(|allow| Violation {
        what: format!("policy/path-allow.json allows {} in {}, where nothing is found", allow.rule, allow.file),
        place: record.at(1),
    }));
    Ok(vec![Judged::invariant(
        "no absolute path stands in a tracked text file",
        searched,
        vec![record.place.clone()],
        &broken,
    )])
}

fn code_audit(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let patterns = AuditPattern::parse(&context.policy.file.code_audit).map_err(|reason| policy_fault(&reason))?;
    let broken = patterns.iter().filter_map(|pattern| {
        let outcome = record.iter().flat_map(|seen| &seen.audit).find(|outcome| outcome.id == pattern.id);
        let what = match outcome {
            None => format!("pattern {} was not searched", pattern.id),
            Some(outcome) if !outcome.sample_tripped => format!("pattern {} does not match its own sample", pattern.id),
            Some(outcome) => match (pattern.required, outcome.found.first()) {
                (true, None) => format!("required pattern {} is nowhere: {}", pattern.id, pattern.why),
                (false, Some(first)) => format!("{first} holds forbidden pattern {}: {}", pattern.id, pattern.why),
                _ => return None,
            },
        };
        Some(Violation { what, place: record.at(1) })
    });
    let broken: Vec<Violation> = broken.collect();
    let n = patterns.len() as u64;
    Ok(vec![Judged::invariant(
        "every audit pattern holds and matches its sample",
        n,
        vec![record.place.clone()],
        &broken,
    )])
}

fn dependency_budget(context: &Context<'_>) -> Outcome {
    let record = preflight(context)?;
    let limit = context.policy.values.xtask_crates_max;
    let mut names: Vec<&String> = record.iter().flat_map(|seen| &seen.xtask_crates).collect();
    names.sort();
    names.dedup();
    let n = names.len() as u64;
    let verdict = match n {
        0 => Verdict::NoEvidence,
        n if n <= limit => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let numbers =
        Numbers { observed: Some(n as f64), limit: Some(limit as f64), n, n_distinct: n, ..Numbers::default() };
    let rule = format!("xtask pulls in at most {limit} crates");
    Ok(vec![Judged::new(rule, verdict, format!("{n} crates counted"), numbers, vec![record.place])])
}

fn preflight(context: &Context<'_>) -> Result<Rows<Preflight>, Unjudged> {
    context.file::<Preflight>(RECORD)
}

fn tool<'a>(record: &'a Rows<Preflight>, id: &str) -> Result<&'a ToolRun, Unjudged> {
    let found = record.iter().find_map(|seen| seen.tools.get(id));
    found
        .ok_or_else(|| Unjudged::NoEvidence { place: record.place.clone(), reason: format!("tool `{id}` was not run") })
}

fn policy_fault(reason: &str) -> Unjudged {
    let place = Place { path: "policy/gate.json".into(), line: None, sha256: String::new() };
    Unjudged::NoEvidence { place, reason: reason.to_owned() }
}

fn exit_word(exit: Option<i32>) -> String {
    exit.map_or_else(|| "no exit code".to_owned(), |code| format!("exit {code}"))
}

fn leaves(value: &Value) -> u64 {
    match value {
        Value::Object(entries) => entries.values().map(leaves).sum(),
        _ => 1,
    }
}
