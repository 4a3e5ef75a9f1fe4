//! Counts the crates that xtask pulls in: what a newcomer compiles before the first line of help.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::failure::Failure;
use crate::gate::Run;
use crate::process;
use crate::progress::Progress;

/// Cargo reads manifests that are all on disk.
const TREE_MAX: Duration = Duration::from_secs(120);

/// Crates of xtask on this machine, itself included, as `name version`, without what only tests need.
///
/// `cargo tree` and not `cargo metadata`: the latter also lists optional dependencies that no feature switches on.
///
/// # Errors
/// Cargo fails, or gives something else.
pub(super) fn of_xtask(run: &Run, progress: &mut Progress) -> Result<Vec<String>, Failure> {
    let host = run.toolchain.host().ok_or_else(|| Failure::internal("`rustc -vV` names no host"))?;
    let arguments =
        ["tree", "--package", "xtask", "--edges", "normal,build", "--prefix", "none", "--locked", "--offline"];
    let arguments = arguments.into_iter().chain(["--target", host]);
    let answer = process::cargo(&run.space.root, Some(&run.space.target), arguments, TREE_MAX).ask(progress)?;
    if !answer.succeeded() {
        let text = format!("cargo cannot list the dependencies: {}{}", answer.end, answer.tail_text());
        return Err(Failure::infrastructure(text).hint("`cargo fetch --locked` downloads what is missing"));
    }
    let crates: Option<BTreeSet<String>> = answer.out.lines().filter(|line| !line.is_empty()).map(named).collect();
    let crates = crates.ok_or_else(|| Failure::internal("cargo tree prints lines of another form"))?;
    Ok(crates.into_iter().collect())
}

/// `serde v1.0.229 (proc-macro)` is `serde 1.0.229`; a crate that was printed before ends in `(*)`.
fn named(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(format!("{name} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_its_name_and_version() {
        assert_eq!(named("serde v1.0.229 (proc-macro) (*)").as_deref(), Some("serde 1.0.229"));
        assert_eq!(named("gates v0.1.0 (<workspace>/gates)").as_deref(), Some("gates 0.1.0"));
        assert_eq!(named("warning: unused"), None);
    }
}
