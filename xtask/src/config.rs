//! `cargo xtask config`: every value with the layer it came from and the values it shadows (POL-11, POL-12).

use clap::{Args, Subcommand};
use contract::layers::Source;
use contract::schema::nearest;
use serde_json::{Value, json};

use crate::cli::{self, Color};
use crate::failure::Failure;
use crate::policy::{self, Loaded, Refused, Wanted};
use crate::progress::Progress;
use crate::report::json;
use crate::report::text::Page;
use crate::selection::IDS;
use crate::workspace::Workspace;

/// `cargo xtask config …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Config {
    /// Print values, where they came from and what they shadow
    Show(Show),
    /// Check all of gates/policy/ under a profile, flags and variables
    Check(Layers),
}

/// `cargo xtask config show`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Show {
    /// One key or all below it: `STRESS_N`, `LATENCY_LIMITS`, or a JSON pointer
    key: Option<String>,
    #[command(flatten)]
    layers: Layers,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

/// The layers above the default.
#[derive(Clone, Debug, Args)]
pub(crate) struct Layers {
    /// Profile: dev, ci, release or soak
    #[arg(long, default_value = policy::DEFAULT_PROFILE)]
    profile: String,
    /// Set one policy value (repeat for several)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Config {
    /// Runs the command.
    ///
    /// # Errors
    /// Exit 2 for a policy, flag, variable or key that is refused.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Show(show) => show.run(),
            Self::Check(layers) => layers.check(),
        }
    }
}

impl Layers {
    fn load(&self) -> Result<Loaded, Failure> {
        let space = Workspace::find(&mut Progress::new(true, false, 0))?;
        let wanted = Wanted {
            profile: self.profile.clone(),
            set: self.set.clone(),
            environment: policy::environment(),
            gates: IDS.map(str::to_owned).to_vec(),
            foreign: false,
        };
        policy::load(&space.root, &wanted).map_err(|refused| match refused {
            Refused::Usage(failure) => failure,
            Refused::Policy(problems) => Failure::usage(format!("the policy is refused:\n  {}", problems.join("\n  "))),
        })
    }

    fn check(&self) -> Result<u8, Failure> {
        let loaded = self.load()?;
        let file = &loaded.policy.file;
        let count = file.sources.len();
        let mut out =
            format!("the policy holds: profile {}, {count} values, digest {}\n", file.profile, loaded.policy.digest);
        for one in &file.loosened {
            out += &format!("{one}\n");
        }
        cli::print(&out)
    }
}

impl Show {
    fn run(self) -> Result<u8, Failure> {
        let loaded = self.layers.load()?;
        let file = &loaded.policy.file;
        let pointer = self.key.as_deref().map(pointer);
        let below = |found: &str| match &pointer {
            None => true,
            Some(wanted) => {
                found == wanted || found.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
        };
        let leaves: Vec<Leaf<'_>> = file
            .sources
            .iter()
            .filter(|(found, _)| below(found))
            .map(|(found, source)| Leaf { pointer: found, value: file.values.pointer(found), source })
            .collect();
        if let (true, Some(key)) = (leaves.is_empty(), &self.key) {
            return Err(unknown_key(key, file.sources.keys().map(String::as_str)));
        }
        let mut page = Page::new(Color::Never.style());
        let mut lines = String::new();
        for leaf in &leaves {
            if self.json {
                json::push(&mut lines, &leaf.line())?;
            } else {
                leaf.print(&mut page);
            }
        }
        cli::print(&if self.json { lines } else { page.finish() })
    }
}

/// One value.
struct Leaf<'a> {
    pointer: &'a str,
    value: Option<&'a Value>,
    source: &'a Source,
}

impl Leaf<'_> {
    fn line(&self) -> Value {
        json!({
            "schema": "proofhouse.config-value/1",
            "key": dotted(self.pointer),
            "pointer": self.pointer,
            "value": self.value,
            "source": self.source,
        })
    }

    fn print(&self, page: &mut Page) {
        let Source { layer, place, shadowed, .. } = self.source;
        let value = self.value.map_or_else(|| "absent".to_owned(), Value::to_string);
        page.line(&format!("{} = {value}  ", dotted(self.pointer)), &format!("({}: {place})", word(layer)));
        for under in shadowed {
            page.line("    shadows ", &format!("{}  ({}: {})", under.raw, word(&under.layer), under.place));
        }
    }
}

fn word(layer: &contract::layers::LayerKind) -> &'static str {
    use contract::layers::LayerKind::{Cli, Default, Env, Profile, Subject};
    match layer {
        Default => "default",
        Subject => "subject",
        Profile => "profile",
        Env => "environment",
        Cli => "flag",
    }
}

/// A key as typed, with dots or as a JSON pointer.
fn pointer(key: &str) -> String {
    if key.starts_with('/') { key.to_owned() } else { format!("/{}", key.replace('.', "/")) }
}

/// With dots where no name holds one itself.
fn dotted(pointer: &str) -> String {
    if pointer.contains('.') { pointer.to_owned() } else { pointer.trim_start_matches('/').replace('/', ".") }
}

fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<String> = known.map(dotted).collect();
    let near = nearest(key, known.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!("unknown key `{key}`{near}")).hint("`cargo xtask config show` lists every key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_with_dots_or_as_pointers() {
        assert_eq!(pointer("LATENCY_LIMITS.max_call_latency_ms"), "/LATENCY_LIMITS/max_call_latency_ms");
        assert_eq!(pointer("/BUDGET_LIMITS/gpt-4.1"), "/BUDGET_LIMITS/gpt-4.1");
        assert_eq!(dotted("/STRESS_N"), "STRESS_N");
        assert_eq!(dotted("/BUDGET_LIMITS/gpt-4.1/max"), "/BUDGET_LIMITS/gpt-4.1/max");
    }

    #[test]
    fn pol_12_an_unknown_key_names_the_nearest() {
        let failure = unknown_key("STRES_N", ["/STRESS_N", "/SOAK/iterations"].into_iter());
        assert_eq!(failure.code, contract::exit::gate::USAGE);
        assert!(failure.message.contains("did you mean `STRESS_N`"), "{failure:?}");
    }
}
