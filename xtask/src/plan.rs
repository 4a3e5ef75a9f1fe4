//! The plan of a run as a value: computed whole, written into the run folder, printed by `--plan`, and only then acted on.

use std::fmt::Write as _;

use contract::exit;
use contract::plan::{DrillPlan, Plan};
use contract::seed::Seed;
use gates::gate;

use crate::failure::Failure;
use crate::policy::Loaded;
use crate::selection::{Asked, PREFLIGHT, SEAL, WORKLOADS};
use crate::workspace::{Source, Toolchain};

/// The plans of the gates that seal nothing, in the order in which they run.
///
/// # Errors
/// A seed that `release` does not take.
pub(crate) fn plans(asked: &Asked, loaded: &Loaded, source: &Source, toolchain: &Toolchain, seed: Seed) -> Vec<Plan> {
    let sealed = asked.gates.iter().filter(|id| **id != SEAL);
    let plan = |id: &&'static str| Plan {
        schema: Plan::SCHEMA.into(),
        gate: (*id).into(),
        profile: loaded.policy.file.profile.clone(),
        commit: source.commit.clone(),
        tree: source.tree.clone(),
        policy: loaded.policy.digest,
        toolchain: toolchain.short(),
        master_seed: seed,
        drills: drills(id, asked, loaded),
    };
    sealed.map(plan).collect()
}

/// The drills of a gate; with `--workload` those of other workloads are left out.
fn drills(id: &str, asked: &Asked, loaded: &Loaded) -> Vec<DrillPlan> {
    let Some(gate) = gate::find(id) else { return Vec::new() };
    let wanted = |drill: &DrillPlan| match &asked.workload {
        Some(workload) => !WORKLOADS.contains(&drill.scenario.as_str()) || drill.scenario == *workload,
        None => true,
    };
    (gate.drills)(&loaded.policy).into_iter().filter(wanted).collect()
}

/// The master seed: typed, or the policy's; in `release` the commit's own, so that no constant can be fitted to one seed.
///
/// # Errors
/// `release` outside a commit, or with another seed than the commit's.
pub(crate) fn master_seed(typed: Option<Seed>, loaded: &Loaded, source: &Source) -> Result<Seed, Failure> {
    if loaded.policy.file.profile != "release" {
        return Ok(typed.unwrap_or(Seed(loaded.policy.values.determinism.seed_base)));
    }
    let leading = source.commit.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let own = leading.map(Seed).ok_or_else(|| {
        Failure::usage("profile `release` takes its seed from the commit, and there is none")
            .hint("run it in a git checkout with a commit")
    })?;
    match typed {
        Some(other) if other != own => {
            Err(Failure::usage(format!("profile `release` takes its seed from the commit: 0x{own}, not 0x{other}"))
                .hint("leave --seed out"))
        }
        _ => Ok(own),
    }
}

/// How many phases the run will have, for the progress bar.
pub(crate) fn steps(asked: &Asked, plans: &[Plan]) -> u64 {
    let tools = if asked.has(PREFLIGHT) { 5 } else { 0 };
    let gates: usize = plans.iter().map(|plan| plan.drills.len() + 1).sum();
    // Beside these the build and the facts at the end.
    2 + tools + gates as u64 + u64::from(asked.has(SEAL))
}

/// What `--plan` prints.
pub(crate) fn text(plans: &[Plan], asked: &Asked, loaded: &Loaded) -> String {
    let mut out = String::new();
    let policy = &loaded.policy;
    let seed = plans.first().map_or_else(String::new, |plan| format!(", seed 0x{}", plan.master_seed));
    // Writing to a String cannot fail; the macro's result says so.
    let _ = writeln!(out, "profile {}, policy {}{seed}", policy.file.profile, policy.digest);
    for one in &policy.file.loosened {
        let _ = writeln!(out, "{one}");
    }
    for plan in plans {
        let _ = writeln!(out, "\n{}", plan.gate);
        let Some(gate) = gate::find(&plan.gate) else {
            let _ = writeln!(out, "  no check is registered: NO_EVIDENCE");
            continue;
        };
        let _ = writeln!(out, "  {}", gate.claim);
        for drill in &plan.drills {
            let scenario = if drill.scenario.is_empty() { String::new() } else { format!(" {}", drill.scenario) };
            let runs = if drill.runs == 0 {
                String::new()
            } else {
                format!(": n {}, seeds 0x{} … 0x{}", drill.runs, plan.seed(0), plan.seed(drill.runs - 1))
            };
            let _ = writeln!(out, "  drill {}{scenario}{runs}", drill.drill);
        }
        for check in gate.checks {
            let state = if asked.wants(check.id) { "" } else { " (not selected)" };
            let family = format!("{:?}", check.family).to_lowercase();
            let _ = writeln!(out, "  {:<24} {family:<9} {}{state}", check.id, check.rule);
        }
    }
    if asked.has(SEAL) {
        let _ = writeln!(out, "\n{SEAL}\n  seals the evidence of the gates above when all of them are PASS");
    }
    for id in asked.left_out() {
        let _ = writeln!(out, "\n{id}: not selected");
    }
    let _ = writeln!(out, "\nNothing was run (exit {}).", exit::gate::PASS);
    out
}
