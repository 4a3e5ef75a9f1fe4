//! The argument list of a replay: written by `build`, and never anything but a gate run (PPK-30).

use contract::seed::Seed;

use super::codes::{Code, Fault, Reason};
use super::layout::MANIFEST;

/// What an argument list asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayArgs {
    /// The gates to run, in the order of the manifest's parts.
    pub gates: Vec<String>,
    /// Whether the subject is a program of its own (`--workload command`).
    pub foreign: bool,
    /// Profile name.
    pub profile: String,
    /// Master seed.
    pub seed: Seed,
    /// `KEY=VALUE` settings, in order.
    pub set: Vec<String>,
}

/// Profiles of the gate command.
const PROFILES: [&str; 4] = ["dev", "ci", "release", "soak"];
/// Gates a replay may name; pr-g5 packs and is never replayed itself.
const GATES: [&str; 5] = ["pr-g0", "pr-g1", "pr-g2", "pr-g3", "pr-g4"];
const OWN: [&str; 3] = ["cargo", "xtask", "gate"];
const FOREIGN: [&str; 2] = ["xtask", "gate"];

impl ReplayArgs {
    /// The argument list, without a shell.
    #[must_use]
    pub fn render(&self) -> Vec<String> {
        let program: &[&str] = if self.foreign { &FOREIGN } else { &OWN };
        let mut argv: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
        argv.extend(self.gates.iter().cloned());
        let mut flag = |name: &str, value: String| argv.extend([name.to_owned(), value]);
        if self.foreign {
            flag("--workload", "command".into());
        }
        flag("--profile", self.profile.clone());
        flag("--seed", seed_text(self.seed));
        self.set.iter().for_each(|pair| flag("--set", pair.clone()));
        argv
    }

    /// Reads an argument list that [`ReplayArgs::render`] can have written; `None` for any other.
    #[must_use]
    pub fn parse(argv: &[String]) -> Option<Self> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let (foreign, rest) = match (words.strip_prefix(&OWN), words.strip_prefix(&FOREIGN)) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return None,
        };
        let flags_at = rest.iter().position(|word| word.starts_with('-'))?;
        let (gates, flags) = rest.split_at_checked(flags_at)?;
        let mut flags = flags.chunks(2).map(|pair| <[&str; 2]>::try_from(pair).ok());
        if foreign && flags.next()? != Some(["--workload", "command"]) {
            return None;
        }
        let [profile_flag, profile] = flags.next()??;
        let [seed_flag, seed] = flags.next()??;
        let set = flags.map(|pair| pair.filter(|[flag, _]| *flag == "--set").map(|[_, value]| value.to_owned()));
        let args = Self {
            gates: gates.iter().map(|&gate| gate.to_owned()).collect(),
            foreign,
            profile: profile.to_owned(),
            seed: parse_seed(seed)?,
            set: set.collect::<Option<_>>()?,
        };
        (profile_flag == "--profile" && seed_flag == "--seed" && args.is_sound()).then_some(args)
    }

    /// Whether gates, profile and settings are ones the gate command takes as values.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let setting = |pair: &String| {
            let key = pair.split_once('=').map_or("", |(key, _)| key);
            key.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && pair.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        let gates = !self.gates.is_empty() && self.gates.iter().all(|gate| GATES.contains(&gate.as_str()));
        gates && PROFILES.contains(&self.profile.as_str()) && self.set.iter().all(setting)
    }
}

/// A master seed as the manifest writes it: `0x` and 16 hex digits.
#[must_use]
pub fn seed_text(seed: Seed) -> String {
    format!("0x{seed}")
}

/// Reads [`seed_text`] and nothing else.
#[must_use]
pub fn parse_seed(text: &str) -> Option<Seed> {
    let seed = Seed(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?);
    (seed_text(seed) == text).then_some(seed)
}

/// The fault of an argument list that a replay must not run.
#[must_use]
pub fn refused(argv: &[String]) -> Fault {
    let fault = Fault::new(Code::Manifest, Reason::Field).at(format!("{MANIFEST}#/replay/argv"));
    fault.expected("a gate run with profile, seed and settings").found(argv.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ReplayArgs {
        let set = vec!["CONCURRENCY_N=4".into(), "A.B=x y=z".into()];
        let gates = vec!["pr-g0".into(), "pr-g4".into()];
        ReplayArgs { gates, foreign: false, profile: "ci".into(), seed: Seed(0x2a), set }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn ppk_30_both_ways() {
        let foreign = ReplayArgs { foreign: true, set: Vec::new(), ..own() };
        for args in [own(), foreign] {
            assert_eq!(ReplayArgs::parse(&args.render()), Some(args));
        }
        let expected = "cargo xtask gate pr-g0 --profile dev --seed 0x000000000000002a";
        let args = ReplayArgs::parse(&words(expected)).expect("a gate run");
        assert_eq!(args.render(), words(expected));
    }

    #[test]
    fn ppk_30_a28_anything_else_is_refused() {
        const TAIL: &str = "--profile dev --seed 0x000000000000002a";
        for bad in [
            format!("rm -rf pr-g0 {TAIL}"),
            format!("/bin/sh -c pr-g0 {TAIL}"),
            format!("cargo run gate pr-g0 {TAIL}"),
            format!("cargo xtask gate {TAIL}"),
            format!("cargo xtask gate pr-g5 {TAIL}"),
            format!("cargo xtask gate pr-g9 {TAIL}"),
            format!("xtask gate pr-g0 {TAIL}"),
            format!("xtask gate pr-g0 --workload scribe {TAIL}"),
            format!("cargo xtask gate pr-g0 --workload command {TAIL}"),
            format!("cargo xtask gate pr-g0 {TAIL} --shard 1/2"),
            format!("cargo xtask gate pr-g0 {TAIL} --set"),
            format!("cargo xtask gate pr-g0 {TAIL} --set novalue"),
            format!("cargo xtask gate pr-g0 {TAIL} --set =x"),
            format!("cargo xtask gate pr-g0 {TAIL} -- rm"),
            "cargo xtask gate pr-g0 --profile dev --seed 42".into(),
            "cargo xtask gate pr-g0 --profile dev --seed 0x2a".into(),
            "cargo xtask gate pr-g0 --profile prod --seed 0x000000000000002a".into(),
            "cargo xtask gate pr-g0 --seed 0x000000000000002a --profile dev".into(),
            "cargo xtask gate pr-g0 --profile dev".into(),
            String::new(),
        ] {
            assert_eq!(ReplayArgs::parse(&words(&bad)), None, "{bad}");
        }
    }
}
