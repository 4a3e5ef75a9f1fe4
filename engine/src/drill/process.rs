//! The one place where drills start, stop and end processes: workers of their own program, and the few tools that make
//! a fault or watch a worker. Only children started here are ever sent a signal.
#![allow(clippy::disallowed_methods, reason = "drills start their processes here and nowhere else")]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::exit::engine as exit;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// A worker of this very program. It is killed when it is dropped without having been waited for.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    ended: Option<ExitStatus>,
}

/// Workers that were started and not yet reaped, so that an interrupted drill can end them before it clears its folder.
static LIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn live() -> MutexGuard<'static, Vec<Pid>> {
    // The list is whole after every change, so a panic elsewhere leaves nothing half done.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a worker and lists it; under one lock, so that an interrupted drill starts no more of them.
fn start(command: &mut Command) -> io::Result<Worker> {
    let mut live = live();
    let child = command.spawn()?;
    live.push(Pid::from_child(&child));
    Ok(Worker { child, ended: None })
}

/// Waits for a worker. It leaves the list while its number is still its own: once reaped, the number may be another's.
fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    live().retain(|other| *other != pid);
    child.wait()
}

/// How often an interrupted drill tries to remove its folder, 2 ms apart.
const REMOVALS_MAX: u32 = 500;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Its exit code, when it ended by itself.
    pub(super) exit_code: Option<u8>,
    /// The signal that ended it.
    pub(super) signal: Option<u8>,
}

impl Worker {
    /// Starts `drill worker <task>`.
    pub(super) fn start(task: &str) -> io::Result<Self> {
        start(worker_command(task)?.stdin(Stdio::null()).stdout(Stdio::null()))
    }

    /// The same, for a task whose failure is expected and written down: its message would only alarm people.
    pub(super) fn start_quiet(task: &str) -> io::Result<Self> {
        let mut command = worker_command(task)?;
        start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Starts this program with `arguments`; it waits for [`Worker::go`], the end of its stdin.
    pub(super) fn start_waiting(arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        start(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()))
    }

    /// Lets a process that was started waiting begin.
    pub(super) fn go(&mut self) {
        self.child.stdin = None;
    }

    /// The process number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> io::Result<Ending> {
        let status = reap(&mut self.child)?;
        self.ended = Some(status);
        Ok(ending(status))
    }

    /// Sends SIGKILL and waits for the end.
    pub(super) fn kill(mut self) -> io::Result<Ending> {
        self.child.kill()?;
        self.wait()
    }

    /// Waits until it has stopped itself (SIGSTOP); `false` when it ended instead.
    pub(super) fn wait_until_stopped(&self) -> io::Result<bool> {
        let waited = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED)?;
        Ok(waited.is_some_and(|(_, status)| status.stopped()))
    }

    /// Sends SIGCONT.
    pub(super) fn resume(&self) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::CONT)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // On the way out with an error; a worker that has just ended by itself is as good.
            let _ = self.child.kill();
            let _ = reap(&mut self.child);
        }
    }
}

/// Sends a signal to this process itself, at the very point where it stands.
pub(super) fn signal_self(signal: Signal) -> io::Result<()> {
    Ok(kill_process(rustix::process::getpid(), signal)?)
}

/// Ends this worker with the drill that started it, also when the drill is killed: nobody would resume or call it off.
pub(super) fn end_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

/// From now on an interrupted drill ends its workers and removes `folder` before it ends.
pub(super) fn clear_when_interrupted(folder: &Path) -> io::Result<()> {
    let folder = folder.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // Kept to the end: no further worker is started.
        let live = live();
        for pid in live.iter() {
            // One that has just ended by itself is as good.
            let _ = kill_process(*pid, Signal::KILL);
        }
        // A killed worker may still be inside a last system call, so the folder is removed until it stays away.
        for _ in 0..REMOVALS_MAX {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    Ok(())
}

/// The ways to say how a process ended.
pub(super) fn ending(status: ExitStatus) -> Ending {
    let small = |number: i32| u8::try_from(number).ok();
    Ending { exit_code: status.code().and_then(small), signal: status.signal().and_then(small) }
}

/// The command `drill worker <task>` of this very program.
pub(super) fn worker_command(task: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", task]);
    Ok(command)
}

/// A tool, by name: its standard error is kept for the reason when it fails.
pub(super) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
