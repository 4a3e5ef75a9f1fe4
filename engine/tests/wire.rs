//! The HTTP providers against the real `wire` process over real HTTP: both protocols, every fault, and the server's own
//! list of what arrived.
#![allow(clippy::print_stdout, reason = "a test that could not be run must say so loudly")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::calibration::Calibration;
use contract::chaos_profile::FailureMode;
use engine::drill::chaos::third_party;
use engine::drill::chaos::wire::{self, CANARY, Made};
use engine::drill::counterpart::{Counterpart, PROTOCOLS};
use tokio::process::Command;

/// Limits that fit a test on real time.
fn quick() -> Arc<Calibration> {
    let shipped = include_bytes!("../../gates/policy/calibration.json");
    let mut calibration = Calibration::parse(shipped).expect("the shipped calibration is valid");
    calibration.latency_limits.max_call_latency_ms = 2_000;
    calibration.latency_limits.warn_call_latency_ms = 1_000;
    calibration.backoff_base_ms = 10;
    calibration.backoff_max_ms = 100;
    Arc::new(calibration)
}

fn real<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts").block_on(body)
}

fn wire_program() -> PathBuf {
    env!("CARGO_BIN_EXE_wire").into()
}

#[test]
fn both_protocols_meet_every_fault_and_the_server_counts_what_we_count() {
    let made = real(wire::cases(&wire_program(), &quick())).expect("every case can be made");
    assert_eq!(made.len(), 2 * wire::scripts().len());
    let by_name: BTreeMap<&str, &Made> = made.iter().map(|made| (made.case.case.as_str(), made)).collect();
    assert_eq!(by_name.len(), made.len(), "names are unique");
    for Made { case, attempts, arrived } in &made {
        let name = &case.case;
        assert_eq!(case.attempts, case.arrived, "{name}: {arrived:?}");
        assert_eq!(case.key_seen, 0, "{name}");
        assert!(!format!("{arrived:?}{attempts:?}").contains(CANARY), "{name}: no journal holds the key");
        assert!(arrived.iter().all(|request| request["authorized"] == true), "{name}: and yet it was sent");
        let played: Vec<&str> = arrived.iter().filter_map(|request| request["answer"].as_str()).collect();
        assert_eq!(played.len(), attempts.len(), "{name}");
    }
    for protocol in PROTOCOLS {
        let case = |script: &str| by_name[format!("wire-{protocol}-{script}").as_str()];
        let outcomes = |script: &str| case(script).case.outcomes.join(" ");
        for (mode, word) in
            FailureMode::ALL.into_iter().zip(["rate_limited", "timeout", "invalid_json", "server", "network", "empty"])
        {
            assert_eq!(outcomes(mode.name()), format!("{word} ok"), "{protocol}");
            assert!(case(mode.name()).case.text_intact, "{protocol} {mode:?}");
        }
        assert_eq!(outcomes("ok"), "ok");
        assert_eq!(outcomes("truncated"), "truncated ok");
        assert_eq!(outcomes("status_529-status_503"), "server server ok");
        assert_eq!(outcomes("status_400"), "bad_request", "no second try");
        assert_eq!(outcomes("redirect"), "bad_request", "no redirect is followed");
        assert_eq!(outcomes("echo_key"), "auth", "one attempt");
        assert_eq!(outcomes("rate_limit_429_too_long"), "rate_limited", "a day is too long to wait");
        assert_eq!(outcomes("rate_limit_429_malformed"), "rate_limited ok");
        assert!(case("rate_limit_429_malformed").attempts[0].retry_after_malformed);
        let floor = &case("rate_limit_429").attempts;
        assert!(floor[1].wait_ms >= 300 && floor[1].started >= floor[0].ended + 300, "{floor:?}");
        let cause = case("echo_key").attempts[0].cause.as_deref();
        assert!(cause.is_some_and(|cause| cause.contains("<key>")), "{cause:?}");
    }
}

#[test]
fn a_body_says_what_was_asked_in_the_words_of_its_protocol() {
    let made = real(wire::cases(&wire_program(), &quick())).expect("every case can be made");
    let body = |name: &str| {
        let found = made.iter().find(|made| made.case.case == name).expect("the case was made");
        found.case.bodies[0].clone()
    };
    let chat = body("wire-openai-ok");
    assert_eq!(chat["messages"][0]["role"], "system");
    assert_eq!(chat["messages"][1]["content"], "The lamp.");
    assert_eq!((&chat["max_tokens"], &chat["seed"]), (&64.into(), &7.into()));
    let messages = body("wire-anthropic-ok");
    assert_eq!(messages["system"], "You write one sentence.");
    assert_eq!(messages["messages"], serde_json::json!([{ "role": "user", "content": "The lamp." }]));
    assert!(messages.get("seed").is_none(), "the API takes none");
}

#[test]
fn a_server_that_others_wrote_counts_what_we_count() {
    let Some(program) = third_party::program() else {
        println!("NOT RUN: npm @copilotkit/aimock is absent; .ci/install-tools puts it into target/tools");
        return;
    };
    let made = real(third_party::cases(&program, &quick())).expect("every case can be made");
    assert_eq!(made.len(), 12);
    for Made { case, attempts, arrived } in &made {
        let name = &case.case;
        assert_eq!((case.arrived, attempts.len()), (2, 2), "{name}: {arrived:?} {attempts:?}");
        assert_eq!(case.outcomes[1], "ok", "{name}: {:?}", case.outcomes);
        assert_ne!(case.outcomes[0], "ok", "{name}: {:?}", case.outcomes);
        assert!(case.text_intact && case.key_seen == 0, "{name}");
    }
}

#[test]
fn a_dead_server_is_a_network_fault() {
    real(async {
        let server = Counterpart::wire(&wire_program(), &engine::wire::Script::default()).await.expect("it starts");
        let origin = server.origin.clone();
        drop(server);
        // The process is gone once nobody listens any more.
        let address = origin.trim_start_matches("http://").to_owned();
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let dead = Counterpart::at(&origin);
        for protocol in PROTOCOLS {
            let (attempts, row) =
                wire::call(&dead, quick(), protocol, "dead", "The lamp.").await.expect("the provider is made");
            assert_eq!(row.end.outcome, "network");
            assert_eq!(attempts.len(), 4, "retried and given up");
        }
    });
}

#[test]
fn the_server_ends_with_whoever_started_it() {
    real(async {
        let mut child = Command::new(wire_program())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        drop(child.stdin.take());
        assert!(child.wait().await.expect("it was started").success());
    });
    let refused = assert_cmd::Command::new(wire_program()).args(["--script", "/dev/null"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2), "an empty script is no script");
}

#[test]
fn wire_and_providers_share_no_code() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text = |path: &Path| std::fs::read_to_string(path).expect("a source file is text");
    let mut wire = vec![sources.join("wire.rs"), sources.join("bin/wire.rs")];
    let inside = std::fs::read_dir(sources.join("wire")).expect("the folder exists");
    wire.extend(inside.map(|entry| entry.expect("readable").path()));
    assert!(wire.len() >= 5);
    for path in wire {
        let uses: Vec<String> = text(&path).lines().filter(|line| line.contains("crate::")).map(Into::into).collect();
        assert_eq!(uses, Vec::<String>::new(), "{}: only its own modules, which it names by super", path.display());
        assert!(!text(&path).contains("engine::provider") && !text(&path).contains("engine::pipeline"));
    }
    let inside = std::fs::read_dir(sources.join("provider")).expect("the folder exists");
    for path in inside.map(|entry| entry.expect("readable").path()) {
        assert!(!text(&path).contains("crate::wire"), "{}", path.display());
    }
}
