//! The budget ledger of one run: the worst case is reserved before a call and settled after it (HRD-30 to HRD-34).
//!
//! With a file it is an append-only journal that several processes share under a kept lock; in memory it is the same
//! accounting for a run inside one process. A crash leaves a reservation spent. Rows: [`contract::record::ledger`].

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::ledger::{LedgerEntry, LedgerLimits, ModelLimits};

use super::atomic::{Durability, Observer};
use super::error::StoreError;
use super::lock::LockPolicy;

mod account;
mod journal;

use account::Account;
pub use account::{Limit, Refusal, Totals};
use journal::Journal;

/// A ledger, shared by the threads of a process; several processes share one by its path.
#[derive(Debug)]
pub struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    account: Account,
    journal: Option<Journal>,
}

/// The limits that a calibration sets for one run.
#[must_use]
pub fn limits_of(calibration: &Calibration) -> LedgerLimits {
    let models = calibration.budget_limits.iter().map(|(model, budget)| {
        let limits = ModelLimits {
            cost_per_call_micro_usd: budget.max_per_call_usd.0,
            cost_per_run_micro_usd: budget.max_per_run_usd.0,
        };
        (model.clone(), limits)
    });
    LedgerLimits {
        cost_per_run_micro_usd: calibration.max_cost_per_run_usd.0,
        models: models.collect(),
        retries_per_run: calibration.max_retries_per_run,
        tokens_per_run: calibration.max_tokens_per_run,
    }
}

/// What is asked for before an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The call of the run.
    pub call: u64,
    /// The try of the call, from 1; each one above 1 is a retry.
    pub attempt: u64,
    /// The model.
    pub model: &'a str,
    /// Worst-case cost.
    pub cost: MicroUsd,
    /// Worst-case tokens.
    pub tokens: u64,
}

/// Money set aside. Lost without being settled it stays spent, which is what a crash means too.
#[derive(Debug)]
#[must_use = "a reservation that is not settled stays spent"]
pub struct Reservation {
    id: u64,
    /// The cost set aside.
    pub cost: MicroUsd,
    /// The tokens set aside.
    pub tokens: u64,
}

/// Why a ledger could not do what was asked. Nothing is charged then.
#[derive(Debug)]
pub enum LedgerError {
    /// A limit would be passed.
    Refused(Refusal),
    /// The shared folder failed.
    Store(StoreError),
}

impl Ledger {
    /// A ledger of this process alone: no file, no lock, nothing left after the run.
    #[must_use]
    pub fn in_memory(limits: LedgerLimits) -> Self {
        Self { book: Mutex::new(Book { account: Account::new(limits), journal: None }) }
    }

    /// Begins the journal at `path`, or joins the run that has begun it.
    ///
    /// # Errors
    /// When the file system shares no locks, the journal is damaged or has other limits, or the system refuses.
    pub fn open(
        path: &Path,
        limits: LedgerLimits,
        policy: LockPolicy,
        durability: Durability,
    ) -> Result<Self, LedgerError> {
        Self::open_observed(path, limits, policy, durability, Observer::default())
    }

    /// As [`Ledger::open`], telling `observer` of each step.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_observed(
        path: &Path,
        limits: LedgerLimits,
        policy: LockPolicy,
        durability: Durability,
        observer: Observer,
    ) -> Result<Self, LedgerError> {
        let mut account = Account::new(limits);
        let mut journal = Journal::open(path, policy, durability, observer)?;
        journal.locked(&mut account, "open ledger", |journal, account| journal.begin(account))?;
        Ok(Self { book: Mutex::new(Book { account, journal: Some(journal) }) })
    }

    /// Sets the worst case of an attempt aside. Limits are checked and the money is taken under one lock, so processes
    /// that share the run cannot overspend together.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] naming the limit, or the shared folder's failure; then nothing is charged.
    pub fn reserve(&self, request: &Request<'_>) -> Result<Reservation, LedgerError> {
        let mut id = 0;
        self.book().write("reserve", |account| {
            account.check(request).map_err(LedgerError::Refused)?;
            id = account.next_reservation();
            Ok(LedgerEntry::Reserve {
                reservation: id,
                call: request.call,
                attempt: request.attempt,
                model: request.model.to_owned(),
                cost_micro_usd: request.cost.0,
                tokens: request.tokens,
            })
        })?;
        Ok(Reservation { id, cost: request.cost, tokens: request.tokens })
    }

    /// Replaces a reservation by what the attempt really cost, which may be more.
    ///
    /// # Errors
    /// The shared folder's failure; the reservation then stays spent.
    pub fn settle(&self, reservation: Reservation, cost: MicroUsd, tokens: u64) -> Result<(), LedgerError> {
        let entry = LedgerEntry::Settle { reservation: reservation.id, cost_micro_usd: cost.0, tokens };
        self.book().write("settle", |_| Ok(entry))
    }

    /// What is charged so far, by all processes that share the run.
    ///
    /// # Errors
    /// When the journal cannot be read or is damaged.
    pub fn totals(&self) -> Result<Totals, LedgerError> {
        let mut book = self.book();
        let Book { account, journal } = &mut *book;
        if let Some(journal) = journal {
            journal.locked(account, "read ledger", |_, _| Ok(()))?;
        }
        Ok(account.totals())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Account and journal change only after a row is safely written, in calls that do not panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Decides on the newest state, writes the row down, and only then counts it.
    fn write(
        &mut self,
        purpose: &str,
        decide: impl FnOnce(&Account) -> Result<LedgerEntry, LedgerError>,
    ) -> Result<(), LedgerError> {
        let Self { account, journal } = self;
        match journal {
            None => {
                let entry = decide(account)?;
                account.apply(&entry).map_err(|reason| in_memory_fault(&reason))
            }
            Some(journal) => journal.locked(account, purpose, |journal, account| {
                let entry = decide(account)?;
                journal.append(account, entry)
            }),
        }
    }
}

fn in_memory_fault(reason: &str) -> LedgerError {
    LedgerError::Store(StoreError::invalid("write ledger", Path::new("(in memory)"), reason))
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Store(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
