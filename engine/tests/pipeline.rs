//! The layers together, on virtual time with scripted answers: attempts, waits, limits and money in the classic cases.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::cost::{BudgetVerdict, ChargeBasis, ViolationKind};
use contract::seed::Seed;
use engine::clock::{Clock, UtcMillis};
use engine::pipeline::{Answer, CallContext, CallError, GaveUp, Parts, Pipeline, Profile};
use engine::provider::error::RetryAfter;
use engine::provider::offline::Offline;
use engine::provider::scripted::{Scripted, Step};
use engine::provider::{Identity, Message, Provider, ProviderError, Request, StopReason, Usage};
use engine::store::atomic::Durability;
use engine::store::cache::Cache;
use engine::store::ledger::{Ledger, limits_of};
use engine::store::lock::LockPolicy;

const MODEL: &str = "mock-prose-1";
const USAGE: Usage = Usage { input_tokens: 100, cached_input_tokens: 0, output_tokens: 50, reasoning_tokens: 0 };

/// One paused run: the shipped calibration, changed by the case, around a script.
struct Run {
    pipeline: Pipeline,
    provider: Arc<Scripted>,
}

impl Run {
    fn new(change: impl FnOnce(&mut Calibration), first: Vec<Step>, last: Step) -> Self {
        Self::make(change, (first, last), None, None, None)
    }

    fn with_chaos(change: impl FnOnce(&mut Calibration), chaos: Profile) -> Self {
        Self::make(change, (vec![], good()), Some(chaos), None, None)
    }

    fn make(
        change: impl FnOnce(&mut Calibration),
        (first, last): (Vec<Step>, Step),
        chaos: Option<Profile>,
        ledger: Option<Ledger>,
        cache: Option<Cache>,
    ) -> Self {
        let mut calibration = shipped();
        change(&mut calibration);
        let provider = Arc::new(Scripted::new(first, last));
        let parts = Parts {
            calibration: Arc::new(calibration),
            model: MODEL.into(),
            provider: provider.clone(),
            clock: Clock::virtual_from(UtcMillis(1_767_225_600_000)),
            seed: Seed(42),
            chaos,
            ledger,
            cache,
        };
        Self { pipeline: Pipeline::new(parts).expect("the parts fit"), provider }
    }

    async fn call(&self, index: u64) -> Result<Answer, CallError> {
        let context = CallContext { call_index: index, scene_id: format!("scene-{index}") };
        self.pipeline.call(context, &request(index)).await
    }
}

fn shipped() -> Calibration {
    Calibration::parse(include_bytes!("../../gates/policy/calibration.json")).expect("the shipped calibration is valid")
}

fn request(index: u64) -> Request {
    Request {
        call_key: format!("scene-{index}"),
        model: MODEL.into(),
        system: String::new(),
        messages: vec![Message::user("x".repeat(400))],
        max_tokens: 100,
        temperature: 0.7,
        seed: Seed(index),
    }
}

fn paused<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime starts").block_on(body)
}

fn good() -> Step {
    Step::text("The rain had stopped.", USAGE)
}

fn limited(seconds: u64) -> Step {
    let retry_after = RetryAfter { wait: Some(Duration::from_secs(seconds)), malformed: false };
    Step::error(ProviderError::RateLimited { retry_after })
}

fn unchanged(_: &mut Calibration) {}

#[test]
fn one_three_and_four_attempts() {
    paused(async {
        let run = Run::new(unchanged, vec![], good());
        assert_eq!(run.call(0).await.map(|answer| answer.attempts), Ok(1));

        let run = Run::new(unchanged, vec![Step::error(ProviderError::Timeout), limited(1)], good());
        assert_eq!(run.call(0).await.map(|answer| answer.attempts), Ok(3));

        let run = Run::new(unchanged, vec![], Step::error(ProviderError::Empty));
        let error = run.call(0).await.expect_err("every reply is empty");
        assert_eq!((error.attempts(), error.kind()), (4, "empty"));
        assert_eq!(run.provider.arrived(), 4);
    });
}

#[test]
fn auth_is_final_at_the_first_attempt_and_during_a_retry() {
    let refused = || Step::error(ProviderError::Auth { detail: "status 401".into() });
    paused(async {
        let run = Run::new(unchanged, vec![], refused());
        let error = run.call(0).await.expect_err("no key");
        assert!(matches!(error, CallError::Provider { attempts: 1, gave_up: GaveUp::Final, .. }), "{error:?}");

        let run = Run::new(unchanged, vec![limited(1)], refused());
        assert_eq!(run.call(0).await.expect_err("no key").attempts(), 2);
    });
}

#[test]
fn retry_after_2_waits_2_seconds_and_holds_back_the_whole_run() {
    paused(async {
        let run = Run::new(|calibration| calibration.backoff_base_ms = 1, vec![limited(2)], good());
        let (first, second) = tokio::join!(run.call(0), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            run.call(1).await
        });
        assert!(first.is_ok() && second.is_ok());
        let attempts = run.pipeline.record().attempts;
        let started: Vec<_> = attempts.iter().map(|row| (row.call_index, row.started - 1_767_225_600_000)).collect();
        assert_eq!(started, [(0, 0), (0, 2000), (1, 2000)], "call 1 was ready at 10 ms");
        assert_eq!(attempts[0].retry_after_ms, Some(2000));
        assert_eq!(attempts[1].wait_ms, 2000);
    });
}

#[test]
fn a_retry_after_beyond_the_maximum_fails_the_call() {
    paused(async {
        let run = Run::new(unchanged, vec![limited(121)], good());
        let error = run.call(0).await.expect_err("121 s are too long");
        assert!(matches!(error, CallError::Provider { gave_up: GaveUp::RetryAfter, .. }), "{error:?}");
        assert!(run.call(1).await.is_ok(), "and does not hold back the others");
        assert_eq!(run.pipeline.record().cost.duration_ms, 0);
    });
}

#[test]
fn the_deadline_bounds_each_wait() {
    paused(async {
        let run = Run::new(|calibration| calibration.max_duration_per_run_ms = 90_000, vec![], limited(60));
        let error = run.call(0).await.expect_err("limited for ever");
        assert!(matches!(error, CallError::Provider { attempts: 2, gave_up: GaveUp::Deadline, .. }), "{error:?}");
        assert_eq!(run.pipeline.record().cost.duration_ms, 60_000);
    });
}

#[test]
fn a_storm_ends_with_the_quota_and_the_retries_of_the_run() {
    paused(async {
        let run = Run::new(unchanged, vec![], Step::error(ProviderError::Empty));
        for index in 0..20 {
            assert!(run.call(index).await.is_err());
        }
        assert_eq!(run.pipeline.record().cost.total_retries, 15, "five at once times three retries");

        let run = Run::new(
            |calibration| {
                calibration.max_retries_per_run = 2;
                calibration.rate_limit_per_min = 1000;
            },
            vec![limited(1), good(), limited(1), good(), limited(1)],
            good(),
        );
        assert!(run.call(0).await.is_ok() && run.call(1).await.is_ok());
        assert_eq!(run.pipeline.record().cost.budget_verdict, BudgetVerdict::Pass, "at the limit is not over it");
        let error = run.call(2).await.expect_err("a third retry");
        assert!(matches!(error, CallError::Budget { attempts: 1, .. }), "{error:?}");
        let cost = run.pipeline.record().cost;
        let kinds: Vec<_> = cost.violations.iter().map(|v| (v.kind, v.value, v.limit)).collect();
        assert_eq!(kinds, [(ViolationKind::RetriesPerRun, 3, 2)]);
    });
}

#[test]
fn a_reservation_at_the_limit_passes_and_one_above_is_refused() {
    // 100 input tokens at 1,000 and 100 output tokens at 2,000 micro-dollars per 1,000 tokens: 300 micro-dollars.
    type Change = fn(&mut Calibration, u64);
    let limits: [(ViolationKind, u64, Change); 4] = [
        (ViolationKind::CostPerCall, 300, |calibration, limit| {
            calibration.budget_limits.get_mut(MODEL).expect("shipped").max_per_call_usd = MicroUsd(limit);
        }),
        (ViolationKind::CostPerRun, 300, |calibration, limit| {
            calibration.budget_limits.get_mut(MODEL).expect("shipped").max_per_run_usd = MicroUsd(limit);
        }),
        (ViolationKind::CostPerRun, 300, |calibration, limit| calibration.max_cost_per_run_usd = MicroUsd(limit)),
        (ViolationKind::TokensPerRun, 200, |calibration, limit| calibration.max_tokens_per_run = limit),
    ];
    paused(async {
        for (kind, exact, change) in limits {
            let run = Run::new(|calibration| change(calibration, exact), vec![], good());
            assert!(run.call(0).await.is_ok(), "{kind:?} at the limit");
            assert_eq!(run.pipeline.record().cost.budget_verdict, BudgetVerdict::Pass);

            let run = Run::new(|calibration| change(calibration, exact - 1), vec![], good());
            let error = run.call(0).await.expect_err("one below is too little");
            let CallError::Budget { violation, attempts: 0 } = error else { panic!("{error:?}") };
            assert_eq!((violation.kind, violation.value, violation.limit), (kind, exact, exact - 1));
            assert_eq!(run.provider.arrived(), 0, "nothing was sent");
            let record = run.pipeline.record();
            assert_eq!((record.cost.total_calls, record.attempts.len()), (0, 0));
            assert_eq!(record.cost.budget_verdict, BudgetVerdict::Fail);
        }
    });
}

#[test]
fn faults_are_metered_by_what_the_server_may_have_done() {
    let unpaid = || {
        let mut step = good();
        step.result = step.result.map(|reply| engine::provider::Reply { usage: None, ..reply });
        step
    };
    let cut = || {
        let mut step = good();
        step.result = step.result.map(|reply| engine::provider::Reply { stop_reason: StopReason::Length, ..reply });
        step
    };
    paused(async {
        let first = vec![limited(1), Step::error(ProviderError::Timeout), cut()];
        let run = Run::new(unchanged, first, unpaid());
        assert_eq!(run.call(0).await.map(|answer| answer.attempts), Ok(4));
        let cost = run.pipeline.record().cost;
        let bases: Vec<_> = cost.calls[0].charges.iter().map(|charge| (charge.basis, charge.cost_usd.0)).collect();
        let expected = [
            (ChargeBasis::Nothing, 0),
            (ChargeBasis::Reservation, 300),
            (ChargeBasis::Usage, 200),
            (ChargeBasis::Reservation, 300),
        ];
        assert_eq!(bases, expected);
        assert_eq!(cost.total_cost_usd, MicroUsd(800));
        let kinds: Vec<_> = cost.violations.iter().map(|violation| violation.kind).collect();
        assert_eq!(kinds, [ViolationKind::UsageMissing], "the timeout is none, the accepted reply is one");
    });
}

#[test]
fn latency_at_the_limit_passes_and_one_millisecond_more_fails() {
    paused(async {
        for (millis, ok) in [(60_000, true), (60_001, false)] {
            let run = Run::new(
                |calibration| calibration.max_retries = 0,
                vec![],
                good().after(Duration::from_millis(millis)),
            );
            assert_eq!(run.call(0).await.is_ok(), ok, "{millis} ms");
        }
        let timeout_then_good = vec![good().after(Duration::from_secs(3600))];
        let run = Run::new(unchanged, timeout_then_good, good().after(Duration::from_millis(1)));
        assert!(run.call(0).await.is_ok());
        let cost = run.pipeline.record().cost;
        let found: Vec<_> = cost.violations.iter().map(|v| (v.kind, v.value, v.call_index)).collect();
        assert_eq!(
            found,
            [(ViolationKind::LatencyPerCall, 60_001, Some(0))],
            "time with the provider over both attempts"
        );
    });
}

#[test]
fn hrd_60_no_window_of_a_minute_holds_more_starts_than_allowed() {
    paused(async {
        let run = Arc::new(Run::new(
            |calibration| {
                calibration.rate_limit_per_min = 7;
                calibration.rate_limit_concurrency = 3;
            },
            vec![],
            good().after(Duration::from_millis(2_500)),
        ));
        let calls: Vec<_> = (0..40)
            .map(|index| {
                let run = run.clone();
                tokio::spawn(async move { run.call(index).await })
            })
            .collect();
        for call in calls {
            assert!(call.await.expect("no panic").is_ok());
        }
        let rows = run.pipeline.record().attempts;
        let mut starts: Vec<u64> = rows.iter().map(|row| row.started).collect();
        starts.sort_unstable();
        assert!(starts.windows(8).all(|window| window[7] - window[0] >= 60_000), "{starts:?}");
        for row in &rows {
            let under_way =
                rows.iter().filter(|other| other.started <= row.started && row.started < other.ended).count();
            assert!(under_way <= 3, "{under_way} at {}", row.started);
        }
    });
}

#[test]
fn hellfire_at_any_concurrency_gives_the_same_decisions_and_no_silent_success() {
    let profile =
        Profile { name: "hellfire".into(), rate: 0.5, modes: contract::chaos_profile::FailureMode::ALL.to_vec() };
    let storm = |concurrency: u64| {
        let profile = profile.clone();
        paused(async move {
            let roomy = |calibration: &mut Calibration| {
                calibration.rate_limit_concurrency = concurrency;
                calibration.max_retries_per_run = 1_000_000;
                calibration.max_duration_per_run_ms = 86_400_000;
                calibration.latency_limits.max_run_latency_ms = 86_400_000;
            };
            let run = Arc::new(Run::with_chaos(roomy, profile));
            let calls: Vec<_> = (0..100)
                .map(|index| {
                    let run = run.clone();
                    tokio::spawn(async move { run.call(index).await })
                })
                .collect();
            for call in calls {
                if let Ok(answer) = call.await.expect("no panic") {
                    assert_eq!(answer.reply.text, "The rain had stopped.");
                }
            }
            let arrived = run.provider.arrived();
            (run.pipeline.record(), arrived)
        })
    };
    let decisions = |log: &contract::record::chaos::ChaosLog| -> std::collections::BTreeMap<_, _> {
        log.entries.iter().map(|entry| ((entry.call_index, entry.attempt), entry.failure_type)).collect()
    };
    let (alone, _) = storm(1);
    for concurrency in [2, 8] {
        let (record, arrived) = storm(concurrency);
        let (left, right) = (decisions(&alone.chaos_log), decisions(&record.chaos_log));
        assert!(left.iter().all(|(place, mode)| right.get(place).is_none_or(|other| other == mode)));
        assert_eq!(record.attempts.len(), record.chaos_log.entries.len());
        assert_eq!(record.attempts.iter().filter(|row| row.injected.is_none()).count(), arrived, "reconciled");
        assert!(record.attempts.iter().all(|row| row.injected.is_none() || row.outcome != "ok"));
    }
}

#[test]
fn a_second_run_with_the_cache_asks_and_pays_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = || {
        let clock = Clock::real();
        let policy = LockPolicy::from(&shipped());
        Cache::open(folder.path(), policy, Durability::None, clock).expect("a local folder")
    };
    let bad = vec![Step::error(ProviderError::Empty), Step::text("  ", USAGE)];
    paused(async {
        let run = Run::make(|_| {}, (bad, good()), None, None, Some(open()));
        assert_eq!(run.call(0).await.map(|answer| (answer.attempts, answer.cached_age_ms)), Ok((3, None)));

        let run = Run::make(|_| {}, (vec![], Step::error(ProviderError::Empty)), None, None, Some(open()));
        let answer = run.call(0).await.expect("kept by the first run");
        assert_eq!((answer.attempts, answer.reply.text.as_str()), (0, "The rain had stopped."));
        assert!(answer.cached_age_ms.is_some());
        let record = run.pipeline.record();
        assert_eq!((record.cost.total_calls, record.cost.total_cost_usd, run.provider.arrived()), (0, MicroUsd(0), 0));
        assert!(record.cost.calls[0].cached && record.attempts.is_empty());
        assert!(run.call(1).await.is_err(), "another request has another key, and errors were not kept");
    });
}

#[test]
fn an_entry_edited_by_hand_is_set_aside_bought_again_and_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = || {
        Cache::open(folder.path(), LockPolicy::from(&shipped()), Durability::None, Clock::real())
            .expect("a local folder")
    };
    paused(async {
        let run = Run::make(|_| {}, (vec![], good()), None, None, Some(open()));
        assert!(run.call(0).await.is_ok());
        let key = request(0).cache_key(run.provider.identity()).expect("finite").to_string();
        let entry = folder.path().join(&key[..2]).join(format!("{key}.entry"));
        let text = std::fs::read(&entry).expect("the entry lies under its key");
        let edited = String::from_utf8_lossy(&text).replace("rain", "snow");
        std::fs::write(&entry, edited).expect("the folder is writable");

        let run = Run::make(|_| {}, (vec![], good()), None, None, Some(open()));
        let answer = run.call(0).await.expect("asked again");
        assert_eq!((answer.attempts, answer.reply.text.as_str()), (1, "The rain had stopped."));
        let problems = run.pipeline.record().cache_problems;
        assert!(problems.len() == 1 && problems[0].contains(&key), "{problems:?}");
    });
}

#[test]
fn what_shapes_a_reply_shapes_its_key() {
    let identity = Identity { provider: "openai", endpoint: "https://a".into(), api_version: "v1" };
    let key = |request: &Request, identity: &Identity| request.cache_key(identity).expect("finite");
    let base = request(0);
    let mut keys = vec![key(&base, &identity)];
    let changes: [fn(&mut Request); 6] = [
        |request| request.temperature = 0.8,
        |request| request.max_tokens = 101,
        |request| request.system = "Be brief.".into(),
        |request| request.model = "gpt-4o".into(),
        |request| request.seed = Seed(9),
        |request| request.messages.push(Message::user("and")),
    ];
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        keys.push(key(&changed, &identity));
    }
    keys.push(key(&base, &Identity { endpoint: "https://b".into(), ..identity.clone() }));
    keys.push(key(&base, &Identity { api_version: "v2", ..identity.clone() }));
    keys.push(key(&base, &Identity { provider: "anthropic", ..identity.clone() }));
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all, "each change is another key");
    let renamed = Request { call_key: "other".into(), ..base.clone() };
    assert_eq!(key(&renamed, &identity), key(&base, &identity), "a name inside the run shapes nothing");
    assert!(Request { temperature: f64::NAN, ..base }.cache_key(&identity).is_err());
}

#[test]
fn offline_with_a_cold_cache_names_the_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(folder.path(), LockPolicy::from(&shipped()), Durability::None, Clock::real());
    let identity = Identity { provider: "openai", endpoint: "https://api.openai.com/v1".into(), api_version: "v1" };
    let key = request(0).cache_key(&identity).expect("finite").to_string();
    paused(async {
        let parts = Parts {
            calibration: Arc::new(shipped()),
            model: MODEL.into(),
            provider: Arc::new(Offline::new(identity)),
            clock: Clock::virtual_from(UtcMillis(0)),
            seed: Seed(42),
            chaos: None,
            ledger: None,
            cache: Some(cache.expect("a local folder")),
        };
        let pipeline = Pipeline::new(parts).expect("the parts fit");
        let context = CallContext { call_index: 0, scene_id: "scene-0".into() };
        let error = pipeline.call(context, &request(0)).await.expect_err("nothing is kept");
        assert!(error.to_string().contains(&key) && error.attempts() == 1, "{error}");
    });
}

#[test]
fn processes_share_the_books_of_a_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let calibration = Calibration { max_cost_per_run_usd: MicroUsd(500), ..shipped() };
    let ledger = || {
        let policy = LockPolicy::from(&calibration);
        Ledger::open(&path, limits_of(&calibration), policy, Durability::None).expect("a local folder")
    };
    paused(async {
        let change = |shared: &mut Calibration| *shared = calibration.clone();
        let first = Run::make(change, (vec![], good()), None, Some(ledger()), None);
        let second = Run::make(change, (vec![], good()), None, Some(ledger()), None);
        assert!(first.call(0).await.is_ok(), "200 of 500 are spent");
        assert!(second.call(1).await.is_ok(), "200 + 300 are not above 500");
        let error = first.call(2).await.expect_err("400 + 300 are");
        let CallError::Budget { violation, .. } = error else { panic!("{error:?}") };
        assert_eq!((violation.value, violation.limit), (700, 500));
        assert_eq!(ledger().totals().expect("readable").cost, MicroUsd(400));
    });
}
