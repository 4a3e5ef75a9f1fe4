//! The report for test viewers (GAT-17): a suite a gate, a case a check.
//!
//! Viewers call a report green when nothing in it failed. So whatever made the run other than PASS without a red check
//! (a broken build, a missing program, an interruption) stands in a suite `run` of its own.

use gates::check::Verdict;
use gates::proofpack::codes::escape;
use gates::verdict::{CheckReport, GateReport, State};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Finished, Found, red};
use crate::failure::Failure;

/// Renders a run as JUnit XML.
///
/// # Errors
/// The writer refuses it.
pub(crate) fn render(run: &Finished) -> Result<String, Failure> {
    let mut report = Report::new(format!("proofhouse {}", run.report.profile));
    for gate in &run.report.gates {
        report.add_test_suite(suite(gate, run));
    }
    let ended = run.conclusion();
    if ended.code != contract::exit::gate::PASS && red(&run.report).is_empty() || !run.problems.is_empty() {
        report.add_test_suite(beside_the_checks(run));
    }
    report.to_string().map_err(|error| Failure::internal(format!("the JUnit report: {error}")))
}

fn suite(gate: &GateReport, run: &Finished) -> TestSuite {
    let mut suite = TestSuite::new(clean(&gate.id));
    if gate.checks.is_empty() {
        // A gate that was never judged would otherwise be missing without a trace.
        suite.add_test_case(TestCase::new(clean(&gate.id), skipped(&unjudged(&gate.state))));
    }
    for check in &gate.checks {
        let found = Found { gate, check };
        let mut case = TestCase::new(clean(&check.id), status(&found, run));
        case.set_classname(clean(&gate.id));
        for (name, value) in properties(check, run) {
            case.add_property((name, clean(&value).as_str()));
        }
        suite.add_test_case(case);
        for row in &check.not_run {
            let name = clean(&format!("{} ({})", check.id, row.row));
            let mut case = TestCase::new(name, skipped(&format!("NOT RUN: {}", row.reason)));
            case.set_classname(clean(&gate.id));
            suite.add_test_case(case);
        }
    }
    suite
}

fn status(found: &Found<'_>, run: &Finished) -> TestCaseStatus {
    let check = found.check;
    let kind = match check.state.verdict() {
        None => return skipped(&unjudged(&check.state)),
        Some(Verdict::Pass) => return TestCaseStatus::success(),
        Some(Verdict::Fail | Verdict::Integrity) => NonSuccessKind::Failure,
        Some(Verdict::Inconclusive | Verdict::NoEvidence) => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let evidence: Vec<String> = found.places().iter().map(|place| format!("evidence: {}", clean(place))).collect();
    status.set_type(check.state.word()).set_message(clean(&check.claim)).set_description(format!(
        "{}\nrule: {}\nrepro: {}",
        evidence.join("\n"),
        clean(&found.rule()),
        clean(&found.repro(&run.report.profile))
    ));
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(message));
    status
}

fn unjudged(state: &State) -> String {
    match state {
        State::Blocked { by } => format!("BLOCKED by {by}"),
        state => state.word().to_owned(),
    }
}

fn properties(check: &CheckReport, run: &Finished) -> Vec<(&'static str, String)> {
    let numbers = &check.numbers;
    let number = |name, value: Option<f64>| value.map(|value| (name, value.to_string()));
    let optional = [
        number("observed", numbers.observed),
        number("bound-lower", numbers.lower),
        number("bound-upper", numbers.upper),
        number("limit", numbers.limit),
        check.evidence.first().map(|place| ("sha256", place.sha256.clone())),
    ];
    let always = [
        ("requirement", check.requirement.clone()),
        ("n", numbers.n.to_string()),
        ("n-distinct", numbers.n_distinct.to_string()),
        ("seed", run.seed.clone()),
    ];
    always.into_iter().chain(optional.into_iter().flatten()).collect()
}

fn beside_the_checks(run: &Finished) -> TestSuite {
    let mut suite = TestSuite::new("run");
    let ended = run.conclusion();
    let error = |message: &str| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(ended.word).set_message(clean(message));
        status
    };
    for (number, problem) in run.problems.iter().enumerate() {
        suite.add_test_case(TestCase::new(format!("problem-{}", number + 1), error(&problem.text)));
    }
    if run.problems.is_empty() {
        suite.add_test_case(TestCase::new("conclusion", error(&format!("{}, exit {}", ended.word, ended.code))));
    }
    suite
}

/// XML cannot hold every character, and the writer would drop such characters without a word.
fn clean(text: &str) -> String {
    escape(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn gat_17_words_and_elements() {
        let xml = render(&sample::red()).expect("written");
        insta::assert_snapshot!(xml, @r#"
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="proofhouse dev" tests="5" skipped="1" failures="2" errors="1">
    <testsuite name="pr-g1" tests="4" skipped="0" errors="1" failures="2">
        <testcase name="no-overlap" classname="pr-g1">
            <properties>
                <property name="requirement" value="INV-CACHE-LOCK-01"/>
                <property name="n" value="90"/>
                <property name="n-distinct" value="90"/>
                <property name="seed" value="0x000000000000002a"/>
                <property name="observed" value="0"/>
                <property name="limit" value="0"/>
                <property name="sha256" value="abababababababababababababababababababababababababababababababab"/>
            </properties>
        </testcase>
        <testcase name="fairness" classname="pr-g1">
            <properties>
                <property name="requirement" value="INV-CACHE-LOCK-01"/>
                <property name="n" value="100"/>
                <property name="n-distinct" value="100"/>
                <property name="seed" value="0x000000000000002a"/>
                <property name="observed" value="0.98"/>
                <property name="bound-lower" value="0.9383"/>
                <property name="limit" value="0.95"/>
                <property name="sha256" value="abababababababababababababababababababababababababababababababab"/>
            </properties>
            <error message="the lower bound 0.9383 does not clear 0.95; run 24 more" type="INCONCLUSIVE">evidence: evidence/pr-g1/sections.jsonl
rule: hard pass rate &gt;= 0.95; observed 0.98, lower 0.9383, limit 0.95, n 100
repro: cargo xtask gate pr-g1 --profile dev --only fairness --seed 0x000000000000002a</error>
        </testcase>
        <testcase name="dead-holder-recovered:time" classname="pr-g1">
            <properties>
                <property name="requirement" value="INV-CACHE-LOCK-01"/>
                <property name="n" value="3"/>
                <property name="n-distinct" value="3"/>
                <property name="seed" value="0x000000000000002a"/>
                <property name="observed" value="1"/>
                <property name="limit" value="0"/>
                <property name="sha256" value="abababababababababababababababababababababababababababababababab"/>
            </properties>
            <failure message="counter calm/0 is 8; 9 increments were acknowledged" type="FAIL">evidence: evidence/pr-g1/counters.jsonl:1
rule: counters equal acknowledged increments; observed 1, limit 0, n 3
repro: cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed 0x000000000000002a</failure>
        </testcase>
        <testcase name="no-lost-update" classname="pr-g1">
            <properties>
                <property name="requirement" value="INV-CACHE-LOCK-01"/>
                <property name="n" value="3"/>
                <property name="n-distinct" value="3"/>
                <property name="seed" value="0x000000000000002a"/>
                <property name="observed" value="1"/>
                <property name="limit" value="0"/>
                <property name="sha256" value="abababababababababababababababababababababababababababababababab"/>
            </properties>
            <failure message="counter calm/0 is 8; 9 increments were acknowledged" type="FAIL">evidence: evidence/pr-g1/counters.jsonl:1
rule: counters equal acknowledged increments; observed 1, limit 0, n 3
repro: cargo xtask gate pr-g1 --profile dev --only no-lost-update --seed 0x000000000000002a</failure>
        </testcase>
    </testsuite>
    <testsuite name="pr-g4" tests="1" skipped="1" errors="0" failures="0">
        <testcase name="pr-g4">
            <skipped message="BLOCKED by pr-g1"/>
        </testcase>
    </testsuite>
</testsuites>
"#);
    }

    #[test]
    fn a_run_that_is_not_pass_never_reads_as_green() {
        for run in [sample::red(), sample::broken_build(), sample::hostile()] {
            let xml = render(&run).expect("written");
            assert!(xml.contains("<failure") || xml.contains("<error"), "{xml}");
        }
        let mut partial = sample::green();
        partial.state = gates::proofpack::run_facts::RunState::Partial;
        assert!(render(&partial).expect("written").contains("<error"), "nothing is red, yet the run is no PASS");
        let green = render(&sample::green()).expect("written");
        assert!(!green.contains("<failure") && !green.contains("<error"), "{green}");
        assert!(green.contains("NOT RUN: no tracer is installed"), "{green}");
    }

    #[test]
    fn hostile_text_closes_no_element() {
        let xml = render(&sample::hostile()).expect("written");
        assert!(xml.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{xml:?}");
        assert_eq!(xml.matches("</failure>").count(), 1, "{xml}");
        assert!(!xml.contains("<!--"), "{xml}");
    }
}
