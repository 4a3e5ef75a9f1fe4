//! A holder that is stopped inside its critical section for longer than `LOCK_MAX_AGE_MS`: slow is not dead, so waiters
//! time out and name it, and when it goes on nothing has happened behind its back.

use std::time::Duration;

use contract::record::lock::{Phase, StoppedWaiter};

use super::arena::Arena;
use super::crowd::start_writer;
use super::log::{self, Event};
use super::task::Task;
use super::{Drill, Found, writer};
use crate::drill::DrillError;
use crate::drill::process::Worker;
use crate::store::lock::LockPolicy;

/// The scenario whose calibration sets the times: they pass in real time.
const SCENARIO: &str = "stopped-holder";
const WAITERS: u64 = 3;
/// Writers that come after the holder went on.
const LATE: u64 = 2;
/// All workers draw from this stream, so that they all want the same counter first.
const STREAM: &str = "stopped";

pub(super) fn stopped(drill: &Drill, found: &mut Found) -> Result<(), DrillError> {
    let Some(calibration) = drill.setting.scenario(SCENARIO)? else {
        found.stopped.push(not_run(format!("the policy has no values for the scenario `{SCENARIO}`")));
        return Ok(());
    };
    let policy = LockPolicy::from(&calibration);
    let arena = drill.arena_with(Phase::Stopped, policy)?;
    arena.open_barrier()?;

    let holder = start(drill, &arena, 0, true)?;
    if !holder.wait_until_stopped()? {
        return Err(DrillError::Failed("the holder ended instead of stopping".into()));
    }
    let stopped_ns = drill.now_ns();
    let holder_pid = holder.pid();
    // Only now does an age above the limit show: waiters must not take that for a licence.
    std::thread::sleep(Duration::from_millis(policy.max_age_ms + 20));
    let waiters = (1..=WAITERS).map(|number| start(drill, &arena, number, false)).collect::<Result<Vec<_>, _>>()?;
    for waiter in waiters {
        waiter.wait()?;
    }
    let resumed_ns = drill.now_ns();
    holder.resume()?;
    let ending = holder.wait()?;
    found.add_writer(&arena, 0, 1, ending)?;
    for number in 1..=WAITERS {
        let events = log::read(&arena, &writer::log_name(number))?;
        // Empty unless a waiter got in where it must not.
        found.sections.extend(log::sections(&arena, number, &events));
        let times = (stopped_ns, resumed_ns, holder_pid);
        found.stopped.push(waiter_row(number - 1, &policy, times, &events));
    }
    for number in WAITERS + 1..=WAITERS + LATE {
        let ending = start_writer(&arena, number, 1, drill.seed)?.wait()?;
        found.add_writer(&arena, number, 1, ending)?;
    }
    found.counters.extend(arena.counters()?);
    found.residues.push(arena.residue()?);
    Ok(())
}

fn start(drill: &Drill, arena: &Arena, writer: u64, stop_inside: bool) -> Result<Worker, DrillError> {
    let task =
        Task::Write { arena: arena.clone(), writer, increments: 1, stop_inside, seed: drill.seed.stream(STREAM) };
    Ok(Worker::start_quiet(&task.to_json()?)?)
}

fn waiter_row(
    waiter: u64,
    policy: &LockPolicy,
    (stopped_ns, resumed_ns, holder_pid): (u64, u64, u32),
    events: &[Event],
) -> StoppedWaiter {
    let mut row = StoppedWaiter {
        lock_timeout_ms: policy.timeout_ms,
        lock_max_age_ms: policy.max_age_ms,
        stopped_ns,
        resumed_ns,
        holder_pid,
        waiter,
        not_run: None,
        ..not_run(String::new())
    };
    for event in events {
        match event {
            Event::Wait { ns, .. } => row.start_ns = *ns,
            Event::Hold { ns, .. } => row.end_ns = *ns,
            Event::Refused { ns, error, named_pid, held_ms, stuck } => {
                (row.end_ns, row.error) = (*ns, error.clone());
                (row.named_pid, row.held_ms, row.stuck) = (*named_pid, *held_ms, *stuck);
            }
            _ => {}
        }
    }
    row
}

fn not_run(reason: String) -> StoppedWaiter {
    StoppedWaiter {
        not_run: Some(reason),
        waiter: 0,
        lock_timeout_ms: 0,
        lock_max_age_ms: 0,
        stopped_ns: 0,
        resumed_ns: 0,
        start_ns: 0,
        end_ns: 0,
        error: String::new(),
        holder_pid: 0,
        named_pid: None,
        held_ms: None,
        stuck: false,
    }
}
