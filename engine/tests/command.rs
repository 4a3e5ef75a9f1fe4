//! The command provider with real programs: good replies, garbage, failures, and one that is killed with its children.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use contract::calibration::Calibration;
use contract::seed::Seed;
use engine::clock::{Clock, UtcMillis};
use engine::pipeline::{CallContext, CallError, GaveUp, Parts, Pipeline, SetupError};
use engine::provider::command::Command;
use engine::provider::{Message, Provider as _, ProviderError, Reply, Request, StopReason, Usage};

fn shell(script: &str) -> Command {
    Command::new(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()])
}

fn request() -> Request {
    Request {
        call_key: "scene-1".into(),
        model: "mock-prose-1".into(),
        system: "Be brief.".into(),
        messages: vec![Message::user("Rain?")],
        max_tokens: 10,
        temperature: 0.5,
        seed: Seed(7),
    }
}

fn real<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(body)
}

fn call(script: &str) -> Result<Reply, ProviderError> {
    real(shell(script).call(&request()))
}

#[test]
fn a_program_gets_the_request_and_gives_the_reply() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seen = folder.path().join("seen.json");
    let answer = r#"{"text":"Rain.","stop_reason":"complete","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let reply = call(&format!("cat > '{}'; echo '{answer}'", seen.display())).expect("a good reply");
    assert_eq!((reply.text.as_str(), reply.stop_reason), ("Rain.", StopReason::Complete));
    assert_eq!(reply.usage, Some(Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() }));
    let seen = std::fs::read_to_string(seen).expect("the program wrote it");
    assert_eq!(
        seen,
        concat!(
            r#"{"max_tokens":10,"messages":[{"content":"Rain?","role":"user"}],"model":"mock-prose-1","#,
            r#""seed":"0000000000000007","system":"Be brief.","temperature":0.5}"#
        )
    );
    assert!(call(&format!("echo '{answer}'")).is_ok(), "a program need not read its input");
}

#[test]
fn garbage_is_invalid_json_and_retried_while_failure_is_final() {
    for garbage in ["echo hello", "true", "echo '{}'", r#"echo '{"text":1,"stop_reason":"complete"}'"#, "echo null"] {
        let error = call(garbage).expect_err(garbage);
        assert!(matches!(error, ProviderError::InvalidJson { .. }) && error.retryable(), "{garbage}: {error}");
    }
    let error = call("yes long | head -c 5000 >&2; echo the reason >&2; exit 7").expect_err("exit 7");
    assert!(!error.retryable());
    let text = error.to_string();
    assert!(text.contains("exit status: 7") && text.ends_with("the reason") && text.len() < 600, "{text}");
    let error = real(Command::new(Path::new("/no/such/program"), &[]).call(&request())).expect_err("absent");
    assert!(error.to_string().contains("cannot start `program`"), "{error}");
}

#[test]
fn a_slow_program_is_killed_with_its_children() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pids = folder.path().join("pids");
    let script = format!("sleep 600 & echo $! >> '{0}'; echo $$ >> '{0}'; wait", pids.display());
    let shipped = include_bytes!("../../gates/policy/calibration.json");
    let mut calibration = Calibration::parse(shipped).expect("the shipped calibration is valid");
    calibration.latency_limits.max_call_latency_ms = 300;
    calibration.max_retries = 0;
    real(async {
        let parts = Parts {
            calibration: Arc::new(calibration),
            model: "mock-prose-1".into(),
            provider: Arc::new(shell(&script)),
            clock: Clock::real(),
            seed: Seed(1),
            chaos: None,
            ledger: None,
            cache: None,
        };
        let pipeline = Pipeline::new(parts).expect("the parts fit");
        let context = CallContext { call_index: 0, scene_id: "scene-1".into() };
        let error = pipeline.call(context, &request()).await.expect_err("too slow");
        let expected = CallError::Provider { error: ProviderError::Timeout, attempts: 1, gave_up: GaveUp::MaxRetries };
        assert_eq!(error, expected);
        let pids = std::fs::read_to_string(pids).expect("the script wrote them");
        let pids: Vec<&str> = pids.lines().collect();
        assert_eq!(pids.len(), 2);
        for pid in pids {
            // A killed process may stay in the table until it is reaped; it runs no more.
            let gone = || {
                let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                state.map_or(true, |state| state.contains(") Z "))
            };
            for _ in 0..500 {
                if gone() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(gone(), "process {pid} still runs");
        }
    });
}

#[test]
fn virtual_time_and_processes_exclude_each_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime starts").block_on(async {
        let shipped = include_bytes!("../../gates/policy/calibration.json");
        let parts = Parts {
            calibration: Arc::new(Calibration::parse(shipped).expect("the shipped calibration is valid")),
            model: "mock-prose-1".into(),
            provider: Arc::new(shell("true")),
            clock: Clock::virtual_from(UtcMillis(0)),
            seed: Seed(1),
            chaos: None,
            ledger: None,
            cache: None,
        };
        let refused = Pipeline::new(parts).expect_err("HRD-61");
        assert_eq!(refused, SetupError::VirtualTimeNeedsInProcess { provider: "command" });
    });
}
