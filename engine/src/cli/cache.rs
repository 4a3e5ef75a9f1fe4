//! `engine cache`: verify, count, evict and sweep a cache folder, also while other processes use it (HRD-23).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use contract::digest::Digest;
use contract::exit::engine as exit;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::ending::{Refusal, print_result};
use crate::cli::policy;
use crate::clock::{Clock, UtcMillis};
use crate::store::atomic::{Durability, Observer};
use crate::store::cache::Cache as Store;
use crate::store::lock::LockPolicy;
use crate::store::sweep::sweep;

/// `engine cache`.
#[derive(Args, Debug)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Read every entry as a caller would; damaged ones are moved to quarantine/ and counted
    Verify(Folder),
    /// Count entries, bytes, quarantined entries, locks and temporaries without reading them
    Stats(Folder),
    /// Remove entries, one by one under their locks
    Evict(Evict),
    /// Remove locks and temporaries that killed processes left
    Sweep(Folder),
}

#[derive(Args, Debug)]
struct Folder {
    /// The cache folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Bounds of lock waits come from here [default: $PROOFHOUSE_CALIBRATION, else the nearest gates/policy]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Evict {
    #[command(flatten)]
    at: Folder,
    /// An entry, by its key; may be repeated
    #[arg(long, value_name = "DIGEST", value_parser = key, required_unless_present_any = ["older_than_s", "all"])]
    key: Vec<Digest>,
    /// Every entry that was stored longer ago than this many seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "key")]
    older_than_s: Option<u64>,
    /// Every entry
    #[arg(long, conflicts_with_all = ["key", "older_than_s"])]
    all: bool,
}

fn key(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a key is 64 lower-case hex digits".to_owned())
}

/// A result: its reason word, its exit code and its facts.
struct Done {
    reason: &'static str,
    code: u8,
    facts: Map<String, Value>,
}

impl Cache {
    pub(super) fn run(self) -> ExitCode {
        let (json, done) = match self.action {
            Action::Verify(at) => (at.json, at.with_cache(verify)),
            Action::Stats(at) => (at.json, at.with_cache(|cache| done("counted", &cache.stats()?))),
            Action::Evict(evict) => (evict.at.json, evict.at.with_cache(|cache| evict.run(cache))),
            Action::Sweep(at) => (at.json, at.with_cache(|_| done("swept", &sweep(&at.folder, &Observer::default())?))),
        };
        match done {
            Ok(done) => done.report(json),
            Err(refusal) => refusal.report(json),
        }
    }
}

impl Done {
    fn report(mut self, json: bool) -> ExitCode {
        let mut lines: Vec<String> = self.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        lines.push(self.reason.to_owned());
        self.facts.insert("exit_code".into(), self.code.into());
        self.facts.insert("reason".into(), self.reason.into());
        print_result(json, &Value::Object(self.facts), &lines);
        ExitCode::from(self.code)
    }
}

/// A good result with the counts of `facts`.
fn done(reason: &'static str, facts: &impl Serialize) -> Result<Done, Refusal> {
    match serde_json::to_value(facts) {
        Ok(Value::Object(facts)) => Ok(Done { reason, code: exit::GOOD, facts }),
        other => Err(Refusal::store(format!("the result has no JSON form: {other:?}"))),
    }
}

fn verify(cache: &Store) -> Result<Done, Refusal> {
    let verified = cache.verify()?;
    let done = done("verified", &verified)?;
    match verified.quarantined {
        0 => Ok(done),
        _ => Ok(Done { reason: "quarantined", code: exit::FAILURE, ..done }),
    }
}

impl Evict {
    fn run(&self, cache: &Store) -> Result<Done, Refusal> {
        let evicted = match self.older_than_s {
            Some(seconds) => {
                let now = Clock::real().now().0;
                cache.evict_stored_before(UtcMillis(now.saturating_sub(seconds.saturating_mul(1000))))?
            }
            None => {
                let keys = if self.all { cache.keys()? } else { self.key.clone() };
                keys.iter().try_fold(0, |count, key| cache.evict(key).map(|was_there| count + u64::from(was_there)))?
            }
        };
        done("evicted", &json!({ "evicted": evicted }))
    }
}

impl Folder {
    fn with_cache(&self, work: impl FnOnce(&Store) -> Result<Done, Refusal>) -> Result<Done, Refusal> {
        let policy = LockPolicy::from(&policy::calibration(self.calibration.as_deref())?.calibration);
        // Opening would make the folder, and an empty cache verifies: a mistyped path must not read as a good one.
        if !self.folder.is_dir() {
            return Err(Refusal::usage(format!("`{}` is no folder", self.folder.display())));
        }
        work(&Store::open(&self.folder, policy, Durability::Full, Clock::real())?)
    }
}
