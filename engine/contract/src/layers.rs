//! Configuration layers: CLI > environment > profile > default, with the source of every leaf and what it shadowed.
//!
//! Objects merge; scalars and arrays replace. A layer is a list of settings, so the same code serves a file, a set of
//! variables and a list of flags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::pointer_push;
use crate::schema::{Kind, Looser, PolicyError};

/// Where a value came from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// The calibration file.
    Default,
    /// A foreign program's own file.
    Subject,
    /// One entry of the profiles file.
    Profile,
    /// A variable.
    Env,
    /// A flag.
    Cli,
}

/// One value that one layer gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Keys from the top.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// What was written, unparsed.
    pub raw: String,
    /// File and pointer, name of the variable, or flag.
    pub place: String,
}

/// All settings of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Which layer.
    pub kind: LayerKind,
    /// Its settings; none may name the same path twice.
    pub settings: Vec<Setting>,
}

/// Where a leaf came from, and what lies beneath it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The layer that won.
    pub layer: LayerKind,
    /// File and pointer, name of the variable, or flag.
    pub place: String,
    /// What was written, unparsed.
    pub raw: String,
    /// The values beneath, strongest first.
    pub shadowed: Vec<Shadowed>,
}

/// A value that a stronger layer replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// The layer.
    pub layer: LayerKind,
    /// File and pointer, name of the variable, or flag.
    pub place: String,
    /// What was written, unparsed.
    pub raw: String,
}

/// A limit that is easier than the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loosened {
    /// Dotted key.
    pub key: String,
    /// The value that was loosened.
    pub old: String,
    /// The value in force.
    pub new: String,
    /// Layer and place.
    pub source: String,
}

impl std::fmt::Display for Loosened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loosened: {} {} -> {} ({})", self.key, self.old, self.new, self.source)
    }
}

/// The values in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The document.
    pub value: Value,
    /// The source of every leaf, by JSON pointer.
    pub sources: BTreeMap<String, Source>,
    /// Limits that are easier than the default.
    pub loosened: Vec<Loosened>,
}

impl Layer {
    /// The leaves of a document; `place` is the file, to which each leaf's pointer is added behind `#`.
    #[must_use]
    pub fn from_document(kind: LayerKind, place: &str, value: &Value) -> Self {
        let mut settings = Vec::new();
        leaves(value, &mut Vec::new(), &mut |path, leaf| {
            let pointer = to_pointer(path);
            settings.push(Setting {
                path: path.to_vec(),
                value: leaf.clone(),
                raw: leaf.to_string(),
                place: format!("{place}#{pointer}"),
            });
        });
        Self { kind, settings }
    }

    /// Variables `PROOFHOUSE_<PATH>` with `__` between levels. Names of `reserved` variables are passed over.
    ///
    /// # Errors
    /// Every variable that names no key or holds no fitting value.
    pub fn from_environment<'a>(
        table: &'static Kind,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        reserved: &[&str],
    ) -> Result<Self, Vec<String>> {
        let named = variables.into_iter().filter(|(name, _)| !reserved.contains(name));
        let parsed = named.filter_map(|(name, raw)| {
            let path = name.strip_prefix("PROOFHOUSE_")?.split("__").map(str::to_owned).collect();
            Some(setting(table, path, raw, name.to_owned()).map_err(|reason| format!("{name}: {reason}")))
        });
        collect(LayerKind::Env, parsed)
    }

    /// Flags `PATH=VALUE` with `.` between levels; a path that starts with `/` is a JSON pointer, for names that hold dots.
    ///
    /// # Errors
    /// Every flag that names no key or holds no fitting value.
    pub fn from_flags(table: &'static Kind, flags: &[String]) -> Result<Self, Vec<String>> {
        let parsed = flags.iter().map(|flag| {
            let (key, raw) = flag.split_once('=').ok_or_else(|| format!("--set {flag}: give KEY=VALUE"))?;
            let path = match key.strip_prefix('/') {
                Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
                None => key.split('.').map(str::to_owned).collect(),
            };
            setting(table, path, raw, format!("--set {key}")).map_err(|reason| format!("--set {flag}: {reason}"))
        });
        collect(LayerKind::Cli, parsed)
    }
}

/// Lays `layers` over each other, strongest last, and looks for loosened limits. The result is not yet checked as a whole.
///
/// # Errors
/// A setting that would put a value inside a scalar, or an object in place of a leaf.
pub fn resolve(table: &'static Kind, layers: &[Layer]) -> Result<Resolved, Vec<PolicyError>> {
    let mut value = Value::Object(serde_json::Map::new());
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    let mut errors = Vec::new();
    for layer in layers {
        for setting in &layer.settings {
            let pointer = to_pointer(&setting.path);
            if let Err(reason) = place(&mut value, &setting.path, &setting.value) {
                errors.push(PolicyError { pointer, reason: format!("{reason} ({})", setting.place) });
                continue;
            }
            let mut shadowed = Vec::new();
            if let Some(beneath) = sources.remove(&pointer) {
                shadowed.push(Shadowed { layer: beneath.layer, place: beneath.place, raw: beneath.raw });
                shadowed.extend(beneath.shadowed);
            }
            let source = Source { layer: layer.kind, place: setting.place.clone(), raw: setting.raw.clone(), shadowed };
            sources.insert(pointer, source);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let loosened = loosened(table, layers);
    Ok(Resolved { value, sources, loosened })
}

/// For each path, walks its values from the weakest layer to the strongest and compares the last one with the default, or,
/// for a sample size, with the profile's.
fn loosened(table: &'static Kind, layers: &[Layer]) -> Vec<Loosened> {
    let mut histories: BTreeMap<&[String], Vec<(LayerKind, &Setting)>> = BTreeMap::new();
    for layer in layers {
        for setting in &layer.settings {
            histories.entry(&setting.path).or_default().push((layer.kind, setting));
        }
    }
    let mut out = Vec::new();
    for (path, history) in histories {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let Ok((_, looser)) = table.find(&steps) else { continue };
        let by_hand = |kind: LayerKind| matches!(kind, LayerKind::Env | LayerKind::Cli);
        let base = match looser {
            Looser::SmallerSize => history.iter().rev().find(|(kind, _)| !by_hand(*kind)),
            _ => history.first(),
        };
        let (Some((_, old)), Some((kind, new))) = (base, history.last()) else { continue };
        if is_looser(looser, &old.value, &new.value) {
            let source = format!("{}: {}", layer_word(*kind), new.place);
            out.push(Loosened { key: path.join("."), old: old.raw.clone(), new: new.raw.clone(), source });
        }
    }
    out
}

/// Whether `new` makes a rule easier to pass than `old`.
#[must_use]
pub fn is_looser(looser: Looser, old: &Value, new: &Value) -> bool {
    let pair = old.as_f64().zip(new.as_f64());
    match looser {
        Looser::Neither => false,
        Looser::AnyChange => old != new,
        Looser::Higher => pair.is_none_or(|(old, new)| new > old),
        Looser::Lower | Looser::SmallerSize => pair.is_none_or(|(old, new)| new < old),
    }
}

fn layer_word(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Default => "default",
        LayerKind::Subject => "subject",
        LayerKind::Profile => "profile",
        LayerKind::Env => "env",
        LayerKind::Cli => "cli",
    }
}

fn collect(kind: LayerKind, parsed: impl Iterator<Item = Result<Setting, String>>) -> Result<Layer, Vec<String>> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut errors = Vec::new();
    for one in parsed {
        match one {
            Ok(setting) if settings.iter().any(|other| other.path == setting.path) => {
                errors.push(format!("{} is given twice", setting.path.join(".")));
            }
            Ok(setting) => settings.push(setting),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(Layer { kind, settings }) } else { Err(errors) }
}

/// One typed setting: text stays as it is typed, everything else is JSON; it must fit the table.
fn setting(table: &'static Kind, path: Vec<String>, raw: &str, place: String) -> Result<Setting, String> {
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let (kind, _) = table.find(&steps)?;
    let value = match kind {
        Kind::Text | Kind::Time | Kind::Word(_) => Value::String(raw.to_owned()),
        Kind::Object(_) | Kind::Map(_) => return Err(format!("`{}` is no leaf; name a key inside it", path.join("."))),
        _ => crate::canonical::parse_evidence(raw.as_bytes())
            .map_err(|error| format!("`{raw}` does not parse: {error}"))?,
    };
    match kind.check(&value).first() {
        Some(error) => Err(error.reason.clone()),
        None => Ok(Setting { path, value, raw: raw.to_owned(), place }),
    }
}

fn place(document: &mut Value, path: &[String], leaf: &Value) -> Result<(), String> {
    let mut here = document;
    for key in path {
        let Value::Object(entries) = here else { return Err("lies inside a scalar".into()) };
        here = entries.entry(key.as_str()).or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    match here {
        Value::Object(entries) if !entries.is_empty() => Err("would replace an object by a scalar".into()),
        _ => {
            *here = leaf.clone();
            Ok(())
        }
    }
}

fn to_pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |pointer, key| pointer_push(&pointer, key))
}

/// Visits the leaves; an empty object is one too, so that nothing of a document is lost.
fn leaves(value: &Value, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &Value)) {
    match value {
        Value::Object(entries) if !entries.is_empty() || path.is_empty() => {
            for (key, inner) in entries {
                path.push(key.clone());
                leaves(inner, path, visit);
                path.pop();
            }
        }
        _ => visit(path, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::TABLE;
    use proptest::prelude::*;
    use serde_json::json;

    fn default() -> Layer {
        let value =
            json!({"STRESS_N": 1000, "MAX_RETRIES": 3, "REPAIR": {"MAX_ATTEMPTS": 2}, "COMMAND_SUBJECT": ["a", "b"]});
        Layer::from_document(LayerKind::Default, "calibration.json", &value)
    }

    fn profile(value: Value) -> Layer {
        Layer::from_document(LayerKind::Profile, "profiles.json#/profiles/ci", &value)
    }

    fn flags(flags: &[&str]) -> Result<Layer, Vec<String>> {
        Layer::from_flags(&TABLE, &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_strongest_layer_wins_and_shadows_are_complete() {
        let env =
            Layer::from_environment(&TABLE, [("PROOFHOUSE_STRESS_N", "3000"), ("HOME", "x")], &[]).expect("valid");
        let cli = flags(&["STRESS_N=4000", "COMMAND_SUBJECT=[\"c\"]"]).expect("valid");
        let resolved = resolve(&TABLE, &[default(), profile(json!({"STRESS_N": 2000})), env, cli]).expect("fits");
        assert_eq!(resolved.value["STRESS_N"], 4000);
        assert_eq!(resolved.value["COMMAND_SUBJECT"], json!(["c"]), "arrays replace");
        assert_eq!(resolved.value["REPAIR"]["MAX_ATTEMPTS"], 2);
        let source = &resolved.sources["/STRESS_N"];
        assert_eq!((source.layer, source.place.as_str()), (LayerKind::Cli, "--set STRESS_N"));
        let beneath: Vec<&str> = source.shadowed.iter().map(|shadow| shadow.raw.as_str()).collect();
        assert_eq!(beneath, ["3000", "2000", "1000"]);
    }

    #[test]
    fn loosened_limits_are_named() {
        let cli = flags(&["MAX_RETRIES=4", "STRESS_N=1500"]).expect("valid");
        let resolved = resolve(&TABLE, &[default(), profile(json!({"STRESS_N": 2000})), cli]).expect("fits");
        let lines: Vec<String> = resolved.loosened.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "loosened: MAX_RETRIES 3 -> 4 (cli: --set MAX_RETRIES)",
                "loosened: STRESS_N 2000 -> 1500 (cli: --set STRESS_N)"
            ]
        );
        let smaller = resolve(&TABLE, &[default(), profile(json!({"STRESS_N": 200}))]).expect("fits");
        assert_eq!(smaller.loosened, [], "a profile's own size is not loosening");
        let tighter = resolve(&TABLE, &[default(), flags(&["MAX_RETRIES=2"]).expect("valid")]).expect("fits");
        assert_eq!(tighter.loosened, []);
    }

    #[test]
    fn wrong_settings_are_refused_with_the_nearest_name() {
        for (flag, word) in [
            ("STRES_N=5", "`STRESS_N`"),
            ("STRESS_N", "KEY=VALUE"),
            ("STRESS_N=many", "does not parse"),
            ("STRESS_N=0", "no integer"),
            ("STRESS_N=null", "CALIBRATION_NULL"),
            ("REPAIR=3", "no leaf"),
            ("STRESS_N.x=3", "nothing inside"),
        ] {
            let errors = flags(&[flag]).expect_err(flag);
            assert!(errors[0].contains(word), "{flag}: {errors:?}");
        }
        assert!(flags(&["STRESS_N=5", "STRESS_N=6"]).expect_err("twice")[0].contains("twice"));
        let env =
            Layer::from_environment(&TABLE, [("PROOFHOUSE_REPAIR__MAX_ATTEMPTS", "x")], &[]).expect_err("malformed");
        assert!(env[0].starts_with("PROOFHOUSE_REPAIR__MAX_ATTEMPTS"), "{env:?}");
    }

    proptest! {
        /// The oracle is five lines: the last layer that holds a key gives its value.
        #[test]
        fn agrees_with_the_oracle(values in proptest::collection::vec(proptest::option::of(1..10_000_u64), 4)) {
            let kinds = [LayerKind::Default, LayerKind::Profile, LayerKind::Env, LayerKind::Cli];
            let layers: Vec<Layer> = kinds.iter().zip(&values).map(|(kind, value)| {
                let document = value.map_or(json!({}), |n| json!({"STRESS_N": n}));
                Layer::from_document(*kind, "f", &document)
            }).collect();
            let resolved = resolve(&TABLE, &layers).expect("fits");
            let oracle: Vec<u64> = values.iter().rev().flatten().copied().collect();
            prop_assert_eq!(resolved.value.get("STRESS_N").and_then(Value::as_u64), oracle.first().copied());
            let shadowed = resolved.sources.get("/STRESS_N").map(|source| source.shadowed.len());
            prop_assert_eq!(shadowed, oracle.len().checked_sub(1));
        }
    }
}
