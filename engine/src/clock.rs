//! The only file that reads time. Real runs use the machine's clocks; virtual runs use tokio's paused clock, so that 24
//! simulated hours with real back-off take seconds. One code path serves both: all waiting is tokio's.
#![allow(clippy::disallowed_methods)]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UtcMillis(pub u64);

/// Nanoseconds of the real monotonic clock since this process first asked. Never virtual: plausibility rules of the
/// gates compare service times with wall time, and virtual time starts again in each run.
#[must_use]
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the machine started, the same in all its processes: setting the wall clock does not move it.
#[must_use]
pub fn since_boot_ns() -> u64 {
    // Linux counts suspended time in this clock; elsewhere the monotonic clock comes nearest.
    #[cfg(target_os = "linux")]
    const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(SINCE_BOOT);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A source of wall time and of waiting. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// `None`: the machine's wall clock. `Some`: tokio's clock, anchored at an epoch.
    anchor: Option<(tokio::time::Instant, UtcMillis)>,
    /// Added to wall time, in milliseconds.
    shift_ms: i64,
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn real() -> Self {
        Self { anchor: None, shift_ms: 0 }
    }

    /// Virtual time that starts at `epoch` now. The caller's runtime must be a paused current-thread runtime.
    #[must_use]
    pub fn virtual_from(epoch: UtcMillis) -> Self {
        Self { anchor: Some((tokio::time::Instant::now(), epoch)), shift_ms: 0 }
    }

    /// The same clock with its wall time moved, as if somebody had set the machine's clock.
    #[must_use]
    pub fn shifted(self, by_ms: i64) -> Self {
        Self { shift_ms: self.shift_ms.saturating_add(by_ms), ..self }
    }

    /// Whether time is simulated. A virtual run may not open sockets: paused time fires socket timeouts at once.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.anchor.is_some()
    }

    /// Wall time.
    #[must_use]
    pub fn now(&self) -> UtcMillis {
        let since = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let unmoved = match self.anchor {
            Some((start, epoch)) => epoch.0.saturating_add(since(start.elapsed())),
            // A wall clock before 1970 is a broken machine; 1970 is then as good as any answer, and no decision reads it.
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, since),
        };
        UtcMillis(unmoved.saturating_add_signed(self.shift_ms))
    }

    /// A moment on tokio's clock, for measuring durations: steps of the wall clock do not move it.
    #[must_use]
    pub fn instant(&self) -> tokio::time::Instant {
        tokio::time::Instant::now()
    }

    /// Waits on tokio's clock: real or virtual alike.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_hours_take_no_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime starts").block_on(async {
            let clock = Clock::virtual_from(UtcMillis(1_000));
            let before = monotonic_ns();
            clock.sleep(Duration::from_secs(24 * 3600)).await;
            assert_eq!(clock.now(), UtcMillis(1_000 + 24 * 3600 * 1000));
            assert!(monotonic_ns() - before < 1_000_000_000);
        });
    }
}
