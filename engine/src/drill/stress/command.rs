//! Workload `command`: any program as the subject. It gets one JSON line {index, seed} on stdin; its exit code says
//! whether the run passed, and a JSON object of numbers on its stdout gives scores.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use contract::canonical;
use contract::digest::Digest;
use contract::record::run::Run;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::clock::monotonic_ns;
use crate::drill::{DrillError, Setting};

/// The longest that a subject may take; then it is ended, and the run has failed.
const LONGEST: Duration = Duration::from_secs(60);
/// The exit code of a subject that was ended, as `timeout` of coreutils gives it.
const TIMED_OUT: u8 = 124;
/// The exit code of a subject that a signal ended, without a code of its own.
const SIGNALLED: u8 = 128;
/// The longest output that is read.
const OUTPUT_BYTES: u64 = 1 << 20;

/// Runs the subject once for each index, then index 0 again.
pub(super) fn runs(setting: &Setting, runs: u64) -> Result<Vec<Run>, DrillError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let indices = (0..runs).map(|index| (index, 0)).chain([(0, 1)]);
    runtime.block_on(async {
        let mut rows = Vec::new();
        for (index, repeat) in indices {
            rows.push(one(setting, index, repeat).await?);
        }
        Ok(rows)
    })
}

async fn one(setting: &Setting, index: u64, repeat: u64) -> Result<Run, DrillError> {
    let (program, arguments) = setting
        .calibration
        .command_subject
        .split_first()
        .ok_or_else(|| DrillError::Usage("COMMAND_SUBJECT is empty: no program to run".into()))?;
    let seed = setting.plan.seed(index);
    let line = canonical::to_bytes(&json!({"index": index, "seed": seed})).map_err(|error| failed(&error))?;
    let start_ns = monotonic_ns();
    let (exit_code, output) = ask(program, arguments, &line).await?;
    let end_ns = monotonic_ns();
    let passed = exit_code == 0;
    Ok(Run {
        workload: "command".into(),
        index,
        repeat,
        seed,
        input_digest: Digest::of(&line),
        output_digest: Digest::of(&output),
        exit_code,
        planned: 0,
        missing: 0,
        violations: BTreeMap::new(),
        hard_pass: passed,
        soft_pass: passed,
        scores: scores(&output),
        calls: 1,
        attempts: 1,
        retries: 0,
        cached: 0,
        tokens: 0,
        cost_micro_usd: 0,
        duration_ms: (end_ns - start_ns) / 1_000_000,
        worker: 0,
        start_ns,
        end_ns,
    })
}

/// Exit code and output of one run of the subject.
async fn ask(program: &str, arguments: &[String], line: &[u8]) -> Result<(u8, Vec<u8>), DrillError> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| DrillError::Failed(format!("cannot start `{program}`: {error}")))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let whole = async {
        if let Some(mut stdin) = stdin {
            // A subject that does not read its input closes the pipe; its exit code says how it went.
            let _ = stdin.write_all(&[line, b"\n"].concat()).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT_BYTES).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, output))
    };
    match tokio::time::timeout(LONGEST, whole).await {
        Ok(ended) => {
            let (status, output) = ended?;
            Ok((status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(SIGNALLED), output))
        }
        Err(_) => Ok((TIMED_OUT, Vec::new())),
    }
}

/// The numbers of a JSON object; output that is none gives no scores, and a rule on a score then has no evidence.
fn scores(output: &[u8]) -> BTreeMap<String, f64> {
    match canonical::parse_evidence(output.trim_ascii()) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect()
        }
        _ => BTreeMap::new(),
    }
}

fn failed(error: &impl std::fmt::Display) -> DrillError {
    DrillError::Failed(error.to_string())
}
