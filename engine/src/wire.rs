//! A server that speaks both provider protocols over loopback HTTP and misbehaves on demand: for drills and tests of the
//! providers. It shares no code with them, so a mistake in one cannot hide in the other.
//!
//! Each request for a reply plays the next step of the script and is written to the journal before it is answered. The
//! control endpoints `POST /control/script` (start over with a new script), `GET /control/journal` (JSON Lines) are no
//! such requests.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

mod message;
mod protocol;
mod script;

use message::{Message, response};
use protocol::Protocol;
pub use script::{Script, Step};

/// The server's state: what comes next, and what has arrived.
#[derive(Debug)]
struct State {
    script: Script,
    played: usize,
    journal: Vec<Value>,
    file: Option<std::fs::File>,
}

/// The server.
#[derive(Clone, Debug)]
pub struct Wire {
    state: Arc<Mutex<State>>,
}

impl Wire {
    /// Plays `script`; the journal is also appended to `journal`, line by line.
    ///
    /// # Errors
    /// When the journal cannot be opened.
    pub fn new(script: Script, journal: Option<PathBuf>) -> std::io::Result<Self> {
        let open = |path| std::fs::File::options().create(true).append(true).open(path);
        let file = journal.map(open).transpose()?;
        Ok(Self { state: Arc::new(Mutex::new(State { script, played: 0, journal: Vec::new(), file })) })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let wire = self.clone();
            tokio::spawn(async move {
                // A client that went away is its own affair.
                let _ = wire.answer(stream).await;
            });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(message) = message::read(&mut stream).await? else {
            return Ok(());
        };
        let bytes = match (message.method.as_str(), message.path.as_str()) {
            ("POST", "/control/script") => self.control(&message),
            ("GET", "/control/journal") => response(200, "", self.lines().as_bytes()),
            ("POST", path) => match Protocol::of(path) {
                Some(protocol) => match self.play(protocol, &message)? {
                    Played::Bytes(bytes) => bytes,
                    Played::Silence => {
                        // Until the client gives up and closes.
                        while stream.read(&mut [0; 64]).await? > 0 {}
                        return Ok(());
                    }
                },
                None => response(404, "", b"{\"error\":{\"message\":\"no such path\"}}"),
            },
            _ => response(404, "", b"{\"error\":{\"message\":\"no such path\"}}"),
        };
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    }

    fn control(&self, message: &Message) -> Vec<u8> {
        match Script::parse(&message.body) {
            Ok(script) => {
                let mut state = self.state();
                state.script = script;
                state.played = 0;
                state.journal.clear();
                response(200, "", b"{}")
            }
            Err(reason) => response(400, "", json!({ "error": { "message": reason } }).to_string().as_bytes()),
        }
    }

    /// Journals a request and gives the answer that the script has for it.
    fn play(&self, protocol: Protocol, message: &Message) -> std::io::Result<Played> {
        let mut state = self.state();
        let number = state.played;
        let authorized = protocol.authorized(message);
        let step = if authorized { state.script.step(number).clone() } else { Step::status(401) };
        state.played += 1;
        let line = json!({
            "number": number,
            "path": message.path,
            "protocol": protocol.name(),
            "authorized": authorized,
            "answer": step.name(),
            // No header is written down: one of them holds the key.
            "body": serde_json::from_slice::<Value>(&message.body).unwrap_or(Value::Null),
        });
        if let Some(file) = &mut state.file {
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        state.journal.push(line);
        Ok(protocol.play(&step, message))
    }

    fn lines(&self) -> String {
        self.state().journal.iter().map(|line| format!("{line}\n")).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes back.
enum Played {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Silence,
}
