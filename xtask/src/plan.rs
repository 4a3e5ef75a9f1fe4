//! The plan of a run as a value: computed whole, written into the run folder, printed by `--plan`, and only then acted on.

use std::collections::BTreeMap;

use contract::plan::{DrillPlan, Plan};
use contract::seed::Seed;
use gates::gate;

use crate::failure::Failure;
use crate::foresight;
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

/// What `--plan` prints: policy, then each gate with its drills and checks. `seconds` is how long phases took last.
pub(crate) fn text(plans: &[Plan], asked: &Asked, loaded: &Loaded, seconds: &BTreeMap<String, f64>) -> String {
    let policy = &loaded.policy;
    let seed = plans.first().map_or_else(String::new, |plan| format!(", seed 0x{}", plan.master_seed));
    let mut out = vec![format!("profile {}, policy {}{seed}", policy.file.profile, policy.digest)];
    out.push(format!("limits: {}; the others: cargo xtask config show", scalars(loaded)));
    out.extend(policy.file.loosened.iter().map(ToString::to_string));
    for plan in plans {
        out.push(String::new());
        gate_lines(plan, asked, loaded, seconds, &mut out);
    }
    if asked.has(SEAL) {
        out.push(format!("\n{SEAL}\n  seals the evidence of the gates above when all of them are PASS"));
    }
    out.extend(asked.left_out().iter().map(|id| format!("\n{id}: not selected")));
    let of_gates = |name: &&String| plans.iter().any(|plan| name.starts_with(&plan.gate)) || asked.has(PREFLIGHT);
    let expected: f64 = seconds.iter().filter(|(name, _)| of_gates(name)).map(|(_, s)| s).sum();
    out.push(match seconds.is_empty() {
        true => "\nexpected: unknown before the first run; dev is to need at most 30 s beside cargo's own time".into(),
        false => format!("\nexpected: {expected:.0} s, as long as the same phases took last"),
    });
    out.push("nothing was run\n".into());
    out.join("\n")
}

fn gate_lines(plan: &Plan, asked: &Asked, loaded: &Loaded, seconds: &BTreeMap<String, f64>, out: &mut Vec<String>) {
    out.push(plan.gate.clone());
    let Some(gate) = gate::find(&plan.gate) else {
        out.push("  no check is registered: NO_EVIDENCE".into());
        return;
    };
    out.push(format!("  {}", gate.claim));
    for drill in &plan.drills {
        let scenario = if drill.scenario.is_empty() { String::new() } else { format!(" {}", drill.scenario) };
        let seeds = |last: u64| format!(": n {}, seeds 0x{} … 0x{}", drill.runs, plan.seed(0), plan.seed(last));
        let runs = drill.runs.checked_sub(1).map_or_else(String::new, seeds);
        let took = seconds.get(&format!("{} drill {}", plan.gate, drill.drill));
        let took = took.map_or_else(String::new, |seconds| format!(", {seconds:.1} s last"));
        out.push(format!("  drill {}{scenario}{runs}{took}", drill.drill));
    }
    let n = plan.drills.iter().map(|drill| drill.runs).max().unwrap_or(0);
    for check in gate.checks {
        let state = if asked.wants(check.id) { "" } else { " (not selected)" };
        let family = format!("{:?}", check.family).to_lowercase();
        out.push(format!("  {:<24} {family:<9} {}{state}", check.id, check.rule));
        out.push(format!("  {:<34} sees: {}", "", foresight::smallest_change(check, n, &loaded.policy)));
    }
}

/// Every number at the top of the policy, so that few limits have to be looked up to read a plan.
fn scalars(loaded: &Loaded) -> String {
    let fields = loaded.policy.file.values.as_object();
    let scalars = fields.into_iter().flatten().filter(|(_, value)| value.is_number());
    scalars.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}
