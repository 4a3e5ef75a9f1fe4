//! Tests of the ledger. Each opened ledger has handles of its own, so two of them exclude each other as two processes do.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::*;

const POLICY: LockPolicy = LockPolicy { timeout_ms: 2_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };

fn limits() -> LedgerLimits {
    let model = ModelLimits { cost_per_call_micro_usd: 400, cost_per_run_micro_usd: 900 };
    LedgerLimits {
        cost_per_run_micro_usd: 1_000,
        models: BTreeMap::from([("small".to_owned(), model), ("large".to_owned(), model)]),
        retries_per_run: 2,
        tokens_per_run: 10_000,
    }
}

fn ask(cost: u64) -> Request<'static> {
    Request { call: 0, attempt: 1, model: "small", cost: MicroUsd(cost), tokens: 10 }
}

fn refused(result: Result<Reservation, LedgerError>) -> (Limit, u64, u64) {
    match result {
        Err(LedgerError::Refused(refusal)) => (refusal.limit, refusal.value, refusal.allowed),
        other => panic!("refused, not {other:?}"),
    }
}

fn open(path: &Path) -> Ledger {
    Ledger::open(path, limits(), POLICY, Durability::None).expect("the journal opens")
}

#[test]
fn hrd_31_at_the_limit_passes_and_one_above_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder is made");
    for ledger in [Ledger::in_memory(limits()), open(&folder.path().join("ledger.jsonl"))] {
        assert_eq!(refused(ledger.reserve(&ask(401))), (Limit::CostPerCall, 401, 400));
        for _ in 0..2 {
            let _spent = ledger.reserve(&ask(400)).expect("exactly at the limit of a call");
        }
        assert_eq!(refused(ledger.reserve(&ask(101))), (Limit::ModelCostPerRun, 901, 900));
        let _spent = ledger.reserve(&ask(100)).expect("exactly at the limit of the model");
        let other = Request { model: "large", ..ask(101) };
        assert_eq!(refused(ledger.reserve(&other)), (Limit::CostPerRun, 1_001, 1_000));
        let _spent =
            ledger.reserve(&Request { cost: MicroUsd(100), ..other }).expect("exactly at the limit of the run");
        assert_eq!(refused(ledger.reserve(&ask(1))).0, Limit::ModelCostPerRun);
        assert_eq!(refused(ledger.reserve(&Request { model: "free", ..ask(0) })).0, Limit::UnknownModel);
        let totals = ledger.totals().expect("it reads");
        assert_eq!((totals.cost, totals.attempts, totals.open), (MicroUsd(1_000), 4, 4));
    }
}

#[test]
fn hrd_31_tokens_and_retries_are_limits_too() {
    let ledger = Ledger::in_memory(limits());
    let large = Request { tokens: 10_000, ..ask(0) };
    let kept = ledger.reserve(&large).expect("exactly at the limit of tokens");
    assert_eq!(refused(ledger.reserve(&Request { tokens: 1, ..ask(0) })), (Limit::TokensPerRun, 10_001, 10_000));
    ledger.settle(kept, MicroUsd(0), 100).expect("settles");
    for attempt in 2..=3 {
        let _spent = ledger.reserve(&Request { attempt, ..ask(0) }).expect("a retry inside the limit");
    }
    assert_eq!(refused(ledger.reserve(&Request { attempt: 2, ..ask(0) })), (Limit::RetriesPerRun, 3, 2));
    let _spent = ledger.reserve(&ask(0)).expect("a first attempt is no retry");
}

#[test]
fn hrd_30_settling_replaces_the_reservation_even_above_it() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("deep/ledger.jsonl");
    let ledger = open(&path);
    let (less, more) = (ledger.reserve(&ask(300)).expect("fits"), ledger.reserve(&ask(300)).expect("fits"));
    ledger.settle(less, MicroUsd(120), 4).expect("settles");
    ledger.settle(more, MicroUsd(350), 20).expect("settles");
    drop(ledger.reserve(&ask(100)).expect("fits"));
    let totals = open(&path).totals().expect("it reads");
    assert_eq!((totals.cost, totals.tokens, totals.open), (MicroUsd(570), 34, 1), "what is not settled stays spent");
}

#[test]
fn hrd_30_two_ledgers_on_one_journal_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("ledger.jsonl");
    let (one, two) = (open(&path), open(&path));
    for _ in 0..2 {
        let _spent = one.reserve(&ask(200)).expect("fits");
        let _spent = two.reserve(&ask(200)).expect("fits");
    }
    assert_eq!(refused(one.reserve(&ask(200))).0, Limit::ModelCostPerRun);
    assert_eq!(refused(two.reserve(&ask(200))).0, Limit::ModelCostPerRun);
    assert_eq!(one.totals().expect("it reads"), two.totals().expect("it reads"));
}

#[test]
fn inv_budget_01_many_who_share_a_run_spend_exactly_the_limit_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("ledger.jsonl");
    let reserved = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let ledger = open(&path);
                while let Ok(kept) = ledger.reserve(&ask(7)) {
                    drop(kept);
                    reserved.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    // 128 times 7 is 896; one more would pass the model's limit of 900.
    assert_eq!(reserved.into_inner(), 128);
    let totals = open(&path).totals().expect("it reads");
    assert_eq!((totals.cost, totals.attempts), (MicroUsd(896), 128));
}

#[test]
fn a_run_cannot_be_joined_with_other_limits() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("ledger.jsonl");
    let _first = open(&path);
    let looser = LedgerLimits { cost_per_run_micro_usd: 2_000, ..limits() };
    let error = Ledger::open(&path, looser, POLICY, Durability::None).expect_err("limits are part of the run");
    assert!(error.to_string().contains("other limits"), "{error}");
}

#[test]
fn hrd_34_edited_removed_and_doubled_rows_are_damage() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("ledger.jsonl");
    let ledger = open(&path);
    let kept = ledger.reserve(&ask(300)).expect("fits");
    ledger.settle(kept, MicroUsd(299), 4).expect("settles");
    let text = fs::read_to_string(&path).expect("it is there");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let damaged = [
        text.replace("299", "199"),
        format!("{}\n{}\n", lines[0], lines[2]),
        format!("{text}{}\n", lines[2]),
        format!("{}\n", lines[1]),
        text.replace("\n", "\n\n"),
    ];
    for bytes in damaged {
        fs::write(&path, &bytes).expect("written");
        let error = Ledger::open(&path, limits(), POLICY, Durability::None).expect_err("damage is seen");
        assert!(error.to_string().contains("LEDGER_DAMAGED"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), bytes, "evidence of the damage is not touched");
    }
}

#[test]
fn a_journal_that_shrinks_or_vanishes_under_the_run_is_damage() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let path = folder.path().join("ledger.jsonl");
    let ledger = open(&path);
    let _spent = ledger.reserve(&ask(300)).expect("fits");
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(40)).expect("shrunk");
    assert!(ledger.reserve(&ask(1)).expect_err("rows are gone").to_string().contains("LEDGER_DAMAGED"));
    fs::remove_file(&path).expect("removed");
    assert!(ledger.totals().expect_err("it is gone").to_string().contains("LEDGER_DAMAGED"));
}

/// One reservation, settled or not.
#[derive(Clone, Debug)]
struct Attempt {
    reserved: u64,
    settled: Option<u64>,
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0..60_u64, proptest::option::of(0..90_u64));
    proptest::collection::vec(attempt.prop_map(|(reserved, settled)| Attempt { reserved, settled }), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hrd_34_no_torn_prefix_of_the_journal_counts_less_than_was_acknowledged(attempts in attempts(), cut in 0.0..1.0_f64) {
        let folder = tempfile::tempdir().expect("a folder is made");
        let path = folder.path().join("ledger.jsonl");
        let ledger = open(&path);
        // What a caller knows to be charged once the journal has this length.
        let mut acknowledged = vec![(fs::metadata(&path).expect("it is there").len(), 0)];
        let mut charged = 0;
        for attempt in &attempts {
            let mut note = |charged| acknowledged.push((fs::metadata(&path).expect("it is there").len(), charged));
            let kept = ledger.reserve(&ask(attempt.reserved)).expect("fits");
            charged += attempt.reserved;
            note(charged);
            if let Some(settled) = attempt.settled {
                ledger.settle(kept, MicroUsd(settled), 1).expect("settles");
                charged = charged - attempt.reserved + settled;
                note(charged);
            }
        }
        let whole = fs::read(&path).expect("it is there");
        let cut = (whole.len() as f64 * cut) as usize;
        let torn = folder.path().join("torn.jsonl");
        fs::write(&torn, &whole[..cut]).expect("written");

        let least = acknowledged.iter().rev().find(|(length, _)| *length <= cut as u64).map_or(0, |(_, charged)| *charged);
        let reopened = open(&torn);
        let total = reopened.totals().expect("it reads").cost.0;
        prop_assert!(total >= least, "{total} charged, {least} acknowledged at byte {cut}");
        prop_assert!(total <= least + 60, "at most the torn reservation is charged on top");
        let _spent = reopened.reserve(&ask(1)).expect("the run goes on");
        drop(reopened);
        prop_assert_eq!(open(&torn).totals().expect("the completed journal is whole").cost.0, total + 1);
    }
}
