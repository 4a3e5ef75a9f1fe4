//! The fixed scripts of a pack, and which releases wrote which bytes (PPK-23 to PPK-28).

use contract::digest::Digest;

use super::codes::{Code, Fault, Reason};
use super::layout;

/// The scripts that this version writes: path in the pack and text.
pub const TEMPLATES: [(&str, &str); 3] = [
    (layout::REPLAY_SH, include_str!("scripts/replay.sh")),
    (layout::VERIFY_PS1, include_str!("scripts/verify.ps1")),
    (layout::VERIFY_SH, include_str!("scripts/verify.sh")),
];

/// The digests that one release wrote, in the order of [`TEMPLATES`].
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Version of the tool.
    pub version: &'static str,
    /// SHA-256 of replay.sh, verify.ps1 and verify.sh, in hex.
    pub digests: [&'static str; 3],
}

/// Every release, oldest first. A row is never changed once its version is released, only added to.
pub const RELEASES: [Release; 1] = [Release {
    version: "0.1.0",
    digests: [
        "bf416b7998cb8aa44ee06d1ea0854261dfc99962faccf36be74eb88bcc56de55",
        "4f9e32489a34b8bd65ccd26cf16269f827f85776aa0d1214cef356826c2e3291",
        "b463073448063e4c870852cff845ace9e0841be1aceebdf04d513a4c60b77619",
    ],
}];

/// The text of a script that this version writes.
#[must_use]
pub fn template(path: &str) -> Option<&'static str> {
    TEMPLATES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// Step 7 of verification: the scripts of a pack are, together, those of one release. Gives its version.
///
/// `digests` are those of replay.sh, verify.ps1 and verify.sh, in the order of [`TEMPLATES`].
///
/// # Errors
/// `E_SCRIPT template`, naming the first script that is not from the release that most scripts are from.
pub fn check_release(digests: [Digest; 3]) -> Result<&'static str, Fault> {
    let hex = digests.map(|digest| digest.to_string());
    let equal = |release: &Release| hex.iter().zip(release.digests).filter(|(found, known)| found == known).count();
    // On a tie the newest, so that a forged script of an unknown release is compared with the current one.
    let nearest = RELEASES.iter().max_by_key(|release| equal(release));
    let Some(release) = nearest else { return Err(Fault::new(Code::Script, Reason::Template)) };
    let differs = (0..TEMPLATES.len()).find(|&index| hex[index] != release.digests[index]);
    match differs {
        None => Ok(release.version),
        Some(index) => Err(Fault::new(Code::Script, Reason::Template)
            .at(TEMPLATES[index].0)
            .expected(release.digests[index])
            .found(&hex[index])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> [Digest; 3] {
        TEMPLATES.map(|(_, text)| Digest::of(text.as_bytes()))
    }

    #[test]
    fn the_last_release_is_what_this_version_writes() {
        let last = RELEASES.last().expect("there is a release");
        assert_eq!(current().map(|digest| digest.to_string()), last.digests);
        assert_eq!(last.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(check_release(current()), Ok(last.version));
    }

    #[test]
    fn a_changed_script_is_no_template() {
        for (index, (path, text)) in TEMPLATES.iter().enumerate() {
            let mut digests = current();
            digests[index] = Digest::of(format!("{text}\n").as_bytes());
            let fault = check_release(digests).expect_err("one byte more");
            assert_eq!(
                (fault.code, fault.reason, fault.path.as_deref()),
                (Code::Script, Reason::Template, Some(*path))
            );
        }
    }

    #[test]
    fn scripts_are_ascii_with_lf_line_ends() {
        for (path, text) in TEMPLATES {
            assert!(text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) && text.ends_with('\n'), "{path}");
        }
    }
}
