//! The server process that drills and tests call over real HTTP: prints its port, plays its script, and ends when its
//! stdin is closed or on SIGTERM.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use contract::exit;
use engine::wire::{Script, Wire};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "wire", version, about = "Speak both provider protocols on loopback, as a script says")]
struct Cli {
    /// Script to play (JSON); without one every request gets a good reply
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Append every request that arrives to this file (JSON Lines)
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let script = match &cli.script {
        None => Ok(Script::default()),
        Some(file) => std::fs::read(file)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Script::parse(&bytes))
            .map_err(|reason| format!("{}: {reason}", file.display())),
    };
    let script = match script {
        Ok(script) => script,
        Err(reason) => return end(exit::engine::USAGE, &reason),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        let served = runtime.block_on(run(script, cli.journal));
        // The thread that reads stdin may wait for ever.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(exit::engine::UNAVAILABLE, &error.to_string()),
    }
}

async fn run(script: Script, journal: Option<PathBuf>) -> std::io::Result<()> {
    let wire = Wire::new(script, journal)?;
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let port = listener.local_addr()?.port();
    writeln!(std::io::stdout(), "{port}")?;
    tokio::select! {
        served = wire.serve(listener) => served,
        () = stdin_closed() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Whoever started this server holds the other end: when that process is gone, however it ended, so is this one.
async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0; 64];
    while stdin.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

fn end(code: u8, reason: &str) -> ExitCode {
    // Nobody is left to tell when stderr is closed; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "wire: {reason}");
    ExitCode::from(code)
}
