//! Finds and runs third-party programs; the one place in these tests that starts processes.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that was found.
#[derive(Clone, Debug)]
pub(crate) struct Tool(pub(crate) PathBuf);

/// What a program did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit status; a signal is none.
    pub(crate) exit: Option<i32>,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, as text.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// The first of `names` in `PATH`. If there is none, says loudly what was not checked.
pub(crate) fn find(names: &[&str], needed_for: &str) -> Option<Tool> {
    let path = std::env::var_os("PATH").expect("tests run with a PATH");
    let found = names
        .iter()
        .find_map(|name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        not_run(names.first().expect("a tool has a name"), needed_for);
    }
    found.map(Tool)
}

/// Python with the packages of `.ci/install-tools`.
pub(crate) fn python(needed_for: &str) -> Option<Tool> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let program = std::env::var_os("PROOFHOUSE_TOOLS").map_or_else(|| workspace.join("target/tools"), PathBuf::from);
    let program = program.join("venv/bin/python");
    if !program.is_file() {
        not_run("python packages (run .ci/install-tools)", needed_for);
        return None;
    }
    Some(Tool(program))
}

/// Written past the test harness, which would swallow it for a test that passes.
pub(crate) fn not_run(name: &str, needed_for: &str) {
    let line = format!("NOT RUN: {name}: {needed_for}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
}

impl Tool {
    /// Runs the program in `folder` with `input`, an empty environment but for PATH, HOME and TZ, and `variables`.
    pub(crate) fn run_with(
        &self,
        folder: &Path,
        arguments: &[impl AsRef<OsStr>],
        input: &[u8],
        variables: &[(&str, &str)],
    ) -> Outcome {
        #[expect(clippy::disallowed_methods, reason = "the one place in these tests that starts processes")]
        let mut command = Command::new(&self.0);
        command.args(arguments).current_dir(folder).env_clear().env("TZ", "UTC").env("HOME", folder);
        command.env("PATH", std::env::var_os("PATH").expect("tests run with a PATH"));
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that was found starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let input = input.to_vec();
        // On a thread of its own: a program that answers before it has read all would block us, and we it. One that
        // does not read its input closes the pipe, and that is its right.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("writing does not panic");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Outcome { exit: output.status.code(), stdout: output.stdout, stderr }
    }

    /// Runs the program in `folder` without input.
    pub(crate) fn run(&self, folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Outcome {
        self.run_with(folder, arguments, b"", &[])
    }
}

/// A test of this very program, run where its counterpart is not installed, says so and does not count as agreement.
#[test]
fn a60_an_absent_tool_reads_not_run() {
    let nothing = tempfile::tempdir().expect("a scratch folder");
    let this = Tool(std::env::current_exe().expect("a test knows its own program"));
    let path = nothing.path().display().to_string();
    let variables = [("PATH", path.as_str()), ("PROOFHOUSE_TOOLS", path.as_str())];
    for (test, name) in [("archives::ppk_45_info_zip", "unzip"), ("python::a59_powershell_lint", "python packages")] {
        let outcome = this.run_with(nothing.path(), &["--exact", test], b"", &variables);
        assert_eq!(outcome.exit, Some(0), "{outcome:?}");
        assert!(outcome.stderr.starts_with(&format!("NOT RUN: {name}")), "{outcome:?}");
    }
}
