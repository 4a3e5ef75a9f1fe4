//! Progress on stderr: a bar on a terminal, otherwise one line a phase and one every ten seconds; and where the time went.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Without a terminal, how often a long phase says that it is alive.
const EVERY: Duration = Duration::from_secs(10);

/// A started clock. Time is read here and nowhere else in xtask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the place where xtask reads time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970.
///
/// # Errors
/// The clock is set before 1970.
#[expect(clippy::disallowed_methods, reason = "this is the place where xtask reads time")]
pub(crate) fn unix_now() -> Result<u64, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|since| since.as_secs()).map_err(|error| Failure::infrastructure(format!("the clock is wrong: {error}")))
}

/// How long one phase of a run took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhaseTime {
    /// Such as `build` or `pr-g1 drill concurrency`.
    pub(crate) name: String,
    /// Whether this was cargo's own time: compiling, linting and testing.
    pub(crate) cargo: bool,
    /// Wall time.
    pub(crate) took: Duration,
}

/// Where progress goes.
#[derive(Debug)]
enum Form {
    Silent,
    Lines,
    Bar(ProgressBar),
}

/// Shows what is going on, and remembers how long each phase took.
#[derive(Debug)]
pub(crate) struct Progress {
    form: Form,
    phases: Vec<PhaseTime>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    name: String,
    cargo: bool,
    watch: Stopwatch,
    spoken: Duration,
}

impl Progress {
    /// A bar of `steps` phases on a terminal that can draw one, lines elsewhere, nothing with `--quiet`.
    pub(crate) fn new(quiet: bool, color: bool, steps: u64) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let form = match (quiet, std::io::stderr().is_terminal() && !dumb) {
            (true, _) => Form::Silent,
            (false, false) => Form::Lines,
            (false, true) => Form::Bar(bar(color, steps)),
        };
        Self { form, phases: Vec::new(), current: None }
    }

    /// Shows nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { form: Form::Silent, phases: Vec::new(), current: None }
    }

    /// How many phases the bar counts to.
    pub(crate) fn expect_steps(&self, steps: u64) {
        if let Form::Bar(bar) = &self.form {
            bar.set_length(steps);
        }
    }

    /// One line, above the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.form {
            Form::Silent => {}
            Form::Lines => write_line(line),
            Form::Bar(bar) => bar.suspend(|| write_line(line)),
        }
    }

    /// Begins a phase; the one before it has ended.
    pub(crate) fn begin(&mut self, name: impl Into<String>, cargo: bool) {
        self.end();
        let name = name.into();
        match &self.form {
            Form::Silent => {}
            Form::Lines => write_line(&format!("  {name} …")),
            Form::Bar(bar) => bar.set_message(name.clone()),
        }
        self.current = Some(Current { name, cargo, watch: Stopwatch::start(), spoken: Duration::ZERO });
    }

    /// Ends the phase, if there is one.
    pub(crate) fn end(&mut self) {
        if let Some(current) = self.current.take() {
            let took = current.watch.elapsed();
            self.phases.push(PhaseTime { name: current.name, cargo: current.cargo, took });
            if let Form::Bar(bar) = &self.form {
                bar.inc(1);
            }
        }
    }

    /// Called often while something runs.
    pub(crate) fn tick(&mut self) {
        match (&self.form, &mut self.current) {
            (Form::Bar(bar), _) => bar.tick(),
            (Form::Lines, Some(current)) if current.watch.elapsed() >= current.spoken + EVERY => {
                current.spoken = current.watch.elapsed();
                write_line(&format!("  {} … {} s", current.name, current.spoken.as_secs()));
            }
            _ => {}
        }
    }

    /// The phases so far.
    pub(crate) fn phases(&self) -> &[PhaseTime] {
        &self.phases
    }

    /// Ends the last phase and takes the bar away.
    pub(crate) fn finish(&mut self) {
        self.end();
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn bar(color: bool, steps: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(10));
    let template =
        if color { "{bar:24.cyan} {pos}/{len} {msg} {elapsed:.dim}" } else { "{bar:24} {pos}/{len} {msg} {elapsed}" };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A plain bar is better than none.
        Err(_) => bar,
    }
}

fn write_line(line: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_is_remembered_once() {
        let mut progress = Progress::silent();
        progress.begin("build", true);
        progress.begin("drill", false);
        progress.finish();
        progress.finish();
        let names: Vec<_> = progress.phases().iter().map(|phase| (phase.name.as_str(), phase.cargo)).collect();
        assert_eq!(names, [("build", true), ("drill", false)]);
    }
}
