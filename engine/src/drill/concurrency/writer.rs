//! A writer process: read-modify-write increments on shared counters, each followed by a fresh cache entry.

use contract::seed::Seed;
use rustix::process::Signal;

use super::arena::{Arena, COUNTERS, HOT_ENTRIES, body, facts, fresh_key, hot_key};
use super::log::{Event, Log};
use crate::drill::DrillError;
use crate::drill::process::signal_self;
use crate::store::cache::Cache;
use crate::store::{Cause, StoreError};

/// Works until `increments` are done, or until called off when that is 0.
pub(super) fn write(
    arena: &Arena,
    writer: u64,
    increments: u64,
    mut stop_inside: bool,
    seed: Seed,
) -> Result<(), DrillError> {
    let mut log = Log::create(arena, &log_name(writer))?;
    let cache = arena.cache()?;
    log.note(&Event::Ready)?;
    arena.wait_for_barrier();
    log.note(&Event::Start { ns: arena.now_ns() })?;
    let mut count = 0;
    while (increments == 0 && !arena.is_called_off()) || count < increments {
        let draw = seed.derive("increment", count).0;
        increment(arena, &mut log, draw % COUNTERS, &mut stop_inside)?;
        store(&cache, &mut log, writer, count, draw)?;
        count += 1;
    }
    log.note(&Event::End { ns: arena.now_ns() })?;
    Ok(())
}

/// The name of a writer's log.
pub(super) fn log_name(writer: u64) -> String {
    format!("writer-{writer}")
}

fn increment(arena: &Arena, log: &mut Log, counter: u64, stop_inside: &mut bool) -> Result<(), DrillError> {
    log.note(&Event::Wait { counter, ns: arena.now_ns() })?;
    let guard = match arena.lock_counter(counter, "increment") {
        Ok(guard) => guard,
        Err(error) => {
            log.note(&refused(arena, &error))?;
            return Err(error.into());
        }
    };
    let oracle = arena.enter_oracle(counter)?;
    let start_ns = arena.now_ns();
    let value = arena.read_counter(counter)?;
    let before = value.ok_or_else(|| DrillError::Failed(format!("counter {counter} does not verify")))?;
    log.note(&Event::Hold { counter, ns: start_ns, before, overlap: oracle.is_none() })?;
    if std::mem::take(stop_inside) {
        signal_self(Signal::STOP)?;
    }
    // Without a lock others would come in here; with one this costs nothing but a turn of the scheduler.
    std::thread::yield_now();
    arena.write_counter(counter, before + 1)?;
    log.note(&Event::Done { ns: arena.now_ns(), after: before + 1 })?;
    drop(oracle);
    guard.release()?;
    log.note(&Event::Released)?;
    Ok(())
}

fn refused(arena: &Arena, error: &StoreError) -> Event {
    let facts = match &error.cause {
        Cause::LockTimeout(facts) => Some(facts),
        _ => None,
    };
    Event::Refused {
        ns: arena.now_ns(),
        error: error.word().to_owned(),
        named_pid: facts.and_then(|facts| facts.holder.as_ref()).map(|holder| holder.pid),
        held_ms: facts.and_then(|facts| facts.held_ms),
        stuck: facts.is_some_and(|facts| facts.stuck),
    }
}

/// A fresh entry of its own, and now and then a new version of one that all writers replace.
fn store(cache: &Cache, log: &mut Log, writer: u64, count: u64, draw: u64) -> Result<(), DrillError> {
    let text = format!("{writer} {count} ").repeat(1 + usize::try_from(draw % 200).unwrap_or(0));
    log.note(&Event::Store)?;
    cache.put(&fresh_key(writer, count), &facts(), &body(&text))?;
    if count.is_multiple_of(4) {
        cache.put(&hot_key((draw >> 8) % HOT_ENTRIES), &facts(), &body(&text))?;
    }
    log.note(&Event::Stored)?;
    Ok(())
}
