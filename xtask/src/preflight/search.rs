//! Searches the tracked files: absolute paths, the patterns of the code audit, and the files of the inventory.

use std::collections::BTreeMap;
use std::path::Path;

use contract::digest::Digest;
use contract::record::preflight::{AuditOutcome, PathFinding};
use gates::proofpack::leak::portable;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::gate::Run;
use crate::progress::Progress;

/// What the tracked files hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files_searched: u64,
    pub(super) path_findings: Vec<PathFinding>,
    pub(super) audit: Vec<AuditOutcome>,
}

/// `code-audit.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Audit {
    #[expect(dead_code, reason = "required, so that a file of another kind is refused")]
    schema: String,
    patterns: Vec<Pattern>,
}

/// Text that must, or must not, stand somewhere. It is plain text and no expression: a reviewer sees what it matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    id: String,
    kind: Kind,
    pattern: String,
    /// Files, or folders that end in `/`.
    r#where: Vec<String>,
    /// Files in these folders that are left out.
    except: Vec<String>,
    #[expect(dead_code, reason = "for those who read the file, and for the judge")]
    why: String,
    /// Text that must trip the pattern: it holds a forbidden one, or lacks a required one.
    sample: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Required,
    Forbidden,
}

/// Reads every tracked file once. Outside a repository none is tracked, and nothing is found or claimed.
///
/// # Errors
/// Git fails, a file cannot be read, or the audit list is malformed.
pub(super) fn tracked_files(run: &Run, progress: &mut Progress) -> Result<Found, Failure> {
    let audit = audit_of(&run.loaded.policy.file.code_audit)?;
    let mut found = Found::default();
    found.audit.extend(audit.patterns.iter().map(|pattern| AuditOutcome {
        id: pattern.id.clone(),
        found: Vec::new(),
        sample_tripped: pattern.trips_its_sample(),
    }));
    if !run.source.repository {
        return Ok(found);
    }
    for name in run.space.tracked(progress)? {
        progress.tick();
        let Some(bytes) = read_regular(&run.space.root.join(&name))? else { continue };
        found.files_searched += 1;
        let rows = portable::rows(&name, &bytes);
        found.path_findings.extend(rows.into_iter().map(|row| PathFinding {
            file: row.file,
            line: row.line,
            rule: row.rule,
        }));
        for (pattern, outcome) in audit.patterns.iter().zip(&mut found.audit) {
            if pattern.covers(&name) {
                let text = String::from_utf8_lossy(&bytes);
                let lines = text.lines().zip(1..).filter(|(line, _)| line.contains(&pattern.pattern));
                outcome.found.extend(lines.map(|(_, number)| format!("{name}:{number}")));
            }
        }
    }
    Ok(found)
}

/// The digest of each file of the inventory; none for one that is not there.
///
/// # Errors
/// A file is there and cannot be read.
pub(super) fn inventory(run: &Run) -> Result<BTreeMap<String, Option<Digest>>, Failure> {
    let files = run.loaded.policy.file.inventory.get("files").and_then(Value::as_array);
    let names = files.into_iter().flatten().filter_map(Value::as_str);
    let digest = |name: &str| {
        let bytes = read_regular(&run.space.root.join(name))?;
        Ok((name.to_owned(), bytes.as_deref().map(Digest::of)))
    };
    names.map(digest).collect()
}

fn audit_of(value: &Value) -> Result<Audit, Failure> {
    Audit::deserialize(value).map_err(|error| Failure::usage(format!("gates/policy/code-audit.json: {error}")))
}

/// `None` for what is no regular file: tracked and deleted, a link, a submodule.
fn read_regular(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(facts) if facts.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("cannot look at", path, &error)),
    }
    std::fs::read(path).map(Some).map_err(|error| Failure::file("cannot read", path, &error))
}

impl Pattern {
    fn covers(&self, name: &str) -> bool {
        let listed = |list: &[String]| {
            list.iter().any(|entry| name == entry || (entry.ends_with('/') && name.starts_with(entry.as_str())))
        };
        listed(&self.r#where) && !listed(&self.except)
    }

    fn trips_its_sample(&self) -> bool {
        self.sample.contains(&self.pattern) == (self.kind == Kind::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pattern(kind: &str, sample: &str) -> Pattern {
        let value = json!({"id": "x", "kind": kind, "pattern": "now()", "where": ["src/", "build.rs"],
            "except": ["src/clock.rs"], "why": "w", "sample": sample});
        serde_json::from_value(value).expect("a whole pattern")
    }

    #[test]
    fn a_pattern_covers_files_and_folders_less_exceptions() {
        let pattern = pattern("forbidden", "");
        let covered =
            ["src/a.rs", "src/clock.rs", "src", "srcs/a.rs", "build.rs", "x/build.rs"].map(|name| pattern.covers(name));
        assert_eq!(covered, [true, false, false, false, true, false]);
    }

    #[test]
    fn a_sample_that_proves_nothing_is_seen() {
        assert!(pattern("forbidden", "let t = now();").trips_its_sample());
        assert!(!pattern("forbidden", "let t = then();").trips_its_sample());
        assert!(pattern("required", "let t = then();").trips_its_sample());
        assert!(!pattern("required", "let t = now();").trips_its_sample());
    }

    #[test]
    fn every_shipped_pattern_trips_its_sample() {
        let shipped = include_bytes!("../../../gates/policy/code-audit.json");
        let value = contract::canonical::parse_evidence(shipped).expect("strict JSON");
        let audit = audit_of(&value).expect("whole patterns");
        assert!(audit.patterns.iter().all(Pattern::trips_its_sample) && !audit.patterns.is_empty());
    }
}
