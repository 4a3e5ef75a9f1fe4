//! A reader process: reads what writers are replacing, and entries that were damaged on purpose.

use std::fs;
use std::time::Duration;

use contract::digest::Digest;
use contract::seed::Seed;

use super::arena::{Arena, COUNTERS, HOT_ENTRIES, body, facts, fresh_key, hot_key, intact};
use super::log::{Event, Log, Reads};
use crate::drill::DrillError;
use crate::store::StoreError;
use crate::store::cache::{Cache, Lookup};

/// Damaged entries that each reader reads.
const PLANTED: u64 = 4;

const PAUSE: Duration = Duration::from_micros(200);

/// Reads until called off, at least once each kind.
pub(super) fn read(arena: &Arena, reader: u64, seed: Seed) -> Result<(), DrillError> {
    let mut log = Log::create(arena, &log_name(reader))?;
    let cache = arena.cache()?;
    log.note(&Event::Ready)?;
    arena.wait_for_barrier();
    log.note(&Event::Start { ns: arena.now_ns() })?;
    let mut reads = Reads::default();
    for count in 0..PLANTED {
        read_planted(&cache, reader, count, &mut reads)?;
    }
    let mut round = 0;
    while round < 8 || !arena.is_called_off() {
        let draw = seed.derive("read", round).0;
        match draw % 4 {
            0 => read_counter(arena, (draw >> 8) % COUNTERS, &mut reads)?,
            1 => read_entry(&cache, &fresh_key((draw >> 8) % 10, (draw >> 16) % 60), &mut reads)?,
            _ => read_entry(&cache, &hot_key((draw >> 8) % HOT_ENTRIES), &mut reads)?,
        }
        round += 1;
        // Readers that never rest would take the processors from the writers, and then see nothing change.
        std::thread::sleep(PAUSE);
    }
    log.note(&Event::Read(reads))?;
    log.note(&Event::End { ns: arena.now_ns() })?;
    Ok(())
}

/// The name of a reader's log.
pub(super) fn log_name(reader: u64) -> String {
    format!("reader-{reader}")
}

fn read_counter(arena: &Arena, counter: u64, reads: &mut Reads) -> Result<(), DrillError> {
    reads.reads += 1;
    // A counter is there from the start, so missing and damaged are the same: not whole.
    match arena.read_counter(counter)? {
        Some(_) => reads.intact += 1,
        None => reads.torn += 1,
    }
    Ok(())
}

fn read_entry(cache: &Cache, key: &Digest, reads: &mut Reads) -> Result<(), DrillError> {
    reads.reads += 1;
    match cache.get(key)? {
        Lookup::Hit(entry) if intact(&entry.payload).is_some() => reads.intact += 1,
        Lookup::Hit(_) => reads.torn += 1,
        Lookup::Absent => reads.absent += 1,
        Lookup::Quarantined(_) => reads.set_aside += 1,
    }
    Ok(())
}

/// Stores an entry, flips one bit of it on the disk, and reads it.
fn read_planted(cache: &Cache, reader: u64, count: u64, reads: &mut Reads) -> Result<(), DrillError> {
    let key = Digest::of(format!("planted {reader} {count}").as_bytes());
    cache.put(&key, &facts(), &body("a reply that somebody paid for"))?;
    let path = cache.entry_path(&key);
    let fault = |error| StoreError::io("damage", &path, error);
    let mut bytes = fs::read(&path).map_err(fault)?;
    // One in the first line, one in the header, the others in the payload.
    let at = match count {
        0 => 5,
        1 => 80,
        _ => bytes.len() - 1 - usize::try_from(count).unwrap_or(0),
    };
    bytes[at] ^= 1;
    fs::write(&path, bytes).map_err(fault)?;
    reads.planted += 1;
    reads.planted_refused += u64::from(matches!(cache.get(&key)?, Lookup::Quarantined(_)));
    Ok(())
}
