//! Exit codes, documented once. A script may rely on them: they are only ever added to.

/// Exit codes of `cargo xtask gate` and every other xtask command but `judge` and `proofpack`.
pub mod gate {
    /// Every selected gate proven.
    pub const PASS: u8 = 0;
    /// A hard rule is disproved or a test failed.
    pub const FAIL: u8 = 1;
    /// Usage or policy error.
    pub const USAGE: u8 = 2;
    /// The report says how many more runs.
    pub const INCONCLUSIVE: u8 = 3;
    /// Nothing ran, or a shard is missing.
    pub const NO_EVIDENCE: u8 = 4;
    /// A shard, one index, or a run with a loosened limit.
    pub const PARTIAL: u8 = 5;
    /// Evidence hash mismatch, or a sabotage not caught.
    pub const INTEGRITY: u8 = 7;
    /// Internal error (panic).
    pub const INTERNAL: u8 = 70;
    /// A needed program is missing; retry helps.
    pub const INFRASTRUCTURE: u8 = 75;
    /// The code does not build.
    pub const BUILD: u8 = 101;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 130;

    /// Which code stands when several apply: the one that comes first here.
    pub const PRECEDENCE: [u8; 9] =
        [INTEGRITY, USAGE, BUILD, FAIL, INTERNAL, INFRASTRUCTURE, NO_EVIDENCE, INCONCLUSIVE, PARTIAL];
}

/// Exit codes of `proofpack` and `judge`.
pub mod proofpack {
    /// All requested checks passed.
    pub const OK: u8 = 0;
    /// The pack is broken, or its verdict is not what its evidence says.
    pub const BROKEN: u8 = 1;
    /// Usage or input error.
    pub const USAGE: u8 = 2;
    /// Signature or attestation missing, malformed or untrusted.
    pub const UNTRUSTED: u8 = 3;
    /// Intact, but the derived verdict is not PASS.
    pub const NOT_PASS: u8 = 4;
    /// Replay fell short of what was expected.
    pub const REPLAY: u8 = 5;
    /// Evidence or rule missing for the verdict.
    pub const UNDERIVABLE: u8 = 6;

    /// Which code stands when several failures apply: the one that comes first here.
    pub const PRECEDENCE: [u8; 6] = [USAGE, BROKEN, UNTRUSTED, UNDERIVABLE, REPLAY, NOT_PASS];
}

/// Exit codes of `engine`.
pub mod engine {
    /// The result is good.
    pub const GOOD: u8 = 0;
    /// The result is a failure: hard rule, budget, KPI gate, safety block, verification difference.
    pub const FAILURE: u8 = 1;
    /// Usage, input, data or policy is wrong; nothing was done.
    pub const USAGE: u8 = 2;
    /// Could not be done after bounded effort; what exists is kept and marked partial.
    pub const UNAVAILABLE: u8 = 3;
    /// Stopped by its own hard limit.
    pub const STOPPED: u8 = 4;
    /// Internal error.
    pub const INTERNAL: u8 = 70;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 130;
}

/// The code that stands when several apply; 0 when `codes` holds none of `precedence`.
#[must_use]
pub fn worst(precedence: &[u8], codes: &[u8]) -> u8 {
    precedence.iter().copied().find(|code| codes.contains(code)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_stands() {
        assert_eq!(worst(&gate::PRECEDENCE, &[gate::PARTIAL, gate::FAIL, gate::INTEGRITY]), gate::INTEGRITY);
        assert_eq!(worst(&gate::PRECEDENCE, &[gate::INCONCLUSIVE, gate::NO_EVIDENCE]), gate::NO_EVIDENCE);
        assert_eq!(worst(&gate::PRECEDENCE, &[0, 0]), 0);
    }
}
