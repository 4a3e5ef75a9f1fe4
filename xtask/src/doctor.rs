//! `cargo xtask doctor`: which programs each profile needs, whether they are there, and what is lost without them (GAT-3).

use std::path::Path;
use std::time::Duration;

use clap::Args;
use contract::exit;
use serde_json::json;

use crate::cli::{self, Color};
use crate::failure::Failure;
use crate::policy;
use crate::process;
use crate::progress::Progress;
use crate::report::json;
use crate::report::text::Page;
use crate::workspace::Workspace;

/// A program says its version at once, unless its disk hangs.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A program that some part of the product starts.
struct Tool {
    program: &'static str,
    /// What makes it say that it is there.
    arguments: &'static [&'static str],
    needed: Needed,
    install: &'static str,
    /// Checks that cannot be judged whole without it, or what else is lost.
    affects: &'static str,
}

/// Which profiles need a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// Every profile.
    Always,
    /// All but `dev`, where its rows read NOT RUN.
    OutsideDev,
}

const TOOLS: &[Tool] = &[
    tool("git", &["--version"], Needed::Always, "apt-get install git", "source-state, gates-passed"),
    tool("cargo", &["-V"], Needed::Always, "https://rustup.rs", "every check"),
    tool("rustc", &["-V"], Needed::Always, "https://rustup.rs", "every check"),
    tool("strace", &["-V"], Needed::OutsideDev, "apt-get install strace", "crash-points"),
    tool("sha256sum", &["--version"], Needed::OutsideDev, "apt-get install coreutils", "pack-verifies"),
    tool("unzip", &["-v"], Needed::OutsideDev, "apt-get install unzip", "pack-verifies"),
    tool("python3", &["--version"], Needed::OutsideDev, "apt-get install python3", "pack-verifies"),
    tool("bsdtar", &["--version"], Needed::OutsideDev, "apt-get install libarchive-tools", "pack-verifies"),
    tool("7z", &["i"], Needed::OutsideDev, "apt-get install p7zip-full", "pack-verifies"),
    tool("ssh-keygen", &["-?"], Needed::OutsideDev, "apt-get install openssh-client", "signatures of packs"),
    tool("node", &["--version"], Needed::OutsideDev, "apt-get install nodejs npm; .ci/install-tools", "real-wire"),
];

const fn tool(
    program: &'static str,
    arguments: &'static [&'static str],
    needed: Needed,
    install: &'static str,
    affects: &'static str,
) -> Tool {
    Tool { program, arguments, needed, install, affects }
}

/// `cargo xtask doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Doctor {
    /// The profile that shall run
    #[arg(long, default_value = policy::DEFAULT_PROFILE)]
    profile: String,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

/// What became of one tool.
struct Finding {
    name: String,
    /// Its first words; `None` when it is missing.
    version: Option<String>,
    needed: bool,
    install: String,
    affects: &'static str,
}

impl Doctor {
    /// Looks for every program; 75 when one is missing that the profile needs.
    ///
    /// # Errors
    /// An unknown profile, or standard output cannot be written.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        const PROFILES: [&str; 4] = ["dev", "ci", "release", "soak"];
        if !PROFILES.contains(&self.profile.as_str()) {
            return Err(policy::unknown_profile(&self.profile, &PROFILES));
        }
        let mut progress = Progress::new(true, false, 0);
        let space = Workspace::find(&mut progress).ok();
        let here = std::env::current_dir().map_err(|error| Failure::infrastructure(error.to_string()))?;
        let folder = space.as_ref().map_or(here.as_path(), |space| space.root.as_path());
        let mut findings = Vec::new();
        for tool in TOOLS {
            findings.push(look(tool, folder, &self.profile, &mut progress)?);
        }
        findings.extend(pinned(folder, &mut progress)?);
        cli::print(&if self.json { lines(&findings)? } else { table(&findings, &self.profile) })?;
        let missing = findings.iter().any(|finding| finding.needed && finding.version.is_none());
        Ok(if missing { exit::gate::INFRASTRUCTURE } else { exit::gate::PASS })
    }
}

/// Refuses a run that could not be judged whole for want of programs, before anything is built. In `dev` what is missing
/// leaves rows NOT RUN.
///
/// # Errors
/// Exit 75 with every missing program, its install command and the checks affected.
pub(crate) fn require(profile: &str, folder: &Path, progress: &mut Progress) -> Result<(), Failure> {
    if profile == policy::DEFAULT_PROFILE { Ok(()) } else { refuse_without(TOOLS, profile, folder, progress) }
}

fn refuse_without(tools: &[Tool], profile: &str, folder: &Path, progress: &mut Progress) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for tool in tools {
        let finding = look(tool, folder, profile, progress)?;
        if finding.needed && finding.version.is_none() {
            missing.push(format!("\n  {}: install: {}; affects: {}", finding.name, finding.install, finding.affects));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let failure =
        Failure::infrastructure(format!("profile `{profile}` needs programs that are missing:{}", missing.concat()));
    Err(failure.hint("`.ci/install-tools` installs them; profile `dev` runs without"))
}

fn look(tool: &Tool, folder: &Path, profile: &str, progress: &mut Progress) -> Result<Finding, Failure> {
    let needed = match tool.needed {
        Needed::Always => true,
        Needed::OutsideDev => profile != policy::DEFAULT_PROFILE,
    };
    let asked = process::program_in(folder, tool.program, tool.arguments, ANSWER_MAX).one_stream().ask(progress);
    let version = match asked {
        // Whatever it says to the question, a program that answers is there.
        Ok(ended) => Some(ended.out.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim().to_owned()),
        Err(failure) if failure.code == exit::gate::INFRASTRUCTURE => None,
        Err(failure) => return Err(failure),
    };
    let (name, install) = (tool.program.to_owned(), tool.install.to_owned());
    Ok(Finding { name, version, needed, install, affects: tool.affects })
}

/// The toolchain that `rust-toolchain.toml` pins, where there is one.
fn pinned(folder: &Path, progress: &mut Progress) -> Result<Option<Finding>, Failure> {
    let Ok(text) = std::fs::read_to_string(folder.join("rust-toolchain.toml")) else { return Ok(None) };
    let pinned = text.lines().find_map(|line| line.strip_prefix("channel = "));
    let Some(pinned) = pinned.map(|text| text.trim_matches(['"', ' '])) else { return Ok(None) };
    let answer = process::program_in(folder, "rustc", ["-V"], ANSWER_MAX).ask(progress);
    let version = answer.ok().map(|ended| ended.out.trim().to_owned());
    Ok(Some(Finding {
        name: format!("Rust {pinned}"),
        version: version.filter(|version| version.split(' ').nth(1) == Some(pinned)),
        needed: true,
        install: format!("rustup toolchain install {pinned}"),
        affects: "toolchain-pinned",
    }))
}

fn table(findings: &[Finding], profile: &str) -> String {
    let mut page = Page::new(Color::Never.style());
    for finding in findings {
        match &finding.version {
            Some(version) => page.line(&format!("found    {:<12} ", finding.name), version),
            None => {
                let word = if finding.needed { "MISSING" } else { "absent" };
                let text = format!("install: {}; affects: {}", finding.install, finding.affects);
                page.line(&format!("{word:<8} {:<12} ", finding.name), &text);
            }
        }
    }
    let missing = findings.iter().filter(|finding| finding.needed && finding.version.is_none()).count();
    page.line(
        "",
        &match missing {
            0 => format!("profile {profile}: everything it needs is there"),
            count => format!("profile {profile}: {count} programs are missing"),
        },
    );
    page.finish()
}

fn lines(findings: &[Finding]) -> Result<String, Failure> {
    let mut out = String::new();
    for finding in findings {
        let line = json!({
            "schema": "proofhouse.doctor/1",
            "program": finding.name,
            "found": finding.version.is_some(),
            "version": finding.version,
            "needed": finding.needed,
            "install": finding.install,
            "affects": finding.affects,
        });
        json::push(&mut out, &line)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_install_command_and_what_it_affects() {
        let absent = tool("no-such-program", &[], Needed::OutsideDev, "apt-get install it", "crash-points");
        let mut progress = Progress::silent();
        let finding = look(&absent, Path::new("/"), "ci", &mut progress).expect("asked");
        assert!(finding.needed && finding.version.is_none());
        let text = table(&[finding], "ci");
        for word in ["MISSING", "no-such-program", "apt-get install it", "crash-points", "1 programs are missing"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let in_dev = look(&absent, Path::new("/"), "dev", &mut progress).expect("asked");
        assert!(!in_dev.needed && table(&[in_dev], "dev").contains("absent"));
    }

    #[test]
    fn gat_3_a_profile_does_not_begin_without_its_programs() {
        let absent = tool("no-such-program", &[], Needed::OutsideDev, "apt-get install it", "crash-points");
        let mut progress = Progress::silent();
        let failure = refuse_without(&[absent], "ci", Path::new("/"), &mut progress).expect_err("it is missing");
        assert_eq!(failure.code, exit::gate::INFRASTRUCTURE);
        assert!(
            failure.message.contains("no-such-program: install: apt-get install it; affects: crash-points"),
            "{failure:?}"
        );
        let present = tool("sh", &["-c", "exit 3"], Needed::Always, "", "");
        assert_eq!(
            refuse_without(&[present], "ci", Path::new("/"), &mut progress),
            Ok(()),
            "an answer is all it takes"
        );
    }
}
