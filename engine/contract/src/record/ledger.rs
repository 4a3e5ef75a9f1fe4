//! The budget journal of one run (`ledger.jsonl`): what was reserved before each attempt and settled after it.
//!
//! One canonical JSON row a line, appended under a lock by every process that shares the run. `trail` is the last key of
//! a row and chains it to all before: SHA-256 of the 32 bytes of the previous row's trail (zeros before the first)
//! followed by the canonical bytes of this row without `trail`. The total charged is the sum, over reservations, of
//! what the settling row says, or of the reservation itself where none follows, plus what `torn` rows say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, JsonError};
use crate::digest::Digest;

/// The value of `schema` in the first row.
pub const SCHEMA: &str = "proofhouse.ledger/1";

/// One row without its trail. `seq` counts rows from 0 without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRow {
    /// What happened.
    pub entry: LedgerEntry,
    /// Position in the journal.
    pub seq: u64,
}

/// What happened. Amounts are micro-dollars and tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LedgerEntry {
    /// The first row, and only that: the limits of the run.
    Open {
        /// [`SCHEMA`].
        schema: String,
        /// What the run may spend.
        limits: LedgerLimits,
    },
    /// Before an attempt: its worst case. `attempt` is 1 for the first; every further one is a retry.
    Reserve {
        /// Number of the reservation, from 0 without a gap.
        reservation: u64,
        /// The call of the run.
        call: u64,
        /// The try of the call, from 1.
        attempt: u64,
        /// The model.
        model: String,
        /// Worst-case cost in micro-dollars.
        cost_micro_usd: u64,
        /// Worst-case tokens.
        tokens: u64,
    },
    /// After an attempt: what it really cost. At most one a reservation.
    Settle {
        /// The reservation that this replaces.
        reservation: u64,
        /// Real cost in micro-dollars; it may be above the reservation.
        cost_micro_usd: u64,
        /// Real tokens.
        tokens: u64,
    },
    /// Stands where a writer was stopped in the middle of a row. Such a row was never acknowledged; if it was a
    /// reservation whose amount can be read, it is charged all the same.
    Torn {
        /// Length of the piece in bytes.
        bytes: u64,
        /// The piece, with replacement characters where it is no UTF-8, cut to 1,000 characters.
        text: String,
        /// Charged for it, in micro-dollars.
        cost_micro_usd: u64,
    },
}

/// What a run may spend. Each limit is inclusive: exactly at the limit is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerLimits {
    /// Whole run over all models, in micro-dollars.
    pub cost_per_run_micro_usd: u64,
    /// Models that may be used, with their own limits; any other model is refused.
    pub models: BTreeMap<String, ModelLimits>,
    /// Attempts beyond the first of their call, whole run.
    pub retries_per_run: u64,
    /// Tokens, whole run.
    pub tokens_per_run: u64,
}

/// What one model may spend, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelLimits {
    /// One attempt.
    pub cost_per_call_micro_usd: u64,
    /// Whole run.
    pub cost_per_run_micro_usd: u64,
}

/// The trail before the first row.
pub const NO_TRAIL: Digest = Digest::from_bytes([0; 32]);

/// The line of `row` after a row with trail `previous`, LF included, and its own trail.
///
/// # Errors
/// When an amount is beyond 2^53.
pub fn to_line(previous: Digest, row: &LedgerRow) -> Result<(Vec<u8>, Digest), JsonError> {
    let mut line = canonical::to_bytes(row)?;
    let trail = trail_after(previous, &line);
    // `trail` sorts behind `entry` and `seq`, so the canonical form ends with it.
    line.pop();
    line.extend_from_slice(format!(",\"trail\":\"{trail}\"}}\n").as_bytes());
    Ok((line, trail))
}

/// Reads one line (without its LF) and checks its trail against the one before.
///
/// # Errors
/// What is wrong with the line, as a fragment.
pub fn read_line(previous: Digest, line: &[u8]) -> Result<(LedgerRow, Digest), String> {
    let mut value = canonical::parse_evidence(line).map_err(|error| error.to_string())?;
    let stored = value.as_object_mut().and_then(|fields| fields.remove("trail"));
    let stored = stored.as_ref().and_then(|trail| trail.as_str()).and_then(Digest::parse).ok_or("no trail")?;
    let bytes = canonical::to_bytes(&value).map_err(|error| error.to_string())?;
    if trail_after(previous, &bytes) != stored {
        return Err("the trail does not follow from the rows before".into());
    }
    let row = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok((row, stored))
}

fn trail_after(previous: Digest, row: &[u8]) -> Digest {
    let mut chained = Vec::with_capacity(32 + row.len());
    chained.extend_from_slice(previous.bytes());
    chained.extend_from_slice(row);
    Digest::of(&chained)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(seq: u64) -> LedgerRow {
        LedgerRow { entry: LedgerEntry::Settle { reservation: 0, cost_micro_usd: 150, tokens: 7 }, seq }
    }

    #[test]
    fn lines_are_canonical_and_chained() {
        let (line, first) = to_line(NO_TRAIL, &settle(0)).expect("small numbers");
        let value = canonical::parse_evidence(&line).expect("strict JSON");
        assert_eq!(canonical::to_bytes(&value).expect("finite"), line[..line.len() - 1]);
        let (second, _) = to_line(first, &settle(1)).expect("small numbers");
        assert_eq!(read_line(first, &second[..second.len() - 1]).map(|(row, _)| row), Ok(settle(1)));
        assert!(read_line(NO_TRAIL, &second[..second.len() - 1]).is_err(), "a row was taken out");
        let edited = String::from_utf8_lossy(&line).replace("150", "151");
        assert!(read_line(NO_TRAIL, edited.trim_end().as_bytes()).is_err(), "a row was edited");
    }
}
