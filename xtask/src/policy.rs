//! The policy of a run: the files of `gates/policy/`, the profile, variables and flags, laid over each other with a source
//! for every value (POL-10 to POL-13).

use std::collections::BTreeMap;
use std::path::Path;

use contract::calibration::{self, Calibration};
use contract::canonical::{self, JsonError};
use contract::chaos_profile::ChaosFile;
use contract::layers::{self, Layer, LayerKind, Loosened};
use contract::policy::GatePolicy;
use contract::schema::nearest;
use gates::evidence::Policy;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// Below the workspace.
const FOLDER: &str = "gates/policy";
/// Variables that start like a setting and are none: the calibration file of a single program, and a named defect.
pub(crate) const RESERVED: &[&str] = &["PROOFHOUSE_CALIBRATION", "PROOFHOUSE_SABOTAGE", "PROOFHOUSE_TOOLS"];
/// The profile where none is named.
pub(crate) const DEFAULT_PROFILE: &str = "dev";

/// What was asked for beside the files.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Profile name.
    pub(crate) profile: String,
    /// `KEY=VALUE` of every `--set`.
    pub(crate) set: Vec<String>,
    /// All variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Gates that were selected or pulled in.
    pub(crate) gates: Vec<String>,
    /// Whether a foreign program is what is judged: then naming it loosens nothing.
    pub(crate) foreign: bool,
}

/// A policy that holds, ready for judges.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// As judges see it.
    pub(crate) policy: Policy,
    /// `policy/gate.json`.
    pub(crate) file: Vec<u8>,
    /// `policy/leak-allow.json`.
    pub(crate) leak_allow: Vec<u8>,
    /// The resolved calibration, for programs.
    pub(crate) calibration: Vec<u8>,
    /// Every value set by variable or flag, as `KEY=VALUE`, each key once.
    pub(crate) set: Vec<String>,
}

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A flag, a variable or the profile name is wrong.
    Usage(Failure),
    /// A file is wrong: everything that is, each with file and pointer.
    Policy(Vec<String>),
}

/// `profiles.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    schema: String,
    profiles: BTreeMap<String, Profile>,
    scenarios: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    #[expect(dead_code, reason = "for those who read the file; required so that every profile says what it is for")]
    description: String,
    values: Value,
}

const PROFILES_SCHEMA: &str = "proofhouse.profiles/1";

/// The words of the environment that could be settings; a name or value that is no text cannot be one.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("PROOFHOUSE_"))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

/// `trace.toml` alone, for commands that need no other policy.
///
/// # Errors
/// It cannot be read, or is no TOML.
pub(crate) fn trace(root: &Path) -> Result<Value, Failure> {
    let mut problems = Vec::new();
    let trace = Files { root }.toml("trace.toml", &mut problems);
    trace.ok_or_else(|| Failure::usage(problems.join("; ")))
}

/// Loads and checks the policy of the workspace at `root`.
///
/// # Errors
/// Everything that is wrong with the files, or with flags and variables.
pub(crate) fn load(root: &Path, wanted: &Wanted) -> Result<Loaded, Refused> {
    let files = Files { root };
    let mut problems = Vec::new();
    let calibration = files.json("calibration.json", &mut problems);
    let profiles = files.json("profiles.json", &mut problems);
    let chaos = files.json("chaos.json", &mut problems);
    let baseline = files.json("baseline.json", &mut problems);
    let inventory = files.json("inventory.json", &mut problems);
    let code_audit = files.json("code-audit.json", &mut problems);
    let path_allow = files.json("path-allow.json", &mut problems);
    let leak_allow = files.json("leak-allow.json", &mut problems);
    let trace = files.toml("trace.toml", &mut problems);
    // The default alone must hold, so that a flag cannot mend it.
    if let Some(Err(refused)) = calibration.as_ref().map(Calibration::from_value) {
        problems.extend(refused.to_string().lines().map(|line| format!("{FOLDER}/calibration.json: {line}")));
    }
    if let Some(Err(refused)) = chaos.as_ref().map(ChaosFile::from_value) {
        problems.extend(refused.to_string().lines().map(|line| format!("{FOLDER}/chaos.json: {line}")));
    }
    let profiles = profiles.and_then(|value| profiles_of(value, &mut problems));
    let (
        Some(calibration),
        Some(mut profiles),
        Some(chaos),
        Some(baseline),
        Some(inventory),
        Some(code_audit),
        Some(path_allow),
        Some(leak_allow),
        Some(trace),
        true,
    ) = (
        calibration,
        profiles,
        chaos,
        baseline,
        inventory,
        code_audit,
        path_allow,
        leak_allow,
        trace,
        problems.is_empty(),
    )
    else {
        return Err(Refused::Policy(problems));
    };

    let names: Vec<&str> = profiles.profiles.keys().map(String::as_str).collect();
    if !profiles.profiles.contains_key(&wanted.profile) {
        return Err(Refused::Usage(unknown_profile(&wanted.profile, &names)));
    }
    let profile = profiles.profiles.remove(&wanted.profile).map_or(Value::Null, |profile| profile.values);
    let place = format!("{FOLDER}/profiles.json#/profiles/{}/values", wanted.profile);
    let variables = wanted.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let from_environment = Layer::from_environment(&calibration::TABLE, variables, RESERVED).map_err(usage)?;
    let from_flags = Layer::from_flags(&calibration::TABLE, &wanted.set).map_err(usage)?;
    // A flag hides the variable of the same key, and a replay may give each key once.
    let by_hand = [&from_environment, &from_flags].into_iter().flat_map(|layer| &layer.settings);
    let by_key: BTreeMap<String, &str> =
        by_hand.map(|setting| (set_key(&setting.path), setting.raw.as_str())).collect();
    let set = by_key.into_iter().map(|(key, raw)| format!("{key}={raw}")).collect();
    let stack = [
        Layer::from_document(LayerKind::Default, &format!("{FOLDER}/calibration.json"), &calibration),
        Layer::from_document(LayerKind::Profile, &place, &profile),
        from_environment,
        from_flags,
    ];
    let mut resolved = layers::resolve(&calibration::TABLE, &stack)
        .map_err(|errors| Refused::Policy(errors.iter().map(ToString::to_string).collect()))?;
    resolved.loosened.retain(|one| !(wanted.foreign && one.key == "COMMAND_SUBJECT"));
    refuse_loosened(&wanted.profile, &resolved.loosened)?;

    let file = GatePolicy {
        schema: GatePolicy::SCHEMA.into(),
        profile: wanted.profile.clone(),
        gates: wanted.gates.clone(),
        values: resolved.value,
        sources: resolved.sources,
        loosened: resolved.loosened,
        chaos,
        scenarios: profiles.scenarios,
        baseline,
        inventory,
        trace,
        code_audit,
        path_allow,
    };
    finish(&file, &leak_allow, set)
}

fn finish(file: &GatePolicy, leak_allow: &Value, set: Vec<String>) -> Result<Loaded, Refused> {
    let mut problems = Vec::new();
    if let Err(refused) = file.calibration() {
        problems.extend(refused.to_string().lines().map(str::to_owned));
    }
    for name in file.scenarios.keys() {
        if let Err(refused) = file.scenario(name) {
            let lines = refused.to_string();
            problems.extend(lines.lines().map(|line| format!("{FOLDER}/profiles.json#/scenarios/{name}: {line}")));
        }
    }
    if !problems.is_empty() {
        return Err(Refused::Policy(problems));
    }
    let wrong = |error: JsonError| Refused::Policy(vec![error.to_string()]);
    let bytes = canonical::to_pretty(file).map_err(wrong)?;
    let policy = Policy::parse(&bytes).map_err(|error| Refused::Policy(vec![error]))?;
    Ok(Loaded {
        policy,
        leak_allow: canonical::to_pretty(leak_allow).map_err(wrong)?,
        calibration: canonical::to_pretty(&file.values).map_err(wrong)?,
        file: bytes,
        set,
    })
}

/// Profiles by hand of one's own are refused where a release is cut (POL-13).
fn refuse_loosened(profile: &str, loosened: &[Loosened]) -> Result<(), Refused> {
    let by_hand = |one: &&Loosened| one.source.starts_with("env:") || one.source.starts_with("cli:");
    let lines: Vec<String> = loosened.iter().filter(by_hand).map(ToString::to_string).collect();
    if profile != "release" || lines.is_empty() {
        return Ok(());
    }
    let failure = Failure::usage(format!("profile `release` takes no looser limit by hand:\n  {}", lines.join("\n  ")));
    Err(Refused::Usage(
        failure.hint("change gates/policy/calibration.json, which is reviewed, or take another profile"),
    ))
}

pub(crate) fn unknown_profile(name: &str, valid: &[&str]) -> Failure {
    let near =
        nearest(name, valid.iter().copied()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!("unknown profile `{name}`{near}")).hint(format!("profiles are {}", valid.join(", ")))
}

fn usage(errors: Vec<String>) -> Refused {
    Refused::Usage(Failure::usage(errors.join("\n")).hint("`cargo xtask config show` lists keys, values and sources"))
}

/// How `--set` names a path: with dots, or as a pointer where a name holds a dot itself.
fn set_key(path: &[String]) -> String {
    if path.iter().any(|step| step.contains('.')) {
        path.iter().fold(String::new(), |pointer, step| canonical::pointer_push(&pointer, step))
    } else {
        path.join(".")
    }
}

fn profiles_of(value: Value, problems: &mut Vec<String>) -> Option<Profiles> {
    let at = format!("{FOLDER}/profiles.json");
    let profiles: Profiles = match serde_json::from_value(value) {
        Ok(profiles) => profiles,
        Err(error) => {
            problems.push(format!("{at}: {error}"));
            return None;
        }
    };
    if profiles.schema != PROFILES_SCHEMA {
        problems.push(format!("{at}: /schema: `{}` is not `{PROFILES_SCHEMA}`", profiles.schema));
    }
    let documents =
        profiles.profiles.iter().map(|(name, profile)| (format!("/profiles/{name}/values"), &profile.values));
    let documents = documents.chain(profiles.scenarios.iter().map(|(name, own)| (format!("/scenarios/{name}"), own)));
    for (pointer, values) in documents {
        for setting in Layer::from_document(LayerKind::Profile, "", values).settings {
            let steps: Vec<&str> = setting.path.iter().map(String::as_str).collect();
            let wrong = match calibration::TABLE.find(&steps) {
                Ok((kind, _)) => kind.check(&setting.value).first().map(|error| error.reason.clone()),
                Err(reason) => Some(reason),
            };
            if let Some(reason) = wrong {
                problems.push(format!("{at}: {pointer}{}: {reason}", setting.place.trim_start_matches('#')));
            }
        }
    }
    Some(profiles)
}

struct Files<'a> {
    root: &'a Path,
}

impl Files<'_> {
    fn bytes(&self, name: &str, problems: &mut Vec<String>) -> Option<Vec<u8>> {
        let path = self.root.join(FOLDER).join(name);
        std::fs::read(path).map_err(|error| problems.push(format!("{FOLDER}/{name}: {error}"))).ok()
    }

    fn json(&self, name: &str, problems: &mut Vec<String>) -> Option<Value> {
        let bytes = self.bytes(name, problems)?;
        canonical::parse_evidence(&bytes).map_err(|error| problems.push(format!("{FOLDER}/{name}: {error}"))).ok()
    }

    fn toml(&self, name: &str, problems: &mut Vec<String>) -> Option<Value> {
        let bytes = self.bytes(name, problems)?;
        let parsed = String::from_utf8(bytes).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|text| toml::from_str::<Value>(&text).map_err(|error| error.to_string()));
        parsed.map_err(|error| problems.push(format!("{FOLDER}/{name}: {}", error.trim_end()))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn wanted(profile: &str, set: &[&str], environment: &[(&str, &str)]) -> Wanted {
        Wanted {
            profile: profile.into(),
            set: set.iter().map(|one| (*one).to_owned()).collect(),
            environment: environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            gates: vec!["pr-g0".into()],
            foreign: false,
        }
    }

    fn message(refused: Refused) -> String {
        match refused {
            Refused::Usage(failure) => failure.message,
            Refused::Policy(problems) => problems.join("\n"),
        }
    }

    /// A copy of the policy folder in which one file holds other text.
    fn with(name: &str, text: &str) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let folder = scratch.path().join(FOLDER);
        std::fs::create_dir_all(&folder).expect("a new folder");
        for entry in std::fs::read_dir(root().join(FOLDER)).expect("the shipped policy") {
            let entry = entry.expect("the shipped policy");
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a small file");
        }
        std::fs::write(folder.join(name), text).expect("a small file");
        scratch
    }

    #[test]
    fn every_shipped_profile_holds_and_ci_is_no_smaller_than_dev() {
        let sizes = |profile: &str| {
            let loaded = load(&root(), &wanted(profile, &[], &[])).map_err(message).expect("the shipped policy");
            assert_eq!(loaded.policy.file.loosened, [], "{profile}");
            let values = loaded.policy.values;
            [values.stress_n, values.chaos_calls, values.chaos_seeds, values.concurrency_n, values.concurrency_kills]
        };
        let (dev, ci) = (sizes("dev"), sizes("ci"));
        assert!(dev.iter().zip(&ci).all(|(dev, ci)| dev <= ci), "{dev:?} {ci:?}");
        assert!(sizes("release").iter().zip(&ci).all(|(release, ci)| release >= ci));
        sizes("soak");
    }

    #[test]
    fn pol_12_an_unknown_profile_names_the_nearest() {
        let text = message(load(&root(), &wanted("releas", &[], &[])).expect_err("no such profile"));
        assert_eq!(text, "unknown profile `releas`; did you mean `release`?");
    }

    #[test]
    fn pol_10_a_flag_shadows_a_variable_and_both_are_kept_for_replay() {
        let loaded = load(&root(), &wanted("dev", &["STRESS_N=5000"], &[("PROOFHOUSE_STRESS_N", "4000")]));
        let loaded = loaded.map_err(message).expect("valid");
        assert_eq!(loaded.policy.values.stress_n, 5000);
        assert_eq!(loaded.set, ["STRESS_N=5000"]);
        let source = &loaded.policy.file.sources["/STRESS_N"];
        assert_eq!((source.layer, source.shadowed[0].place.as_str()), (LayerKind::Cli, "PROOFHOUSE_STRESS_N"));
    }

    #[test]
    fn pol_12_a_malformed_variable_is_refused_and_a_reserved_one_is_no_setting() {
        let text =
            message(load(&root(), &wanted("dev", &[], &[("PROOFHOUSE_STRES_N", "1")])).expect_err("no such key"));
        assert!(text.contains("PROOFHOUSE_STRES_N") && text.contains("`STRESS_N`"), "{text}");
        let reserved = [("PROOFHOUSE_CALIBRATION", "x"), ("PROOFHOUSE_SABOTAGE", "y")];
        assert!(load(&root(), &wanted("dev", &[], &reserved)).is_ok());
    }

    #[test]
    fn pol_13_loosened_is_listed_and_refused_in_release() {
        let loaded = load(&root(), &wanted("dev", &["MAX_RETRIES=9"], &[])).map_err(message).expect("valid");
        assert_eq!(loaded.policy.file.loosened.len(), 1);
        for by_hand in
            [wanted("release", &["MAX_RETRIES=9"], &[]), wanted("release", &[], &[("PROOFHOUSE_MAX_RETRIES", "9")])]
        {
            let text = message(load(&root(), &by_hand).expect_err("looser"));
            assert!(text.contains("loosened: MAX_RETRIES 3 -> 9"), "{text}");
        }
        assert!(load(&root(), &wanted("release", &["MAX_RETRIES=2"], &[])).is_ok(), "tighter is allowed");
    }

    #[test]
    fn naming_a_foreign_program_loosens_nothing_where_it_is_what_is_judged() {
        let ours = wanted("dev", &["COMMAND_SUBJECT=[\"x\"]"], &[]);
        let loosened =
            |wanted: &Wanted| load(&root(), wanted).map_err(message).expect("valid").policy.file.loosened.len();
        assert_eq!((loosened(&ours), loosened(&Wanted { foreign: true, ..ours.clone() })), (1, 0));
    }

    #[test]
    fn pol_1_every_problem_of_the_files_is_named() {
        let scratch = with("calibration.json", r#"{"schema": "proofhouse.calibration/1", "STRESS_N": null}"#);
        std::fs::write(scratch.path().join(FOLDER).join("trace.toml"), "x = ").expect("a small file");
        std::fs::remove_file(scratch.path().join(FOLDER).join("baseline.json")).expect("it was copied");
        let text = message(load(scratch.path(), &wanted("dev", &[], &[])).expect_err("three problems"));
        for word in ["calibration.json: CALIBRATION_NULL: /STRESS_N", "trace.toml", "baseline.json"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn profiles_may_hold_known_keys_only() {
        let profiles = r#"{"schema": "proofhouse.profiles/1", "scenarios": {"s": {"STRESS_N": "many"}},
            "profiles": {"dev": {"description": "d", "values": {"STRES_N": 5}}}}"#;
        let text = message(load(with("profiles.json", profiles).path(), &wanted("dev", &[], &[])).expect_err("two"));
        assert!(text.contains("/profiles/dev/values/STRES_N: unknown key"), "{text}");
        assert!(text.contains("/scenarios/s/STRESS_N: \"many\" is no integer"), "{text}");
    }
}
