//! One scenario as the drill left it: its row, its cost reports, its journal and the calibration that it was given.

use std::collections::BTreeMap;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::{RunCost, ViolationKind};
use contract::record::ledger::{self, LedgerEntry, LedgerRow};

use super::MATRIX;
use crate::check::{NotRun, Place, Unjudged, Violation};
use crate::evidence::{Context, Rows};

/// The rows of the matrix.
pub(super) struct Matrix {
    pub(super) rows: Rows<BudgetCase>,
}

/// A scenario that ran.
pub(super) struct Scenario {
    pub(super) case: BudgetCase,
    /// One a process.
    pub(super) costs: Vec<(Place, RunCost)>,
    pub(super) ledger: Vec<LedgerRow>,
    pub(super) ledger_place: Place,
    pub(super) calibration: Calibration,
}

/// What a journal says was spent and reserved.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Spent {
    /// Most that was ever settled and reserved together.
    pub(super) peak: u64,
    /// Settled amounts plus reservations that were never settled.
    pub(super) total: u64,
    /// Reservations that were never settled.
    pub(super) open: u64,
    /// The dearest reservation.
    pub(super) dearest: u64,
}

impl Matrix {
    pub(super) fn read(context: &Context<'_>) -> Result<Self, Unjudged> {
        Ok(Self { rows: context.rows(MATRIX)? })
    }

    /// Rows about one claim, and those of it that could not be made.
    pub(super) fn of(&self, claim: Claim) -> (Vec<(u64, &BudgetCase)>, Vec<NotRun>) {
        let of_claim = self.rows.rows.iter().filter(|(_, case)| case.claim == claim);
        let (made, left): (Vec<_>, Vec<_>) = of_claim.partition(|(_, case)| case.not_run.is_none());
        let not_run = left
            .iter()
            .filter_map(|(_, case)| Some(NotRun { row: case.scenario.clone(), reason: case.not_run.clone()? }));
        (made.iter().map(|(line, case)| (*line, case)).collect(), not_run.collect())
    }

    /// Violations of `made` rows by `broken`.
    pub(super) fn broken(
        &self,
        made: &[(u64, &BudgetCase)],
        broken: impl Fn(&BudgetCase) -> Option<String>,
    ) -> Vec<Violation> {
        let found = made.iter().filter_map(|(line, case)| Some((line, broken(case)?)));
        found.map(|(line, what)| Violation { what, place: self.rows.at(*line) }).collect()
    }
}

impl Scenario {
    pub(super) fn read(context: &Context<'_>, case: &BudgetCase) -> Result<Self, Unjudged> {
        let folder = format!("scenarios/{}", case.scenario);
        let mut costs = Vec::new();
        for name in context.names_below(&folder).iter().filter(|name| name.starts_with(&format!("{folder}/run-cost"))) {
            let file = context.file::<RunCost>(name)?;
            costs.extend(file.rows.into_iter().map(|(_, cost)| (file.place.clone(), cost)));
        }
        let (place, bytes) = context.bytes(&format!("{folder}/calibration.json"))?;
        let calibration =
            Calibration::parse(bytes).map_err(|error| Unjudged::NoEvidence { place, reason: error.to_string() })?;
        let (ledger_place, ledger) = read_ledger(context, &format!("{folder}/ledger.jsonl"))?;
        if costs.is_empty() {
            let place = Place { path: format!("evidence/{}/{folder}/run-cost.json", context.gate), ..ledger_place };
            return Err(Unjudged::NoEvidence { place, reason: "is missing".into() });
        }
        Ok(Self { case: case.clone(), costs, ledger, ledger_place, calibration })
    }

    /// Kinds of violation that the reports list.
    pub(super) fn violations(&self) -> impl Iterator<Item = &contract::record::cost::Violation> {
        self.costs.iter().flat_map(|(_, cost)| &cost.violations)
    }

    /// The limit that the scenario is about, in the unit of its kind: micro-dollars for money.
    pub(super) fn limit(&self) -> Result<u64, Unjudged> {
        let no = |reason: &str| Unjudged::NoEvidence {
            place: self.ledger_place.clone(),
            reason: format!("{}: {reason}", self.case.scenario),
        };
        let key = self.case.key.as_deref().ok_or_else(|| no("names no key of the calibration"))?;
        let values = self.calibration.to_value().map_err(|error| no(&error.to_string()))?;
        let value = values.pointer(key).ok_or_else(|| no(&format!("{key} is no key of its calibration")))?;
        let money = key.to_ascii_lowercase().ends_with("usd");
        let limit = if money { value.as_f64().and_then(MicroUsd::from_usd).map(|usd| usd.0) } else { value.as_u64() };
        limit.ok_or_else(|| no(&format!("{key} is no limit")))
    }

    /// What the rows reach of the limit of `kind`, in its unit.
    pub(super) fn reached(&self, kind: ViolationKind) -> u64 {
        let calls = || self.costs.iter().flat_map(|(_, cost)| &cost.calls);
        let key = self.case.key.as_deref().unwrap_or("");
        match kind {
            ViolationKind::CostPerCall => calls()
                .flat_map(|call| {
                    let before = |n: usize| call.charges.iter().take(n).map(|charge| charge.cost_usd.0).sum::<u64>();
                    call.charges.iter().enumerate().map(move |(n, charge)| before(n) + charge.reserved_cost_usd.0)
                })
                .max()
                .unwrap_or(0),
            ViolationKind::CostPerRun => {
                let model = key.strip_prefix("/BUDGET_LIMITS/").and_then(|rest| rest.split('/').next());
                spent(&self.ledger, model, Amount::Money).peak
            }
            ViolationKind::TokensPerRun => spent(&self.ledger, None, Amount::Tokens).peak,
            ViolationKind::RetriesPerRun => {
                let retries = self
                    .ledger
                    .iter()
                    .filter(|row| matches!(row.entry, LedgerEntry::Reserve { attempt, .. } if attempt > 1));
                retries.count() as u64
            }
            ViolationKind::LatencyPerCall => calls().map(|call| call.latency_ms).max().unwrap_or(0),
            ViolationKind::LatencyPerRun if key.contains("DURATION") => {
                self.costs.iter().map(|(_, cost)| cost.duration_ms).max().unwrap_or(0)
            }
            ViolationKind::LatencyPerRun => calls().map(|call| call.latency_ms).sum(),
            ViolationKind::UsageMissing => self.violations().filter(|violation| violation.kind == kind).count() as u64,
        }
    }
}

/// What a journal is summed over.
#[derive(Clone, Copy)]
pub(super) enum Amount {
    /// Micro-dollars.
    Money,
    /// Tokens.
    Tokens,
}

/// Walks a journal; with a model, over its rows alone.
pub(super) fn spent(ledger: &[LedgerRow], model: Option<&str>, amount: Amount) -> Spent {
    let mut open: BTreeMap<u64, u64> = BTreeMap::new();
    let mut out = Spent::default();
    let mut settled = 0_u64;
    for row in ledger {
        match &row.entry {
            LedgerEntry::Reserve { reservation, model: of, cost_micro_usd, tokens, .. }
                if model.is_none_or(|model| model == of) =>
            {
                let worst = match amount {
                    Amount::Money => *cost_micro_usd,
                    Amount::Tokens => *tokens,
                };
                out.dearest = out.dearest.max(worst);
                open.insert(*reservation, worst);
            }
            LedgerEntry::Settle { reservation, cost_micro_usd, tokens } => {
                // A settlement of another model's reservation, or a second one, changes nothing here.
                let counts = open.remove(reservation).is_some();
                settled += match amount {
                    Amount::Money if counts => *cost_micro_usd,
                    Amount::Tokens if counts => *tokens,
                    _ => 0,
                };
            }
            LedgerEntry::Torn { cost_micro_usd, .. } if model.is_none() => {
                if let Amount::Money = amount {
                    settled += cost_micro_usd;
                }
            }
            _ => {}
        }
        out.peak = out.peak.max(settled + open.values().sum::<u64>());
    }
    out.open = open.len() as u64;
    out.total = settled + open.values().sum::<u64>();
    out
}

/// Reads a journal and checks its chain: a row that was edited, taken out or put in is forged evidence.
fn read_ledger(context: &Context<'_>, name: &str) -> Result<(Place, Vec<LedgerRow>), Unjudged> {
    let (place, bytes) = context.bytes(name)?;
    let mut trail = ledger::NO_TRAIL;
    let mut rows: Vec<LedgerRow> = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let at = Place { line: Some(index as u64 + 1), ..place.clone() };
        let (row, next) =
            ledger::read_line(trail, line).map_err(|reason| Unjudged::Integrity { place: at.clone(), reason })?;
        if row.seq != rows.len() as u64 {
            return Err(Unjudged::Integrity {
                place: at,
                reason: format!("row {} stands at position {}", row.seq, rows.len()),
            });
        }
        trail = next;
        rows.push(row);
    }
    Ok((place, rows))
}
