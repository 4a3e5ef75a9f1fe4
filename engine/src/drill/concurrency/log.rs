//! What a worker did, line by line, in a file of its own: each line is one write, so a kill loses at most the line that
//! was not begun.

use std::fs::File;
use std::io::{self, Write as _};

use contract::record::lock::{Doing, Section};
use serde::{Deserialize, Serialize};

use super::arena::Arena;

/// One thing that a worker did; times are nanoseconds since the drill began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(super) enum Event {
    /// Waits behind the barrier.
    Ready,
    /// Passed the barrier.
    Start { ns: u64 },
    /// Begins to wait for the lock of a counter.
    Wait { counter: u64, ns: u64 },
    /// Holds it and has read the counter, but changed nothing.
    Hold { counter: u64, ns: u64, before: u64, overlap: bool },
    /// Has written the counter and still holds the lock.
    Done { ns: u64, after: u64 },
    /// Could not get the lock.
    Refused { ns: u64, error: String, named_pid: Option<u32>, held_ms: Option<u64>, stuck: bool },
    /// Released the lock.
    Released,
    /// Begins to store a fresh entry.
    Store,
    /// Has stored it.
    Stored,
    /// Read so much, with these results.
    Read(Reads),
    /// Ends.
    End { ns: u64 },
}

impl Event {
    /// When it happened, where it says so.
    pub(super) fn ns(&self) -> Option<u64> {
        match self {
            Self::Start { ns }
            | Self::Wait { ns, .. }
            | Self::Hold { ns, .. }
            | Self::Done { ns, .. }
            | Self::Refused { ns, .. }
            | Self::End { ns } => Some(*ns),
            Self::Ready | Self::Released | Self::Store | Self::Stored | Self::Read(_) => None,
        }
    }
}

/// The counts of a reader, as in its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub(super) struct Reads {
    pub(super) reads: u64,
    pub(super) intact: u64,
    pub(super) absent: u64,
    pub(super) torn: u64,
    pub(super) set_aside: u64,
    pub(super) planted: u64,
    pub(super) planted_refused: u64,
}

/// The open log of a worker.
pub(super) struct Log {
    file: File,
}

impl Log {
    pub(super) fn create(arena: &Arena, name: &str) -> io::Result<Self> {
        Ok(Self { file: File::options().append(true).create_new(true).open(arena.log_path(name))? })
    }

    pub(super) fn note(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// The events of a worker so far; none when it has not begun its log.
pub(super) fn read(arena: &Arena, name: &str) -> io::Result<Vec<Event>> {
    let text = match std::fs::read_to_string(arena.log_path(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The critical sections in a writer's events; the last one may be open.
pub(super) fn sections(arena: &Arena, writer: u64, events: &[Event]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut waiting_since = 0;
    for event in events {
        match *event {
            Event::Wait { ns, .. } => waiting_since = ns,
            Event::Hold { counter, ns, before, overlap } => sections.push(Section {
                phase: arena.phase,
                writer,
                counter,
                wait_ns: waiting_since,
                start_ns: ns,
                end_ns: None,
                before,
                after: None,
                overlap,
            }),
            Event::Done { ns, after } => {
                if let Some(open) = sections.last_mut() {
                    open.end_ns = Some(ns);
                    open.after = Some(after);
                }
            }
            _ => {}
        }
    }
    sections
}

/// What a killed worker was doing, and with which counter.
pub(super) fn doing(events: &[Event]) -> (Doing, Option<u64>) {
    let counter = events.iter().rev().find_map(|event| match event {
        Event::Wait { counter, .. } => Some(*counter),
        _ => None,
    });
    match events.last() {
        None | Some(Event::Ready) => (Doing::Starting, None),
        Some(Event::Wait { .. } | Event::Done { .. }) => (Doing::Waiting, counter),
        Some(Event::Hold { .. }) => (Doing::Holding, counter),
        Some(Event::Store) => (Doing::Storing, None),
        Some(_) => (Doing::Between, None),
    }
}
