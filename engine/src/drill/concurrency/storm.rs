//! The kill storm: writers are killed at seeded moments and replaced, while the others and the readers go on.

use std::time::Duration;

use contract::record::lock::{Kill, Phase};

use super::crowd::{Crowd, start_writer};
use super::{Drill, Found, log, writer};
use crate::drill::DrillError;

/// Pause between two kills, in microseconds: from the shortest up to the shortest plus the spread.
const PAUSE_US: u64 = 1_500;
const PAUSE_SPREAD_US: u64 = 9_000;

pub(super) fn storm(drill: &Drill, found: &mut Found) -> Result<(), DrillError> {
    let arena = drill.arena(Phase::Storm)?;
    let mut crowd = Crowd::muster(drill, &arena, 0)?;
    let first_replacement = crowd.writers.len() as u64;
    arena.open_barrier()?;
    for kill in 0..drill.setting.calibration.concurrency_kills {
        let draw = drill.seed.derive("kill", kill).0;
        std::thread::sleep(Duration::from_micros(PAUSE_US + draw % PAUSE_SPREAD_US));
        let victim = usize::try_from((draw >> 32) % crowd.writers.len() as u64).unwrap_or(0);
        let (number, worker) = crowd.writers.swap_remove(victim);
        let killed_ns = drill.now_ns();
        let ending = worker.kill()?;
        let events = log::read(&arena, &writer::log_name(number))?;
        let (doing, counter) = log::doing(&events);
        found.kills.push(Kill { kill, writer: number, killed_ns, doing, counter });
        found.add_writer(&arena, number, 0, ending)?;
        let replacement = first_replacement + kill;
        crowd.writers.push((replacement, start_writer(&arena, replacement, 0, drill.seed)?));
    }
    // The last replacements still have to show that the folder works after all that.
    std::thread::sleep(Duration::from_millis(50));
    arena.call_off()?;
    crowd.writers.sort_by_key(|(number, _)| *number);
    for (number, worker) in std::mem::take(&mut crowd.writers) {
        let ending = worker.wait()?;
        found.add_writer(&arena, number, 0, ending)?;
    }
    crowd.dismiss(&arena, found)
}
