//! The accounting of a ledger, without files: what is charged, what is still reserved, and which limit stops the next.

use std::collections::BTreeMap;
use std::fmt;

use contract::money::MicroUsd;
use contract::record::ledger::{LedgerEntry, LedgerLimits, SCHEMA};

use super::Request;

/// The limit that a reservation would pass. The names in evidence are the snake-case ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The model has no price here, so nothing may be spent on it.
    UnknownModel,
    /// One attempt of the model, in micro-dollars.
    CostPerCall,
    /// All attempts of the model, in micro-dollars.
    ModelCostPerRun,
    /// All attempts of all models, in micro-dollars.
    CostPerRun,
    /// All tokens of the run.
    TokensPerRun,
    /// All attempts beyond the first of their call.
    RetriesPerRun,
}

impl Limit {
    /// The name used in reports and evidence; the two limits on the cost of a run are one kind there.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnknownModel => "unknown_model",
            Self::CostPerCall => "cost_per_call",
            Self::ModelCostPerRun | Self::CostPerRun => "cost_per_run",
            Self::TokensPerRun => "tokens_per_run",
            Self::RetriesPerRun => "retries_per_run",
        }
    }
}

/// A reservation that was refused before anything was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit.
    pub limit: Limit,
    /// The model that was asked for.
    pub model: String,
    /// What the total would have been, in the unit of the limit.
    pub value: u64,
    /// The most that is allowed, in the same unit; 0 for an unknown model.
    pub allowed: u64,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, model, value, allowed } = self;
        match limit {
            Limit::UnknownModel => write!(f, "unknown_model: `{model}` has no price in the calibration"),
            Limit::CostPerCall | Limit::ModelCostPerRun | Limit::CostPerRun => {
                let (value, allowed) = (MicroUsd(*value), MicroUsd(*allowed));
                write!(f, "{}: {value} USD would pass the limit of {allowed} USD (`{model}`)", limit.word())
            }
            Limit::TokensPerRun | Limit::RetriesPerRun => {
                write!(f, "{}: {value} would pass the limit of {allowed}", limit.word())
            }
        }
    }
}

/// What a run has been charged, open reservations in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All models.
    pub cost: MicroUsd,
    /// Each model that was used.
    pub model_costs: BTreeMap<String, MicroUsd>,
    /// All tokens.
    pub tokens: u64,
    /// Reservations made.
    pub attempts: u64,
    /// Reservations of an attempt beyond the first of its call.
    pub retries: u64,
    /// Reservations not settled.
    pub open: u64,
}

/// The state after some rows.
#[derive(Clone, Debug)]
pub(super) struct Account {
    limits: LedgerLimits,
    totals: Totals,
    open: BTreeMap<u64, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    model: String,
    cost: MicroUsd,
    tokens: u64,
}

impl Account {
    pub(super) fn new(limits: LedgerLimits) -> Self {
        Self { limits, totals: Totals::default(), open: BTreeMap::new() }
    }

    pub(super) fn limits(&self) -> &LedgerLimits {
        &self.limits
    }

    pub(super) fn totals(&self) -> Totals {
        Totals { open: self.open.len() as u64, ..self.totals.clone() }
    }

    pub(super) fn next_reservation(&self) -> u64 {
        self.totals.attempts
    }

    /// Refuses what would pass a limit; exactly at the limit is allowed.
    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let refuse = |limit, value, allowed| Refusal { limit, model: request.model.to_owned(), value, allowed };
        let Some(model) = self.limits.models.get(request.model) else {
            return Err(refuse(Limit::UnknownModel, 0, 0));
        };
        let totals = &self.totals;
        let spent_on_model = totals.model_costs.get(request.model).copied().unwrap_or(MicroUsd(0));
        let would_be = [
            (Limit::CostPerCall, request.cost.0, model.cost_per_call_micro_usd),
            (Limit::ModelCostPerRun, spent_on_model.plus(request.cost).0, model.cost_per_run_micro_usd),
            (Limit::CostPerRun, totals.cost.plus(request.cost).0, self.limits.cost_per_run_micro_usd),
            (Limit::TokensPerRun, totals.tokens.saturating_add(request.tokens), self.limits.tokens_per_run),
            (Limit::RetriesPerRun, totals.retries + u64::from(request.attempt > 1), self.limits.retries_per_run),
        ];
        match would_be.into_iter().find(|(_, value, allowed)| passes(*value, *allowed)) {
            Some((limit, value, allowed)) => Err(refuse(limit, value, allowed)),
            None => Ok(()),
        }
    }

    /// Whether a row can follow those before.
    ///
    /// # Errors
    /// Why it cannot: the journal is damaged, or a reservation is settled that is not of this run.
    pub(super) fn follows(&self, entry: &LedgerEntry) -> Result<(), String> {
        match entry {
            LedgerEntry::Open { schema, limits } => self.opened(schema, limits),
            LedgerEntry::Reserve { reservation, .. } if *reservation != self.next_reservation() => {
                Err(format!("reservation {reservation} where {} is next", self.next_reservation()))
            }
            LedgerEntry::Settle { reservation, .. } if !self.open.contains_key(reservation) => {
                Err(format!("reservation {reservation} is not open"))
            }
            LedgerEntry::Reserve { .. } | LedgerEntry::Settle { .. } | LedgerEntry::Torn { .. } => Ok(()),
        }
    }

    /// Counts a row that was written down.
    ///
    /// # Errors
    /// As [`Account::follows`]; nothing is counted then.
    pub(super) fn apply(&mut self, entry: &LedgerEntry) -> Result<(), String> {
        self.follows(entry)?;
        match entry {
            LedgerEntry::Open { .. } => {}
            LedgerEntry::Reserve { reservation, attempt, model, cost_micro_usd, tokens, .. } => {
                let open = Open { model: model.clone(), cost: MicroUsd(*cost_micro_usd), tokens: *tokens };
                self.totals.attempts += 1;
                self.totals.retries += u64::from(*attempt > 1);
                self.charge(model, open.cost, open.tokens);
                self.open.insert(*reservation, open);
            }
            LedgerEntry::Settle { reservation, cost_micro_usd, tokens } => {
                if let Some(open) = self.open.remove(reservation) {
                    self.refund(&open);
                    self.charge(&open.model, MicroUsd(*cost_micro_usd), *tokens);
                }
            }
            LedgerEntry::Torn { cost_micro_usd, .. } => {
                self.totals.cost = self.totals.cost.plus(MicroUsd(*cost_micro_usd));
            }
        }
        Ok(())
    }

    fn opened(&self, schema: &str, limits: &LedgerLimits) -> Result<(), String> {
        if schema != SCHEMA {
            return Err(format!("schema `{schema}` is not `{SCHEMA}`"));
        }
        if *limits != self.limits {
            return Err("the run was begun with other limits".into());
        }
        Ok(())
    }

    fn charge(&mut self, model: &str, cost: MicroUsd, tokens: u64) {
        let totals = &mut self.totals;
        totals.cost = totals.cost.plus(cost);
        totals.tokens = totals.tokens.saturating_add(tokens);
        match totals.model_costs.get_mut(model) {
            Some(spent) => *spent = spent.plus(cost),
            None => drop(totals.model_costs.insert(model.to_owned(), cost)),
        }
    }

    fn refund(&mut self, open: &Open) {
        let totals = &mut self.totals;
        // Saturating sums never count less than what is refunded, so these cannot go below what others have spent.
        totals.cost.0 = totals.cost.0.saturating_sub(open.cost.0);
        totals.tokens = totals.tokens.saturating_sub(open.tokens);
        if let Some(spent) = totals.model_costs.get_mut(&open.model) {
            spent.0 = spent.0.saturating_sub(open.cost.0);
        }
    }
}

fn passes(value: u64, allowed: u64) -> bool {
    let allowed = if crate::sabotage!("limit-off-by-one") { allowed.saturating_add(1) } else { allowed };
    value > allowed
}
