//! One subprocess a call: the request as JSON on its stdin, the reply as JSON on its stdout.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command as Program;

use super::secret::Secret;
use super::{Identity, Pending, Provider, ProviderError, Reply, Request, StopReason, Usage, anthropic, openai};

/// Longest reply that is read.
const STDOUT_BYTES: u64 = 16 << 20;

/// How much of the end of stderr goes into an error.
const STDERR_TAIL_CHARS: usize = 400;

/// The provider.
#[derive(Debug)]
pub struct Command {
    identity: Identity,
    program: PathBuf,
    arguments: Vec<String>,
}

/// What the program must write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    stop_reason: StopReason,
    usage: Option<Usage>,
    request_id: Option<String>,
}

impl Command {
    /// Name of the provider.
    pub const NAME: &'static str = "command";

    /// Starts `program` with `arguments` for each call.
    #[must_use]
    pub fn new(program: &Path, arguments: &[String]) -> Self {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
        let endpoint = std::iter::once(name.as_ref()).chain(arguments.iter().map(String::as_str));
        let endpoint = endpoint.collect::<Vec<_>>().join(" ");
        let identity = Identity { provider: Self::NAME, endpoint, api_version: "1" };
        Self { identity, program: program.to_owned(), arguments: arguments.to_vec() }
    }

    async fn ask(&self, request: &Request) -> Result<Reply, ProviderError> {
        let failed = |detail: String| ProviderError::Command { detail };
        let input = contract::canonical::to_bytes(request).map_err(|error| failed(error.to_string()))?;
        let mut child = Program::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that whatever it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot start `{}`: {error}", self.identity.endpoint)))?;
        let mut group = Group::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A program that answers without reading closes the pipe; its reply and exit code say how it went.
                let _ = stdin.write_all(&input).await;
            }
        };
        let ((), stdout, stderr) = tokio::join!(feed, read(stdout), read(stderr));
        let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
        group.ended();
        finish(status, &redact(stdout), &redact(stderr))
    }
}

impl Provider for Command {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn needs_real_time(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a> {
        Box::pin(self.ask(request))
    }
}

/// The processes of one call. A call that is dropped, because its time is up, ends them all.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// The leader was waited for: from here on its number may be somebody else's.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It can only fail because nobody is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // A pipe that breaks ends the text: what is there so far is judged.
        let _ = pipe.take(STDOUT_BYTES + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Programs that call a provider themselves may print its key.
fn redact(bytes: Vec<u8>) -> Vec<u8> {
    let keys = [openai::KEY_VARIABLE, anthropic::KEY_VARIABLE].map(|variable| Secret::from_env(variable).ok());
    keys.iter().flatten().fold(bytes, |bytes, key| key.redact(bytes))
}

fn finish(status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Result<Reply, ProviderError> {
    if !status.success() {
        let stderr = String::from_utf8_lossy(stderr);
        let stderr = stderr.trim();
        let skipped = stderr.chars().count().saturating_sub(STDERR_TAIL_CHARS);
        let tail: String = stderr.chars().skip(skipped).collect();
        return Err(ProviderError::Command { detail: format!("{status}; stderr ends with: {tail}") });
    }
    if stdout.len() as u64 > STDOUT_BYTES {
        return Err(ProviderError::InvalidJson { detail: format!("more than {STDOUT_BYTES} bytes on stdout") });
    }
    let written: Written = serde_json::from_slice(stdout)
        .map_err(|error| ProviderError::InvalidJson { detail: format!("stdout: {error}") })?;
    Ok(Reply {
        text: written.text,
        stop_reason: written.stop_reason,
        usage: written.usage,
        provider: Command::NAME,
        request_id: written.request_id,
    })
}
