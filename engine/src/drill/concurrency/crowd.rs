//! Writers and readers that start together behind a barrier, and the rows of what each did.

use std::time::Duration;

use contract::record::lock::{Phase, Reader, Writer};
use contract::seed::Seed;

use super::arena::Arena;
use super::log::{self, Event, Reads};
use super::task::Task;
use super::{Drill, Found, reader, writer};
use crate::drill::DrillError;
use crate::drill::process::{Ending, Worker};

/// Reader processes beside the writers.
const READERS: u64 = 2;
/// Longest wait for all processes of a crowd to stand behind the barrier.
const MUSTER_MAX: Duration = Duration::from_secs(60);

/// Writers with equal work and readers beside them; nobody is killed.
pub(super) fn calm(drill: &Drill, found: &mut Found) -> Result<(), DrillError> {
    let arena = drill.arena(Phase::Calm)?;
    let planned = drill.setting.calibration.concurrency_increments;
    let mut crowd = Crowd::muster(drill, &arena, planned)?;
    arena.open_barrier()?;
    for (number, worker) in std::mem::take(&mut crowd.writers) {
        let ending = worker.wait()?;
        found.add_writer(&arena, number, planned, ending)?;
    }
    arena.call_off()?;
    crowd.dismiss(&arena, found)
}

/// Processes of one phase that still run.
pub(super) struct Crowd {
    pub(super) writers: Vec<(u64, Worker)>,
    readers: Vec<(u64, Worker)>,
}

impl Crowd {
    /// Starts `CONCURRENCY_N` writers and the readers, and waits until all stand behind the barrier.
    pub(super) fn muster(drill: &Drill, arena: &Arena, increments: u64) -> Result<Self, DrillError> {
        let mut crowd = Self { writers: Vec::new(), readers: Vec::new() };
        for number in 0..drill.setting.calibration.concurrency_n {
            crowd.writers.push((number, start_writer(arena, number, increments, drill.seed)?));
        }
        for reader in 0..READERS {
            let seed = drill.seed.derive("reader", reader);
            let task = Task::Read { arena: arena.clone(), reader, seed };
            crowd.readers.push((reader, Worker::start(&task.to_json()?)?));
        }
        let names = crowd.writers.iter().map(|(number, _)| writer::log_name(*number));
        let names: Vec<String> = names.chain((0..READERS).map(reader::log_name)).collect();
        wait_until(MUSTER_MAX, "all processes stand behind the barrier", || {
            Ok(names.iter().all(|name| arena.log_path(name).metadata().is_ok_and(|facts| facts.len() > 0)))
        })?;
        Ok(crowd)
    }

    /// Waits for the readers and adds their rows, the counters and what is left in the folder.
    pub(super) fn dismiss(self, arena: &Arena, found: &mut Found) -> Result<(), DrillError> {
        for (number, worker) in self.readers {
            let ending = worker.wait()?;
            found.readers.push(reader_row(arena, number, ending)?);
        }
        found.counters.extend(arena.counters()?);
        found.residues.push(arena.residue()?);
        Ok(())
    }
}

/// Starts a writer; its own stream of draws follows from its number.
pub(super) fn start_writer(arena: &Arena, number: u64, increments: u64, seed: Seed) -> Result<Worker, DrillError> {
    let seed = seed.derive("writer", number);
    let task = Task::Write { arena: arena.clone(), writer: number, increments, stop_inside: false, seed };
    Ok(Worker::start(&task.to_json()?)?)
}

/// Polls until `reached` holds.
pub(super) fn wait_until(
    limit: Duration,
    what: &str,
    mut reached: impl FnMut() -> Result<bool, DrillError>,
) -> Result<(), DrillError> {
    let start_ns = crate::clock::monotonic_ns();
    while !reached()? {
        if u128::from(crate::clock::monotonic_ns() - start_ns) > limit.as_nanos() {
            return Err(DrillError::Failed(format!("waited {} s until {what}", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

impl Found {
    /// Adds the row and the sections of a writer that has ended.
    pub(super) fn add_writer(
        &mut self,
        arena: &Arena,
        number: u64,
        planned: u64,
        ending: Ending,
    ) -> Result<(), DrillError> {
        let events = log::read(arena, &writer::log_name(number))?;
        let sections = log::sections(arena, number, &events);
        let (start_ns, end_ns) = span(&events);
        self.writers.push(Writer {
            phase: arena.phase,
            writer: number,
            exit_code: ending.exit_code,
            signal: ending.signal,
            planned,
            acknowledged: sections.iter().filter(|section| section.end_ns.is_some()).count() as u64,
            puts: events.iter().filter(|event| **event == Event::Stored).count() as u64,
            start_ns,
            end_ns,
        });
        self.sections.extend(sections);
        Ok(())
    }
}

fn reader_row(arena: &Arena, number: u64, ending: Ending) -> Result<Reader, DrillError> {
    let events = log::read(arena, &reader::log_name(number))?;
    let (start_ns, end_ns) = span(&events);
    let counts = events.iter().find_map(|event| match event {
        Event::Read(reads) => Some(*reads),
        _ => None,
    });
    // A reader that died has read nothing that counts; its exit code says that it died.
    let Reads { reads, intact, absent, torn, set_aside, planted, planted_refused } = counts.unwrap_or_default();
    Ok(Reader {
        phase: arena.phase,
        reader: number,
        exit_code: ending.exit_code,
        reads,
        intact,
        absent,
        torn,
        set_aside,
        planted,
        planted_refused,
        start_ns,
        end_ns,
    })
}

/// First and last time in the events; 0 where there is none.
fn span(events: &[Event]) -> (u64, u64) {
    let times: Vec<u64> = events.iter().filter_map(Event::ns).collect();
    (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0))
}
