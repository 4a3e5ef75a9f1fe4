//! The system calls of durable operations of the built program, as a tracer sees them: a kill cannot reveal a missing
//! sync, because the page cache outlives the process.

use std::path::Path;

use contract::record::lock::{Operation, Trace, TracedCall};

use super::task::Task;
use super::{Drill, steps};
use crate::drill::DrillError;
use crate::drill::process::{tool, worker_command};

/// The operations whose order on the disk matters.
const TRACED: [Operation; 2] = [Operation::Put, Operation::Settle];

const CALLS: &str =
    "trace=open,openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,flock";

pub(super) fn traces(drill: &Drill) -> Result<Vec<Trace>, DrillError> {
    TRACED.into_iter().map(|operation| trace(drill, operation)).collect()
}

fn trace(drill: &Drill, operation: Operation) -> Result<Trace, DrillError> {
    let folder = drill.work.path().join(format!("trace-{operation:?}"));
    steps::prepare(&folder, operation, drill.policy)?;
    let log = folder.join("strace.log");
    let task = Task::Step { folder: folder.clone(), operation, kill_before: None, policy: drill.policy };
    let worker = worker_command(&task.to_json()?)?;
    let mut strace = tool("strace");
    strace.args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"]).arg(&log).arg(worker.get_program()).args(worker.get_args());
    let not_run = match strace.output() {
        Err(error) => Some(format!("no tracer: strace: {}", error.kind())),
        Ok(output) if !output.status.success() => {
            Some("strace could not trace a process here, or the operation failed under it".to_owned())
        }
        Ok(_) => None,
    };
    let calls = match &not_run {
        Some(_) => Vec::new(),
        None => parse(&std::fs::read_to_string(&log)?, &folder),
    };
    Ok(Trace { not_run, operation, calls })
}

/// The calls on files below `folder` that succeeded.
fn parse(log: &str, folder: &Path) -> Vec<TracedCall> {
    log.lines().filter_map(|line| call_of(line, folder)).collect()
}

/// One line is `<pid> name(arguments) = result`; paths are quoted, or in angle brackets behind a file handle.
fn call_of(line: &str, folder: &Path) -> Option<TracedCall> {
    let (name, rest) = line.split_once('(')?;
    let name = name.split_ascii_whitespace().last()?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let call = match name {
        "open" | "openat" if arguments.contains("O_CREAT") => "create",
        "write" | "pwrite64" | "writev" => "write",
        "fsync" | "fdatasync" => "sync",
        "rename" | "renameat" | "renameat2" => "rename",
        "unlink" | "unlinkat" => "unlink",
        "flock" if arguments.contains("LOCK_UN") => "unlock",
        "flock" => "lock",
        _ => return None,
    };
    let mut paths = paths_in(arguments).filter_map(|path| word_for(path, folder));
    let target = paths.next()?;
    let onto = if call == "rename" { paths.next()? } else { "" };
    Some(TracedCall { call: call.to_owned(), target: target.to_owned(), onto: onto.to_owned() })
}

/// Everything in quotes or angle brackets; the working folder behind `AT_FDCWD` is among them and lies elsewhere.
fn paths_in(arguments: &str) -> impl Iterator<Item = &str> {
    arguments.split(['"', '<', '>']).filter(|piece| piece.starts_with('/'))
}

fn word_for(path: &str, folder: &Path) -> Option<&'static str> {
    let path = Path::new(path);
    if !path.starts_with(folder) {
        return None;
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("tmp") => Some("tmp"),
        Some("entry") => Some("entry"),
        Some("jsonl") => Some("journal"),
        Some("lock") => Some("lock"),
        None => Some("folder"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_as_words_without_paths() {
        let log = r#"7 openat(AT_FDCWD</home/x>, "/w/c/ab.1-0.tmp", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 5</w/c/ab.1-0.tmp>
7 openat(AT_FDCWD</home/x>, "/w/c/ab.entry", O_RDONLY|O_CLOEXEC) = 6</w/c/ab.entry>
7 write(5</w/c/ab.1-0.tmp>, ""..., 441) = 441
7 write(2</dev/pts/0>, ""..., 441) = 441
7 fsync(5</w/c/ab.1-0.tmp>)           = 0
7 fsync(5</w/c/ab.1-0.tmp>)           = -1 EIO (Input/output error)
7 rename("/w/c/ab.1-0.tmp", "/w/c/ab.entry") = 0
7 fsync(5</w/c>)                      = 0
7 flock(3</w/c/ab.lock>, LOCK_UN)     = 0
7 +++ exited with 0 +++"#;
        let seen: Vec<String> = parse(log, Path::new("/w"))
            .into_iter()
            .map(|call| format!("{} {} {}", call.call, call.target, call.onto).trim_end().to_owned())
            .collect();
        let expected = ["create tmp", "write tmp", "sync tmp", "rename tmp entry", "sync folder", "unlock lock"];
        assert_eq!(seen, expected);
        assert_eq!(parse(log, Path::new("/elsewhere")), []);
    }
}
