//! The same calls against a server that others wrote (npm `@copilotkit/aimock`), with a journal of its own: what both our
//! halves had wrong in the same way would be seen here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contract::calibration::Calibration;
use contract::chaos_profile::FailureMode;
use contract::record::chaos::{CallEnd, WireCase};
use serde_json::{Value, json};
use tokio::process::Command;

use super::wire::{Made, TEXT, call};
use crate::drill::counterpart::{Counterpart, PROTOCOLS};

/// The variable that names the folder of third-party programs.
const TOOLS: &str = "PROOFHOUSE_TOOLS";

/// Where the program lies below that folder.
const PROGRAM: &str = "npm/node_modules/.bin/llmock";

/// The journal gets a request when it is answered, which may be a moment after the client has the answer.
const JOURNAL_TURNS: u32 = 20;
const JOURNAL_TURN: Duration = Duration::from_millis(100);

/// The program, where it is installed: below `PROOFHOUSE_TOOLS`, else below `tools` beside the folder of this program.
#[must_use]
pub fn program() -> Option<PathBuf> {
    let tools = match std::env::var_os(TOOLS) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe().ok()?.ancestors().nth(2)?.join("tools"),
    };
    Some(tools.join(PROGRAM)).filter(|program| program.is_file())
}

/// Rows that say that the server is not there.
#[must_use]
pub fn not_run() -> Vec<WireCase> {
    let every = PROTOCOLS.iter().flat_map(|protocol| FailureMode::ALL.map(|mode| (*protocol, mode)));
    every
        .map(|(protocol, mode)| WireCase {
            case: name(protocol, mode),
            server: "aimock".into(),
            protocol: protocol.into(),
            mode: Some(mode),
            script: Vec::new(),
            attempts: 0,
            arrived: 0,
            outcomes: Vec::new(),
            end: CallEnd { call_index: 0, attempts: 0, outcome: String::new(), chars: 0 },
            text_intact: false,
            key_seen: 0,
            bodies: Vec::new(),
            not_run: Some("npm @copilotkit/aimock is not installed (.ci/install-tools)".into()),
        })
        .collect()
}

/// Each mode once before a good reply, in both protocols, one after the other but for the waiting.
///
/// # Errors
/// When the server cannot be started or asked for its journal.
pub async fn cases(program: &Path, calibration: &Arc<Calibration>) -> Result<Vec<Made>, String> {
    let work = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = work.path().join("fixtures.json");
    let late_ms = calibration.latency_limits.max_call_latency_ms + 500;
    std::fs::write(&file, fixtures(late_ms).to_string()).map_err(|error| format!("fixtures: {error}"))?;
    let mut command = Command::new(program);
    command.args(["-p", "0", "--log-level", "debug", "-f"]).arg(&file);
    let port = |line: &str| line.rsplit_once("http://127.0.0.1:")?.1.trim().parse().ok();
    let server = Arc::new(Counterpart::start(command, port).await?);
    let mut running = Vec::new();
    for (protocol, mode) in PROTOCOLS.iter().flat_map(|protocol| FailureMode::ALL.map(|mode| (*protocol, mode))) {
        let (server, calibration) = (server.clone(), calibration.clone());
        running.push(tokio::spawn(async move { one(&server, calibration, protocol, mode).await }));
    }
    let mut made = Vec::new();
    for case in running {
        made.push(case.await.map_err(|error| error.to_string())??);
    }
    Ok(made)
}

fn name(protocol: &str, mode: FailureMode) -> String {
    format!("aimock-{protocol}-{}", mode.name())
}

async fn one(
    server: &Counterpart,
    calibration: Arc<Calibration>,
    protocol: &str,
    mode: FailureMode,
) -> Result<Made, String> {
    let case = name(protocol, mode);
    let (attempts, mut row) = call(server, calibration, protocol, &case, &case).await?;
    let mut arrived = Vec::new();
    for _ in 0..JOURNAL_TURNS {
        arrived = journal(server, protocol, mode).await?;
        if arrived.len() >= attempts.len() {
            break;
        }
        tokio::time::sleep(JOURNAL_TURN).await;
    }
    row.server = "aimock".into();
    row.mode = Some(mode);
    row.script = vec![mode.name().into(), "ok".into()];
    row.arrived = arrived.len() as u64;
    row.bodies = arrived.iter().map(|request| request["body"].clone()).collect();
    Ok(Made { case: row, attempts, arrived })
}

/// What the server wrote down about one case, without headers.
async fn journal(server: &Counterpart, protocol: &str, mode: FailureMode) -> Result<Vec<Value>, String> {
    let case = name(protocol, mode);
    let text = server.get("/__aimock/journal").await?;
    let entries: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("journal: {error}"))?;
    let ours = entries.into_iter().filter(|entry| {
        let messages = entry["body"]["messages"].as_array();
        messages.is_some_and(|messages| messages.iter().any(|message| message["content"] == case.as_str()))
    });
    let mut arrived: Vec<Value> = ours
        .map(|entry| json!({ "path": entry["path"], "status": entry["response"]["status"], "body": entry["body"] }))
        .collect();
    if mode == FailureMode::Timeout {
        // Its journal leaves out a request whose client went away before the answer; its log names it, by path. No other
        // case goes away.
        let path = if protocol == "openai" { "POST /v1/chat/completions" } else { "POST /v1/messages" };
        let gone = |line: &String| line.contains(path) && line.contains("the client disconnected");
        let abandoned = server.said().iter().filter(|line| gone(line)).count();
        arrived.extend(std::iter::repeat_n(json!({ "path": path, "abandoned": true, "body": null }), abandoned));
    }
    Ok(arrived)
}

fn fixtures(late_ms: u64) -> Value {
    let good = json!({ "content": TEXT });
    let error = |status: u16| json!({ "error": { "message": "no", "type": "error" }, "status": status });
    let mut fixtures = Vec::new();
    for (protocol, mode) in PROTOCOLS.iter().flat_map(|protocol| FailureMode::ALL.map(|mode| (*protocol, mode))) {
        let case = name(protocol, mode);
        let mut limited = error(429);
        limited["retryAfter"] = json!(1);
        let (response, chaos) = match mode {
            FailureMode::RateLimit429 => (limited, json!({})),
            FailureMode::Timeout => (good.clone(), json!({ "latencyMs": late_ms })),
            FailureMode::InvalidJson => (good.clone(), json!({ "malformedRate": 1 })),
            FailureMode::ApiError500 => (error(500), json!({})),
            FailureMode::NetworkError => (good.clone(), json!({ "disconnectRate": 1 })),
            FailureMode::EmptyResponse => (json!({ "content": "" }), json!({})),
        };
        let once = json!({ "userMessage": case, "sequenceIndex": 0 });
        fixtures.push(json!({ "match": once, "response": response, "chaos": chaos }));
        fixtures.push(json!({ "match": { "userMessage": case }, "response": good }));
    }
    json!({ "fixtures": fixtures })
}
