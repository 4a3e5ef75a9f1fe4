//! Where the calibration comes from (POL-15): a flag, a variable, or the nearest folder above that holds one.

use std::path::{Path, PathBuf};

use contract::calibration::Calibration;
use contract::chaos_profile::ChaosFile;

use crate::cli::ending::Refusal;
use crate::pipeline::Profile;

/// The variable that names a calibration file.
pub(super) const VARIABLE: &str = "PROOFHOUSE_CALIBRATION";

const BELOW_ROOT: &str = "gates/policy/calibration.json";

/// A calibration and the file that it came from.
pub(super) struct Found {
    pub(super) calibration: Calibration,
    pub(super) file: PathBuf,
}

/// Finds, reads and checks the calibration.
pub(super) fn calibration(flag: Option<&Path>) -> Result<Found, Refusal> {
    let file = match flag {
        Some(file) => file.to_owned(),
        None => match std::env::var_os(VARIABLE) {
            Some(file) => file.into(),
            None => nearest()?,
        },
    };
    let bytes = std::fs::read(&file).map_err(|error| Refusal::policy(format!("{}: {error}", file.display())))?;
    let parsed = Calibration::parse(&bytes);
    #[cfg(feature = "sabotage")]
    let parsed = if crate::sabotage!("null-defaulted") { parsed.or_else(|_| with_defaults(&bytes)) } else { parsed };
    match parsed {
        Ok(calibration) => Ok(Found { calibration, file }),
        Err(refused) => Err(Refusal::policy(format!("{}: {refused}", file.display()))),
    }
}

fn nearest() -> Result<PathBuf, Refusal> {
    let start = std::env::current_dir().map_err(|error| Refusal::policy(format!("working folder: {error}")))?;
    start.ancestors().map(|folder| folder.join(BELOW_ROOT)).find(|file| file.is_file()).ok_or_else(|| {
        Refusal::policy(format!(
            "no calibration: give --calibration FILE, set {VARIABLE}, or run below a folder that holds {BELOW_ROOT}"
        ))
    })
}

/// The defect `null-defaulted`: each null takes the shipped value.
#[cfg(feature = "sabotage")]
fn with_defaults(bytes: &[u8]) -> Result<Calibration, contract::calibration::Refused> {
    use contract::calibration::Refused;
    use contract::canonical::parse_evidence;
    use serde_json::Value;

    fn fill(value: &mut Value, default: &Value) {
        match (value, default) {
            (Value::Object(fields), Value::Object(defaults)) => {
                for (name, field) in fields {
                    fill(field, defaults.get(name).unwrap_or(&Value::Null));
                }
            }
            (value @ Value::Null, default) => *value = default.clone(),
            _ => {}
        }
    }
    let shipped = include_bytes!("../../../gates/policy/calibration.json");
    let mut value = parse_evidence(bytes).map_err(Refused::Json)?;
    fill(&mut value, &parse_evidence(shipped).map_err(Refused::Json)?);
    Calibration::from_value(&value)
}

/// The fault profile of a run: none unless a file or a profile is named. Without a file, `chaos.json` beside the
/// calibration.
pub(super) fn chaos(found: &Found, file: Option<&Path>, profile: Option<&str>) -> Result<Option<Profile>, Refusal> {
    if file.is_none() && profile.is_none() {
        return Ok(None);
    }
    let path = file.map_or_else(|| found.file.with_file_name("chaos.json"), Path::to_owned);
    let wrong = |reason: String| Refusal::policy(format!("{}: {reason}", path.display()));
    let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let chaos = ChaosFile::parse(&bytes).map_err(|refused| wrong(refused.to_string()))?;
    let name = profile.unwrap_or(&chaos.default_profile);
    Profile::from_file(&chaos, name, found.calibration.chaos_rate).map(Some).map_err(wrong)
}
