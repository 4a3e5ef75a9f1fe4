//! The report for people: a table of gates, then what is red, worst first, and in the last lines what to look at.

use std::time::Duration;

use gates::check::Verdict;
use gates::gate;
use gates::verdict::{GateReport, RunReport, State};

use super::text::{Page, Style};
use super::{Finished, Found, checks, red};

/// Renders a run.
pub(crate) fn render(run: &Finished, style: Style) -> String {
    let mut page = Page::new(style);
    table(&run.report, &run.left_out, &mut page);
    let red = red(&run.report);
    red_checks(&run.report, &mut page);
    caveats(&run.report, &mut page);
    beside(run, &mut page);
    times(run, &mut page);
    page.gap();
    page.line("evidence  ", &run.folder);
    conclusion(run, &mut page);
    match (red.first(), run.problems.first()) {
        (Some(worst), _) => last_lines(worst, run, &mut page),
        (None, Some(problem)) => page.line("  problem   ", problem.text.lines().next().unwrap_or("")),
        (None, None) => {}
    }
    page.finish()
}

/// The verdicts alone, for evidence that was judged again.
pub(crate) fn verdicts(report: &RunReport, style: Style) -> String {
    let mut page = Page::new(style);
    table(report, &[], &mut page);
    red_checks(report, &mut page);
    caveats(report, &mut page);
    page.finish()
}

fn table(report: &RunReport, left_out: &[&str], page: &mut Page) {
    for gate in &report.gates {
        let claim = gate::find(&gate.id).map_or("", |gate| gate.claim);
        let word = gate.state.word();
        page.status(word, &gate_label(&gate.id, word), &format!("{}; {claim}", counts(gate)));
    }
    for id in left_out {
        page.status("", &gate_label(id, "not selected"), "");
    }
}

fn gate_label(id: &str, word: &str) -> String {
    if word == "BLOCKED" { format!("{id}  {word} ") } else { format!("{id}  {word:<13}") }
}

/// Green checks are folded into a count; every other word has its own.
pub(super) fn counts(gate: &GateReport) -> String {
    if let State::Blocked { by } = &gate.state {
        return format!("by {by}");
    }
    let word_of = |word: &str| gate.checks.iter().filter(|check| check.state.word() == word).count();
    let mut parts = vec![format!("{} of {} checks pass", word_of(Verdict::Pass.word()), gate.checks.len())];
    for word in ["INTEGRITY", "FAIL", "NO_EVIDENCE", "INCONCLUSIVE", "BLOCKED", "not selected"] {
        match word_of(word) {
            0 => {}
            count => parts.push(format!("{count} {word}")),
        }
    }
    parts.join(", ")
}

fn red_checks(report: &RunReport, page: &mut Page) {
    for found in red(report) {
        page.gap();
        red_check(&found, &report.profile, page);
    }
}

fn red_check(found: &Found<'_>, profile: &str, page: &mut Page) {
    let Found { gate, check } = found;
    let word = check.state.word();
    let soft = match check.severity {
        gates::check::Severity::Hard => "",
        gates::check::Severity::Soft => " (soft: reported, decides nothing)",
    };
    let text = format!("{} {} for {}{soft}", gate.id, check.id, check.requirement);
    page.status(word, &format!("{word:<14}"), &text);
    page.line("  ", &check.claim);
    for place in found.places() {
        page.line("  evidence: ", &place);
    }
    page.line("  rule: ", &found.rule());
    page.command("  repro: ", &found.repro(profile));
}

/// All that a reader of the table alone could miss.
fn caveats(report: &RunReport, page: &mut Page) {
    page.gap();
    for found in checks(report) {
        for row in &found.check.not_run {
            page.status("NOT RUN", "NOT RUN       ", &format!("{} {}: {}", found.check.id, row.row, row.reason));
        }
    }
    for found in checks(report).filter(|found| found.check.target_missed) {
        page.line("target missed ", &format!("{} {}: {}", found.gate.id, found.check.id, found.rule()));
    }
    for one in &report.loosened {
        page.line("", one);
    }
}

/// What happened beside the verdicts.
fn beside(run: &Finished, page: &mut Page) {
    page.gap();
    for problem in &run.problems {
        for (index, line) in problem.text.lines().enumerate() {
            page.line(if index == 0 { "problem: " } else { "    " }, line.trim_start());
        }
    }
    if !run.narrowed.is_empty() {
        page.line("", &format!("narrowed by {}: no pack is cut", run.narrowed.join(", ")));
    }
}

fn times(run: &Finished, page: &mut Page) {
    page.gap();
    for phase in &run.phases {
        page.line(&format!("{:>8.1} s  ", phase.took.as_secs_f64()), &phase.name);
    }
    let sum = |cargo: bool| -> f64 {
        run.phases.iter().filter(|phase| phase.cargo == cargo).map(|phase| phase.took).sum::<Duration>().as_secs_f64()
    };
    let left = run.bytes_left.map_or_else(String::new, |bytes| format!(", {:.1} GB left on disk", bytes as f64 / 1e9));
    page.line("", &format!("cargo {:.1} s, gates {:.1} s{left}", sum(true), sum(false)));
}

fn conclusion(run: &Finished, page: &mut Page) {
    let ended = run.conclusion();
    let report = &run.report;
    let text =
        format!("profile {}, policy {:.12}, seed {}, exit {}", report.profile, report.policy, run.seed, ended.code);
    page.status(ended.word, &format!("{}  ", ended.word), &text);
}

/// Whoever reads only the end of a log gets what is needed to begin: check, file, rule and command.
fn last_lines(worst: &Found<'_>, run: &Finished, page: &mut Page) {
    page.line("  check     ", &format!("{} {}: {}", worst.gate.id, worst.check.id, worst.check.claim));
    page.line("  evidence  ", worst.places().first().map_or("none: no file was read", String::as_str));
    page.line("  rule      ", &worst.rule());
    page.command("  repro     ", &worst.repro(&run.report.profile));
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn text(run: &Finished, width: usize) -> String {
        render(run, Style { width, color: false })
    }

    #[test]
    fn a_green_run() {
        insta::assert_snapshot!(text(&sample::green(), 80), @r#"
pr-g1  PASS         2 of 2 checks pass; many processes share one folder and
                    nothing is lost
pr-g4  PASS         1 of 1 checks pass; it stays good, stable, equal, bounded
                    and safe when it is worked hard
pr-g2  not selected
pr-g3  not selected

NOT RUN       crash-points trace: no tracer is installed
target missed pr-g4 envelope:scribe.mean_hard_score: mean_hard_score in [0.9,
              1], target 0.97; observed 0.961, lower 0.951, limit 0.9, n 1000

     1.2 s  build
     3.5 s  pr-g1 drill concurrency
cargo 1.2 s, gates 3.5 s, 12.3 GB left on disk

evidence  gates/runs/000007-01234567 in the target folder
PASS  profile dev, policy 0123456789ab, seed 0x000000000000002a, exit 0
"#);
    }

    #[test]
    fn gat_14_a_red_run() {
        insta::assert_snapshot!(text(&sample::red(), 80), @r#"
pr-g1  FAIL         1 of 4 checks pass, 2 FAIL, 1 INCONCLUSIVE; many processes
                    share one folder and nothing is lost
pr-g4  BLOCKED by pr-g1; it stays good, stable, equal, bounded and safe when it
               is worked hard

FAIL          pr-g1 no-lost-update for INV-CACHE-LOCK-01
  counter calm/0 is 8; 9 increments were acknowledged
  evidence: evidence/pr-g1/counters.jsonl:1
  rule: counters equal acknowledged increments; observed 1, limit 0, n 3
  repro: cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed \
         0x000000000000002a

INCONCLUSIVE  pr-g1 fairness for INV-CACHE-LOCK-01
  the lower bound 0.9383 does not clear 0.95; run 24 more
  evidence: evidence/pr-g1/sections.jsonl
  rule: hard pass rate >= 0.95; observed 0.98, lower 0.9383, limit 0.95, n 100
  repro: cargo xtask gate pr-g1 --profile dev --only fairness --seed \
         0x000000000000002a

FAIL          pr-g1 dead-holder-recovered:time for INV-CACHE-LOCK-01 (soft:
              reported, decides nothing)
  counter calm/0 is 8; 9 increments were acknowledged
  evidence: evidence/pr-g1/counters.jsonl:1
  rule: counters equal acknowledged increments; observed 1, limit 0, n 3
  repro: cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed \
         0x000000000000002a

loosened: LOCK_FAIRNESS_MAX 3.0 -> 9.0 (cli: --set LOCK_FAIRNESS_MAX)

narrowed by --only no-lost-update: no pack is cut

     1.2 s  build
     3.5 s  pr-g1 drill concurrency
cargo 1.2 s, gates 3.5 s, 12.3 GB left on disk

evidence  gates/runs/000007-01234567 in the target folder
FAIL  profile dev, policy 0123456789ab, seed 0x000000000000002a, exit 1
  check     pr-g1 no-lost-update: counter calm/0 is 8; 9 increments were
            acknowledged
  evidence  evidence/pr-g1/counters.jsonl:1
  rule      counters equal acknowledged increments; observed 1, limit 0, n 3
  repro     cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed \
            0x000000000000002a
"#);
    }

    #[test]
    fn a_narrow_page() {
        insta::assert_snapshot!(text(&sample::red(), 40), @r#"
pr-g1  FAIL         1 of 4 checks pass,
                    2 FAIL, 1
                    INCONCLUSIVE; many
                    processes share one
                    folder and nothing
                    is lost
pr-g4  BLOCKED by pr-g1; it stays good,
               stable, equal, bounded
               and safe when it is
               worked hard

FAIL          pr-g1 no-lost-update for
              INV-CACHE-LOCK-01
  counter calm/0 is 8; 9 increments were
  acknowledged
  evidence:
    evidence/pr-g1/counters.jsonl:1
  rule: counters equal acknowledged
        increments; observed 1, limit 0,
        n 3
  repro: cargo xtask gate pr-g1 \
         --profile dev --only \
         no-lost-update --seed \
         0x000000000000002a

INCONCLUSIVE  pr-g1 fairness for
              INV-CACHE-LOCK-01
  the lower bound 0.9383 does not clear
  0.95; run 24 more
  evidence:
    evidence/pr-g1/sections.jsonl
  rule: hard pass rate >= 0.95; observed
        0.98, lower 0.9383, limit 0.95,
        n 100
  repro: cargo xtask gate pr-g1 \
         --profile dev --only fairness \
         --seed 0x000000000000002a

FAIL          pr-g1
              dead-holder-recovered:time
              for INV-CACHE-LOCK-01
              (soft: reported, decides
              nothing)
  counter calm/0 is 8; 9 increments were
  acknowledged
  evidence:
    evidence/pr-g1/counters.jsonl:1
  rule: counters equal acknowledged
        increments; observed 1, limit 0,
        n 3
  repro: cargo xtask gate pr-g1 \
         --profile dev --only \
         no-lost-update --seed \
         0x000000000000002a

loosened: LOCK_FAIRNESS_MAX 3.0 -> 9.0
(cli: --set LOCK_FAIRNESS_MAX)

narrowed by --only no-lost-update: no
pack is cut

     1.2 s  build
     3.5 s  pr-g1 drill concurrency
cargo 1.2 s, gates 3.5 s, 12.3 GB left
on disk

evidence  gates/runs/000007-01234567 in
          the target folder
FAIL  profile dev, policy 0123456789ab,
      seed 0x000000000000002a, exit 1
  check     pr-g1 no-lost-update:
            counter calm/0 is 8; 9
            increments were acknowledged
  evidence
    evidence/pr-g1/counters.jsonl:1
  rule      counters equal acknowledged
            increments; observed 1,
            limit 0, n 3
  repro     cargo xtask gate pr-g1 \
            --profile dev --only \
            no-lost-update --seed \
            0x000000000000002a
"#);
    }

    #[test]
    fn no_line_is_overlong_but_for_a_word_that_cannot_break() {
        for run in [sample::green(), sample::red(), sample::hostile(), sample::broken_build()] {
            for width in [40, 80, 200] {
                for line in text(&run, width).lines() {
                    let longest = line.split_whitespace().map(str::len).max().unwrap_or(0);
                    assert!(line.len() <= width || longest + 6 > width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn hostile_text_reaches_no_terminal() {
        for color in [false, true] {
            let text = render(&sample::hostile(), Style { width: 80, color });
            let bare =
                ["\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"].iter().fold(text, |text, sgr| text.replace(sgr, ""));
            assert!(bare.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{bare:?}");
            assert!(!bare.lines().any(|line| line.starts_with("PASS")), "a claim forged a line: {bare}");
        }
    }

    #[test]
    fn colour_changes_no_word() {
        let plain = text(&sample::red(), 80);
        let coloured = render(&sample::red(), Style { width: 80, color: true });
        assert_ne!(plain, coloured);
        let bare =
            ["\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"].iter().fold(coloured, |text, sgr| text.replace(sgr, ""));
        assert_eq!(plain, bare);
    }
}
