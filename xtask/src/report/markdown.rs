//! The report for a pull request (GAT-17): a row a gate, what is red expanded, and within what a code host will show.

use std::fmt::Write as _;

use gates::proofpack::codes::escape;
use gates::verdict::GateReport;

use super::human::counts;
use super::{Finished, Found, checks, red};

/// Job summaries of code hosts end at 1 MiB, and cut without a word.
const BYTES_MAX: usize = 900 << 10;
/// What is kept free for the word about the cut.
const RESERVE: usize = 1 << 10;

/// Renders a run.
pub(crate) fn render(run: &Finished) -> String {
    let ended = run.conclusion();
    let mut summary = Summary { out: String::new(), left_out: 0 };
    summary.add(&format!("# {}: profile {}\n\n", ended.word, clean(&run.report.profile)));
    summary.add(&format!(
        "exit {}, policy `{}`, seed `{}`\n\n",
        ended.code,
        plain(&run.report.policy),
        plain(&run.seed)
    ));
    summary.add("| gate | verdict | checks |\n| --- | --- | --- |\n");
    for gate in &run.report.gates {
        summary.add(&gate_row(gate));
    }
    for id in &run.left_out {
        summary.add(&format!("| {id} | not selected | |\n"));
    }
    summary.add("\n");
    for line in notes(run) {
        summary.add(&format!("- {}\n", clean(&line)));
    }
    for found in red(&run.report) {
        summary.add(&section(&found, run));
    }
    summary.add(&numbers(run));
    summary.finish()
}

/// Text that stops growing in time, and says so.
struct Summary {
    out: String,
    left_out: usize,
}

impl Summary {
    fn add(&mut self, part: &str) {
        if self.left_out == 0 && self.out.len() + part.len() + RESERVE <= BYTES_MAX {
            self.out.push_str(part);
        } else {
            // After the first gap nothing more is added, so that the order stays true.
            self.left_out += 1;
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let word = format!(
                "\n**Cut here: {} more parts do not fit.** All of them stand in `evidence/verdict.json` of the run.\n",
                self.left_out
            );
            self.out.push_str(&word);
        }
        self.out
    }
}

fn gate_row(gate: &GateReport) -> String {
    format!("| {} | {} | {} |\n", clean(&gate.id), gate.state.word(), clean(&counts(gate)))
}

fn notes(run: &Finished) -> Vec<String> {
    let mut notes: Vec<String> = run.problems.iter().map(|problem| format!("problem: {}", problem.text)).collect();
    notes.extend(run.report.loosened.iter().cloned());
    if !run.narrowed.is_empty() {
        notes.push(format!("narrowed by {}: no pack is cut", run.narrowed.join(", ")));
    }
    for found in checks(&run.report) {
        let rows = found.check.not_run.iter();
        notes.extend(rows.map(|row| format!("NOT RUN: {} {}: {}", found.check.id, row.row, row.reason)));
    }
    notes
}

fn section(found: &Found<'_>, run: &Finished) -> String {
    let Found { gate, check } = found;
    let mut out = String::new();
    // Writing to a String cannot fail; the macro's result says so.
    let _ = write!(
        out,
        "\n## {} {} {}\n\n{}\n\n",
        check.state.word(),
        clean(&gate.id),
        clean(&check.id),
        clean(&check.claim)
    );
    for place in found.places() {
        let _ = writeln!(out, "- evidence: <code>{}</code>", clean(&place));
    }
    let _ = writeln!(out, "- rule: {}", clean(&found.rule()));
    let _ = writeln!(out, "- repro: <code>{}</code>", clean(&found.repro(&run.report.profile)));
    out
}

/// Every check with its rule, numbers and claim, folded away: what a PASS claims and what it does not.
fn numbers(run: &Finished) -> String {
    let mut out = "\n<details><summary>All checks</summary>\n\n| check | verdict | rule and numbers | claim |\n| --- | --- | --- | --- |\n".to_owned();
    for found in checks(&run.report) {
        let Found { gate, check } = found;
        let claim = clean(&check.claim);
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {claim} |",
            clean(&gate.id),
            clean(&check.id),
            check.state.word(),
            clean(&found.rule())
        );
    }
    out + "\n</details>\n"
}

/// What means something to Markdown, HTML or a code host (`@name`, `#1`) becomes a numbered entity: it reads the same in
/// text, in tables and inside `<code>`, and means nothing in any of them.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in escape(text.as_bytes()).chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '#' | '~' | '@' | '!' | '$' => {
                out.push_str(&format!("&#{};", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    // Code hosts link bare addresses on their own.
    out.replace("://", "&#58;//")
}

/// Digits and letters only, for a code span, where entities would be shown as they are.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn gat_17_a_red_run() {
        insta::assert_snapshot!(render(&sample::red()), @r#"
# FAIL: profile dev

exit 1, policy `0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef`, seed `0x000000000000002a`

| gate | verdict | checks |
| --- | --- | --- |
| pr-g1 | FAIL | 1 of 4 checks pass, 2 FAIL, 1 INCONCLUSIVE |
| pr-g4 | BLOCKED | by pr-g1 |

- loosened: LOCK&#95;FAIRNESS&#95;MAX 3.0 -&#62; 9.0 (cli: --set LOCK&#95;FAIRNESS&#95;MAX)
- narrowed by --only no-lost-update: no pack is cut

## FAIL pr-g1 no-lost-update

counter calm/0 is 8; 9 increments were acknowledged

- evidence: <code>evidence/pr-g1/counters.jsonl:1</code>
- rule: counters equal acknowledged increments; observed 1, limit 0, n 3
- repro: <code>cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed 0x000000000000002a</code>

## INCONCLUSIVE pr-g1 fairness

the lower bound 0.9383 does not clear 0.95; run 24 more

- evidence: <code>evidence/pr-g1/sections.jsonl</code>
- rule: hard pass rate &#62;= 0.95; observed 0.98, lower 0.9383, limit 0.95, n 100
- repro: <code>cargo xtask gate pr-g1 --profile dev --only fairness --seed 0x000000000000002a</code>

## FAIL pr-g1 dead-holder-recovered:time

counter calm/0 is 8; 9 increments were acknowledged

- evidence: <code>evidence/pr-g1/counters.jsonl:1</code>
- rule: counters equal acknowledged increments; observed 1, limit 0, n 3
- repro: <code>cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed 0x000000000000002a</code>

<details><summary>All checks</summary>

| check | verdict | rule and numbers | claim |
| --- | --- | --- | --- |
| pr-g1 no-overlap | PASS | 0 overlapping holders; observed 0, limit 0, n 90 | held in all 90 rows; not claimed: other inputs, machines, revisions |
| pr-g1 fairness | INCONCLUSIVE | hard pass rate &#62;= 0.95; observed 0.98, lower 0.9383, limit 0.95, n 100 | the lower bound 0.9383 does not clear 0.95; run 24 more |
| pr-g1 dead-holder-recovered:time | FAIL | counters equal acknowledged increments; observed 1, limit 0, n 3 | counter calm/0 is 8; 9 increments were acknowledged |
| pr-g1 no-lost-update | FAIL | counters equal acknowledged increments; observed 1, limit 0, n 3 | counter calm/0 is 8; 9 increments were acknowledged |

</details>
"#);
    }

    #[test]
    fn hostile_text_breaks_no_table_and_mentions_nobody() {
        let text = render(&sample::hostile());
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text:?}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.iter().all(|row| [4, 5].contains(&row.matches('|').count())), "{rows:#?}");
        for mark in ["@team", "```", "<!--", "](", "http://", "</failure>"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
        assert_eq!(text.matches("</code>").count(), text.matches("<code>").count());
    }

    #[test]
    fn gat_17_a_long_report_is_cut_with_a_word() {
        let mut run = sample::red();
        let check = run.report.gates[0].checks[3].clone();
        run.report.gates[0].checks = vec![check; 5000];
        let text = render(&run);
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        assert!(text.len() > BYTES_MAX / 2 && text.contains("Cut here"), "{}", text.len());
        assert!(text.starts_with("# FAIL"), "the verdict stands whatever is cut");
    }
}
