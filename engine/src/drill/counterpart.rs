//! A server process at the other end of the wire: the project's own `wire`, or one that others wrote. It is started for
//! a case, listens on loopback, and is gone when its handle is dropped.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The longest that a server may take to say that it listens.
const START_MAX: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub struct Counterpart {
    /// `http://127.0.0.1:<port>`.
    pub origin: String,
    said: Arc<Mutex<Vec<String>>>,
    // Dropping it kills the process.
    _child: Option<Child>,
}

/// The protocols that the providers speak.
pub const PROTOCOLS: [&str; 2] = ["openai", "anthropic"];

impl Counterpart {
    /// A server that somebody else runs, or nobody.
    #[must_use]
    pub fn at(origin: &str) -> Self {
        Self { origin: origin.to_owned(), said: Arc::default(), _child: None }
    }

    /// Starts the project's `wire` with a script, and reads its port from its first line.
    ///
    /// # Errors
    /// What failed, as a sentence.
    pub async fn wire(program: &Path, script: &crate::wire::Script) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let file = folder.path().join("script.json");
        let bytes = serde_json::to_vec(script).map_err(|error| error.to_string())?;
        std::fs::write(&file, bytes).map_err(|error| format!("the script cannot be written: {error}"))?;
        let mut command = Command::new(program);
        command.arg("--script").arg(&file);
        // The script is read before the port is printed, so the folder may go afterwards.
        Self::start(command, |line| line.trim().parse().ok()).await
    }

    /// Starts any server; `port` finds the port in the first line of its output that holds one.
    ///
    /// # Errors
    /// What failed, as a sentence.
    pub async fn start(mut command: Command, port: impl Fn(&str) -> Option<u16>) -> Result<Self, String> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start `{program}`: {error}"))?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let found = tokio::time::timeout(START_MAX, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(port) = port(&line) {
                    return Some(port);
                }
            }
            None
        });
        match found.await {
            Ok(Some(port)) => {
                let said = Arc::<Mutex<Vec<String>>>::default();
                let kept = said.clone();
                // Whatever it says later must not fill the pipe and stop it.
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                    }
                });
                Ok(Self { origin: format!("http://127.0.0.1:{port}"), said, _child: Some(child) })
            }
            Ok(None) => Err(format!("`{program}` ended without a port")),
            Err(_) => Err(format!("`{program}` did not say its port in {} s", START_MAX.as_secs())),
        }
    }

    /// The base URL under which a provider of this protocol asks.
    #[must_use]
    pub fn base_url(&self, protocol: &str) -> String {
        match protocol {
            "openai" => format!("{}/v1", self.origin),
            _ => self.origin.clone(),
        }
    }

    /// The lines that it has written on stdout since it said its port.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What `wire` says has arrived, line by line.
    ///
    /// # Errors
    /// What failed, as a sentence.
    pub async fn arrived(&self) -> Result<Vec<Value>, String> {
        let text = self.get("/control/journal").await?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
    }

    /// A plain GET.
    ///
    /// # Errors
    /// What failed, as a sentence.
    pub async fn get(&self, path: &str) -> Result<String, String> {
        // Also what the providers install; a second installation is refused and the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let get = async { reqwest::get(format!("{}{path}", self.origin)).await?.error_for_status()?.text().await };
        get.await.map_err(|error| format!("GET {path}: {}", error.without_url()))
    }
}
