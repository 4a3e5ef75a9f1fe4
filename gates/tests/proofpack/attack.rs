//! The self-attack on a small pack: every row, every control, and verifiers that were weakened on purpose (PPK-22, PPK-43).

use contract::seed::Seed;
use gates::proofpack::attack::{MUTANTS_MIN, Outcome, ROWS, Score, Suite, Victim, run};
use gates::proofpack::codes::Code;
use gates::proofpack::verify::Options;

use crate::world::{TABLES, World, check_with};

fn victim(world: &World) -> Victim {
    Victim::new(&world.pack(), Seed(7), &TABLES).expect("a right pack")
}

fn strong(bytes: &[u8], options: &Options) -> Outcome {
    Outcome::of_report(&check_with(bytes, options))
}

/// The answer of a verifier in which one code is not looked for.
fn weak(code: Code) -> impl FnMut(&[u8], &Options) -> Outcome {
    move |bytes, options| {
        let report = check_with(bytes, options);
        let seen: Vec<_> = report.faults().filter(|fault| fault.code != code).collect();
        Outcome::of(seen.into_iter())
    }
}

fn assert_complete(score: &Score, suite: &Suite<'_>) {
    for attempt in &score.attempts {
        assert!(attempt.expected, "row {} {}: answered {}", attempt.row, attempt.name, attempt.answer);
    }
    assert_eq!(score.refused_controls, Vec::<String>::new());
    assert_eq!((score.killed(), score.with_expected_code()), (suite.mutants.len(), suite.mutants.len()));
    assert_eq!((score.rows_missing(), score.exit()), (vec![], 0));
}

#[test]
fn ppk_22_a8_a53_all_rows_give_their_code_and_the_controls_are_accepted() {
    let victim = victim(&World::green());
    let suite = victim.suite(None);
    assert!(suite.mutants.len() >= MUTANTS_MIN, "{}", suite.mutants.len());
    let mut names: Vec<_> = suite.mutants.iter().map(|mutant| (mutant.row, mutant.name.clone())).collect();
    let rows: std::collections::BTreeSet<u8> = names.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows.len(), usize::from(ROWS));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), suite.mutants.len(), "names are unique within a row");
    assert_complete(&run(&suite, true, strong), &suite);
}

#[test]
fn ppk_43_a_red_pack_is_attacked_as_well() {
    let victim = victim(&World::red());
    for row in [23, 28, 31, 33, 35] {
        let suite = victim.suite(Some(row));
        assert_complete(&run(&suite, false, strong), &suite);
    }
}

#[test]
fn ppk_43_a54_a_weakened_verifier_lets_mutants_survive() {
    let victim = victim(&World::green());
    for (row, code) in [
        (25, Code::Sums),
        (34, Code::Script),
        (36, Code::Leak),
        (32, Code::Expect),
        (33, Code::Verdict),
        (30, Code::Sig),
    ] {
        let score = run(&victim.suite(Some(row)), false, weak(code));
        assert!(score.survivors().next().is_some(), "row {row} without {code}");
        assert_eq!(score.exit(), 1, "row {row} without {code}");
    }
}

#[test]
fn ppk_43_a_refused_control_or_a_small_suite_is_void() {
    let victim = victim(&World::green());
    let suite = victim.suite(Some(34));
    let refuses_all = |_: &[u8], _: &Options| Outcome { exit: 1, faults: vec![("E_SCRIPT".into(), "template".into())] };
    assert_eq!(run(&suite, false, refuses_all).exit(), 2);
    assert_eq!(run(&suite, true, strong).exit(), 2, "a part of the suite is not the whole");
    let crashes = |_: &[u8], _: &Options| Outcome { exit: 101, faults: vec![] };
    let score = run(&suite, false, crashes);
    assert!(score.killed() == 0 && score.exit() == 2, "a crash kills nothing");
}

#[test]
fn ppk_43_outcomes_are_read_from_another_process() {
    let world = World::green();
    let mut pack = world.pack();
    let report = check_with(&pack, &Options::default());
    assert_eq!(Outcome::of_json_lines(0, &report.json_lines()), Ok(Outcome { exit: 0, faults: vec![] }));
    pack.push(0);
    let report = check_with(&pack, &Options::default());
    assert_eq!(Outcome::of_json_lines(1, &report.json_lines()), Ok(Outcome::of_report(&report)));
    for bad in ["{}", "panicked at", "{\"schema\":\"proofpack.check/1\",\"result\":\"fail\"}"] {
        assert!(Outcome::of_json_lines(1, bad).is_err(), "{bad}");
    }
}
