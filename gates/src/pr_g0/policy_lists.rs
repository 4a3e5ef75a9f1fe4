//! The lists of policy that pr-g0 compares with: baseline, inventory, path allowances, audit patterns.

use serde::Deserialize;
use serde_json::Value;

/// `baseline.json`: the tests that were accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    /// Version of the file.
    schema: String,
    /// Whether somebody accepted it; until then it decides nothing.
    pub(super) accepted: bool,
    /// Names of tests that must run and pass.
    pub(super) tests: Vec<String>,
    /// Names of tests that may be ignored.
    pub(super) ignored: Vec<String>,
}

/// One entry of `path-allow.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathAllowance {
    /// Tracked file.
    pub(super) file: String,
    /// `L1` to `L7`.
    pub(super) rule: String,
    /// Why it may stand there.
    reason: String,
}

/// One pattern of `code-audit.json`.
#[derive(Debug)]
pub(super) struct AuditPattern {
    pub(super) id: String,
    pub(super) required: bool,
    pub(super) why: String,
}

impl Baseline {
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let baseline: Self = Self::deserialize(value).map_err(|error| format!("baseline: {error}"))?;
        match baseline.schema.as_str() {
            "proofhouse.baseline/1" => Ok(baseline),
            other => Err(format!("baseline: unknown schema `{other}`")),
        }
    }
}

impl PathAllowance {
    pub(super) fn parse(value: &Value) -> Result<Vec<Self>, String> {
        let list: Vec<Self> = Deserialize::deserialize(value).map_err(|error| format!("path_allow: {error}"))?;
        match list.iter().find(|entry| entry.reason.is_empty()) {
            Some(entry) => Err(format!("path_allow: {} gives no reason", entry.file)),
            None => Ok(list),
        }
    }
}

impl AuditPattern {
    /// `{schema, patterns: [{id, kind: required | forbidden, pattern, where, why, sample}]}`; judges need three of these.
    pub(super) fn parse(value: &Value) -> Result<Vec<Self>, String> {
        let patterns = value.get("patterns").and_then(Value::as_array).ok_or("code_audit: no list `patterns`")?;
        let one = |pattern: &Value| {
            let text = |name: &str| pattern.get(name).and_then(Value::as_str).map(str::to_owned);
            let required = match text("kind")?.as_str() {
                "required" => true,
                "forbidden" => false,
                _ => return None,
            };
            Some(Self { id: text("id")?, required, why: text("why")? })
        };
        patterns
            .iter()
            .map(|pattern| one(pattern).ok_or_else(|| format!("code_audit: {pattern} lacks id, kind or why")))
            .collect()
    }
}

/// `inventory.json`: `{schema, files: [path]}`.
pub(super) fn inventory(value: &Value) -> Result<Vec<String>, String> {
    let files = value.get("files").ok_or("inventory: no list `files`")?;
    Deserialize::deserialize(files).map_err(|error| format!("inventory: {error}"))
}
