//! `cargo xtask gate list`: gates, what they claim, their checks with family and rule, and what depends on the profile.

use gates::check::Family;
use gates::gate;
use serde_json::json;

use crate::cli;
use crate::failure::Failure;
use crate::report::json;
use crate::report::text::{self, Page, Style};

/// What holds for some profiles only.
const NOTES: &[&str] = &[
    "dev: rules on wall time are reported and do not decide; a missing tool is a row NOT RUN",
    "ci, release, soak: the tree must be clean, and every tool of `cargo xtask doctor` must be there",
    "release: every row must run, the seed is the commit's own, and no limit can be loosened by hand",
];

/// Prints the list.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn run(as_json: bool) -> Result<u8, Failure> {
    cli::print(&if as_json { lines()? } else { table() })
}

fn table() -> String {
    let mut page = Page::new(Style { width: text::columns(), color: false });
    for gate in gate::all() {
        page.gap();
        page.line(&format!("{}  ", gate.id), &format!("{}: {}", gate.name, gate.claim));
        for check in gate.checks {
            page.line(&format!("  {:<22} {:<10} ", check.id, family(check.family)), check.rule);
        }
    }
    page.gap();
    for note in NOTES {
        page.line("", note);
    }
    page.finish()
}

fn lines() -> Result<String, Failure> {
    let mut out = String::new();
    for gate in gate::all() {
        for check in gate.checks {
            let line = json!({
                "schema": "proofhouse.check-entry/1",
                "gate": gate.id,
                "claim": gate.claim,
                "check": check.id,
                "requirement": check.requirement,
                "family": check.family,
                "evidence": check.evidence,
                "rule": check.rule,
            });
            json::push(&mut out, &line)?;
        }
    }
    Ok(out)
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Invariant => "invariant",
        Family::Proof => "proof",
        Family::Alarm => "alarm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_of_every_gate_is_listed() {
        let (table, lines) = (table(), lines().expect("no numbers"));
        for check in gate::all().flat_map(|gate| gate.checks) {
            assert!(table.contains(check.id), "{}", check.id);
            assert!(lines.contains(&format!("\"check\":\"{}\"", check.id)), "{}", check.id);
        }
    }
}
