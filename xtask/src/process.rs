//! The one place that starts programs: each in its own process group, with a stated time limit, its output passed on
//! line by line and its end kept apart from every other kind of trouble.
//!
//! A child gets its own process group so that a limit or Ctrl-C ends everything it started, and so that Ctrl-C on a
//! terminal reaches xtask alone, which then ends the tree in order and writes its report. Two threads read the pipes
//! because a child that fills one pipe while we wait on the other would hang for ever; the main thread owns all state.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::failure::Failure;
use crate::progress::{Progress, Stopwatch};

/// How many of the last lines of output an error shows.
const TAIL_LINES: usize = 20;
/// Output kept of one child; what comes beyond is dropped and said to be.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// How often limit, Ctrl-C and progress are looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long a process group may take to end after SIGTERM, and its pipes to close after its leader ended.
const GRACE: Duration = Duration::from_secs(2);

/// Variables that cargo sets for the program it runs. Build scripts of dependencies watch some of them
/// (`rerun-if-env-changed=CARGO_MANIFEST_DIR`, `CARGO_PKG_NAME` …), so that a cargo child which inherited xtask's own
/// would compile these dependencies again on every switch between a plain `cargo build` and a gate. The `GIT_` names are
/// set inside git hooks and would bind every git that a test starts to the hook's repository. `PROOFHOUSE_*` configure
/// this very run: a test or a nested run must not see them.
const REMOVED_PREFIXES: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "PROOFHOUSE_"];
const REMOVED_NAMES: &[&str] = &[
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// A program to run.
#[derive(Debug)]
pub(crate) struct Task {
    label: String,
    command: Command,
    folder: PathBuf,
    limit: Duration,
    one_stream: bool,
}

/// Which pipe a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) took: Duration,
    /// Standard output, without what lies beyond the kept size.
    pub(crate) out: String,
    /// Standard error; empty where both were one stream.
    pub(crate) err: String,
    /// The last lines of both.
    pub(crate) tail: VecDeque<String>,
}

/// The three ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exit(i32),
    Signal(i32),
    TimedOut(Duration),
}

static INTERRUPTED: std::sync::OnceLock<Arc<AtomicBool>> = std::sync::OnceLock::new();

/// From here on SIGINT and SIGTERM only raise a flag, which every wait looks at.
pub(crate) fn catch_signals() -> Result<(), Failure> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|error| Failure::internal(format!("cannot watch signal {signal}: {error}")))?;
    }
    Ok(())
}

/// Whether Ctrl-C was pressed.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// Fails once Ctrl-C was pressed.
pub(crate) fn check_interrupted() -> Result<(), Failure> {
    if interrupted() { Err(Failure::interrupted()) } else { Ok(()) }
}

/// A cargo child. `target` is the target folder in force, given as a variable so that it stays the same when the child
/// runs in another folder than the user.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    folder: &Path,
    target: Option<&Path>,
    arguments: impl IntoIterator<Item = S>,
    limit: Duration,
) -> Task {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut task = program_in(folder, &program, arguments, limit).without_own_variables().labelled("cargo");
    task.command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    if let Some(target) = target {
        task.command.env("CARGO_TARGET_DIR", target);
    }
    task
}

/// Any other program.
#[expect(clippy::disallowed_methods, reason = "this is the process module that starts all programs")]
pub(crate) fn program_in<S: AsRef<OsStr>>(
    folder: &Path,
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
    limit: Duration,
) -> Task {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let name = Path::new(program.as_ref()).file_name().unwrap_or(program.as_ref());
    Task { label: name.to_string_lossy().into_owned(), command, folder: folder.to_owned(), limit, one_stream: false }
}

impl Task {
    /// The name in messages.
    pub(crate) fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Both streams share one pipe, so that their lines keep the order in which they were written; all of it is `out`.
    pub(crate) fn one_stream(self) -> Self {
        Self { one_stream: true, ..self }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes away what cargo and git hooks set for xtask itself, and the configuration of this run.
    pub(crate) fn without_own_variables(mut self) -> Self {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if REMOVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || REMOVED_NAMES.contains(&&*text) {
                self.command.env_remove(&name);
            }
        }
        self
    }

    /// Passes on the name of a defect. Only an engine built with the feature `sabotage` reads it; the name is not even in
    /// the binary of any other.
    pub(crate) fn with_sabotage(self) -> Self {
        match std::env::var_os("PROOFHOUSE_SABOTAGE") {
            Some(defect) => self.env("PROOFHOUSE_SABOTAGE", defect),
            None => self,
        }
    }

    /// The command without folders, for logs that must not name the machine.
    pub(crate) fn command_line(&self) -> Vec<String> {
        let base = |text: &OsStr| {
            let path = Path::new(text);
            let name = if path.is_absolute() { path.file_name().unwrap_or(text) } else { text };
            name.to_string_lossy().into_owned()
        };
        std::iter::once(self.label.clone()).chain(self.command.get_args().map(base)).collect()
    }

    /// Runs the program to its end; `seen` gets every line as it comes.
    ///
    /// # Errors
    /// The program or its folder is missing, it cannot be started, or Ctrl-C was pressed.
    pub(crate) fn run(mut self, progress: &mut Progress, mut seen: impl FnMut(Stream, &str)) -> Result<Ended, Failure> {
        let watch = Stopwatch::start();
        let (sender, lines) = channel();
        let mut child = self.start(sender)?;
        let mut ended = Ended {
            end: End::Exit(0),
            took: Duration::ZERO,
            out: String::new(),
            err: String::new(),
            tail: VecDeque::new(),
        };
        let mut left_at = None;
        let mut said_waiting = false;
        let end = loop {
            match lines.recv_timeout(POLL) {
                Ok((stream, line)) => {
                    // What cargo prints while another one holds a lock; silence here would read as a hang.
                    let waiting = line.trim_start().strip_prefix("Blocking waiting for file lock on ");
                    if let Some(what) = waiting.filter(|_| !std::mem::replace(&mut said_waiting, true)) {
                        progress.say(&format!("waiting for another cargo (its lock on {what})"));
                    }
                    ended.keep(stream, &line);
                    seen(stream, &line);
                }
                Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            progress.tick();
            if interrupted() {
                end_tree(&mut child);
                return Err(Failure::interrupted());
            }
            if watch.elapsed() > self.limit {
                end_tree(&mut child);
                break Some(End::TimedOut(self.limit));
            }
            // A grandchild that outlived its parent may hold the pipes open; it is ended, not waited for.
            if matches!(child.try_wait(), Ok(Some(_)))
                && *left_at.get_or_insert(watch.elapsed()) + GRACE < watch.elapsed()
            {
                end_tree(&mut child);
                break None;
            }
        };
        drain(&lines, &mut ended, &mut seen);
        let waited = child.wait().map_err(|error| self.trouble("wait for", &error))?;
        ended.end = end.unwrap_or_else(|| End::of(waited));
        ended.took = watch.elapsed();
        Ok(ended)
    }

    /// Runs a program that answers a question; its output is small and belongs to the caller alone.
    ///
    /// # Errors
    /// As [`Task::run`].
    pub(crate) fn ask(self, progress: &mut Progress) -> Result<Ended, Failure> {
        self.run(progress, |_, _| ())
    }

    fn start(&mut self, sender: Sender<(Stream, String)>) -> Result<Child, Failure> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        if self.one_stream {
            let (reader, writer) = std::io::pipe().map_err(|error| self.trouble("make a pipe for", &error))?;
            let second = writer.try_clone().map_err(|error| self.trouble("make a pipe for", &error))?;
            self.command.stdout(writer).stderr(second);
            let child = self.command.spawn().map_err(|error| self.trouble("start", &error))?;
            // Our own ends of the pipe must close, or its end is never seen.
            self.command.stdout(Stdio::null()).stderr(Stdio::null());
            read_lines(Stream::Out, reader, sender);
            return Ok(child);
        }
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| self.trouble("start", &error))?;
        if let Some(out) = child.stdout.take() {
            read_lines(Stream::Out, out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            read_lines(Stream::Err, err, sender);
        }
        Ok(child)
    }

    /// The operating system says "not found" for a missing program and for a missing folder alike.
    fn trouble(&self, attempt: &str, error: &std::io::Error) -> Failure {
        let program = self.command.get_program().to_string_lossy().into_owned();
        if !self.folder.is_dir() {
            return Failure::infrastructure(format!(
                "cannot {attempt} `{}`: the folder {} is not there",
                self.label,
                self.folder.display()
            ));
        }
        if error.kind() == std::io::ErrorKind::NotFound {
            return Failure::infrastructure(format!("cannot {attempt} `{program}`: no such program")).hint(format!(
                "install `{}` or put it on PATH; `cargo xtask doctor` lists what is needed",
                self.label
            ));
        }
        Failure::infrastructure(format!("cannot {attempt} `{program}`: {error}"))
    }
}

impl Ended {
    pub(crate) fn succeeded(&self) -> bool {
        self.end == End::Exit(0)
    }

    /// The exit code; `None` when a signal or the limit ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        match self.end {
            End::Exit(code) => Some(code),
            _ => None,
        }
    }

    /// The last lines, indented, for an error.
    pub(crate) fn tail_text(&self) -> String {
        self.tail.iter().map(|line| format!("\n  | {line}")).collect()
    }

    fn keep(&mut self, stream: Stream, line: &str) {
        let kept = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        if kept.len() + line.len() < KEPT_BYTES_MAX {
            kept.push_str(line);
            kept.push('\n');
        } else if !kept.ends_with(DROPPED) {
            kept.push_str(DROPPED);
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }
}

const DROPPED: &str = "[more output was dropped here]\n";

impl End {
    fn of(status: std::process::ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        // Without a signal there is a code on every platform that std knows.
        Self::Exit(status.code().unwrap_or(-1))
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut(limit) => write!(f, "ended at its limit of {} s", limit.as_secs()),
        }
    }
}

fn read_lines(stream: Stream, pipe: impl Read + Send + 'static, sender: Sender<(Stream, String)>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        // A pipe that cannot be read any more has ended; the exit code tells what became of the child.
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
            let line = String::from_utf8_lossy(&bytes);
            if sender.send((stream, line.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

/// What is still in the channel after the loop; the readers end soon after the process group did.
fn drain(lines: &Receiver<(Stream, String)>, ended: &mut Ended, seen: &mut impl FnMut(Stream, &str)) {
    while let Ok((stream, line)) = lines.recv_timeout(POLL) {
        ended.keep(stream, &line);
        seen(stream, &line);
    }
}

/// Ends the child and everything it started: politely first, so that drills can remove what they made, then for good.
#[cfg(unix)]
fn end_tree(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = |signal| {
        // A group that is already gone is what we want.
        let _ = group.map(|group| kill_process_group(group, signal));
    };
    signal(Signal::TERM);
    let watch = Stopwatch::start();
    while watch.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(POLL);
    }
    signal(Signal::KILL);
    // Reaped so that no zombie stays; how it ended is known.
    let _ = child.wait();
}

#[cfg(not(unix))]
fn end_tree(child: &mut Child) {
    // Without process groups only the child itself can be ended; one that is already gone is what we want.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Task {
        program_in(Path::new("/"), "sh", ["-c", script], limit)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn output_and_exit_code_are_kept() {
        let ended = shell("echo out; echo err >&2; exit 3", MINUTE).ask(&mut Progress::silent()).expect("sh is there");
        assert_eq!((ended.end, ended.out.as_str(), ended.err.as_str()), (End::Exit(3), "out\n", "err\n"));
        let one = shell("echo a; echo b >&2; echo c", MINUTE).one_stream().ask(&mut Progress::silent()).expect("sh");
        assert_eq!((one.out.as_str(), one.err.as_str()), ("a\nb\nc\n", ""));
    }

    #[test]
    fn a_missing_program_is_no_missing_folder() {
        let program = program_in(Path::new("/"), "no-such-program", ["x"], MINUTE).ask(&mut Progress::silent());
        let failure = program.expect_err("there is no such program");
        assert_eq!(failure.code, contract::exit::gate::INFRASTRUCTURE);
        assert!(failure.message.contains("no such program"), "{failure:?}");
        let folder = program_in(Path::new("/no/such/folder"), "sh", ["x"], MINUTE).ask(&mut Progress::silent());
        assert!(folder.expect_err("there is no such folder").message.contains("is not there"));
    }

    #[test]
    fn the_limit_ends_the_whole_tree() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let script = "sleep 300 & echo $! > pid; wait";
        let task = program_in(scratch.path(), "sh", ["-c", script], Duration::from_millis(300));
        let ended = task.ask(&mut Progress::silent()).expect("sh is there");
        assert!(matches!(ended.end, End::TimedOut(_)), "{ended:?}");
        let pid = std::fs::read_to_string(scratch.path().join("pid")).expect("the shell wrote it first");
        let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        // Dying takes a moment on a busy machine, and reaping an orphan is up to init: gone or a zombie is dead.
        let dead = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            rustix::process::test_kill_process(pid).is_err() || state.is_ok_and(|state| state.contains(") Z "))
        };
        let watch = Stopwatch::start();
        while !dead() {
            assert!(watch.elapsed() < MINUTE, "the grandchild lives");
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
        let ended = shell("sleep 300 & echo started", MINUTE).ask(&mut Progress::silent()).expect("sh is there");
        assert_eq!((ended.end, ended.out.as_str()), (End::Exit(0), "started\n"));
        assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
    }
}
