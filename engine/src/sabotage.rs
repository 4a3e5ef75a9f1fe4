//! Seams where a named defect can be switched on, to prove that a check can fail.
//!
//! `sabotage!("name")` is the constant `false` in every normal build, and its name is not in the binary. Built with the
//! feature `sabotage` it is true when `PROOFHOUSE_SABOTAGE` holds that name. The seams lie in store, pipeline, provider
//! and workload code: never in drills or records, which would only prove that a forged observation is believed.

/// Whether the named defect is on. `false` at compile time without the feature `sabotage`.
#[cfg(not(feature = "sabotage"))]
#[macro_export]
macro_rules! sabotage {
    ($name:literal) => {
        false
    };
}

/// Whether the named defect is on. `false` at compile time without the feature `sabotage`.
#[cfg(feature = "sabotage")]
#[macro_export]
macro_rules! sabotage {
    ($name:literal) => {
        $crate::sabotage::active(concat!("sabotage:", $name))
    };
}

/// Whether `PROOFHOUSE_SABOTAGE` names this defect. `marker` starts with `sabotage:`, so that a search of a binary for
/// that word finds every seam of a sabotage build, and none of a normal one.
#[cfg(feature = "sabotage")]
#[must_use]
pub fn active(marker: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("PROOFHOUSE_SABOTAGE").ok());
    chosen.as_deref().is_some_and(|name| marker.strip_prefix("sabotage:") == Some(name))
}
