//! How a subcommand says how it ended: sentences, then one reason word on the last line, and its exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use contract::exit::engine as exit;
use serde_json::{Value, json};

use crate::store::{Cause, StoreError};

/// An end without a result: nothing was done, or nothing could be.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u8,
    reason: &'static str,
    problems: Vec<String>,
}

impl Refusal {
    /// A flag is missing or wrong.
    pub(super) fn usage(problem: impl Into<String>) -> Self {
        Self { code: exit::USAGE, reason: "usage", problems: vec![problem.into()] }
    }

    /// An input file is wrong.
    pub(super) fn input(problems: Vec<String>) -> Self {
        Self { code: exit::USAGE, reason: "input", problems }
    }

    /// The policy is wrong.
    pub(super) fn policy(problem: impl Into<String>) -> Self {
        Self { code: exit::USAGE, reason: "policy", problems: vec![problem.into()] }
    }

    /// A file or folder failed.
    pub(super) fn store(problem: impl Into<String>) -> Self {
        Self { code: exit::UNAVAILABLE, reason: "store", problems: vec![problem.into()] }
    }

    /// Says it: sentences and the word on stderr, with `json` also one object on stdout.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let mut text: String = self.problems.iter().map(|problem| format!("engine: {problem}\n")).collect();
        text.push_str(self.reason);
        tell(&text);
        if json {
            print(&json!({"exit_code": self.code, "reason": self.reason, "problems": self.problems}).to_string());
        }
        ExitCode::from(self.code)
    }
}

/// A shared folder failed; the reason is the word of its error.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let code = match error.cause {
            Cause::UnsupportedFilesystem(_) | Cause::Invalid(_) => exit::USAGE,
            Cause::Io(_) | Cause::LockTimeout(_) => exit::UNAVAILABLE,
        };
        Self { code, reason: error.word(), problems: vec![error.to_string()] }
    }
}

/// One line on stderr.
pub(super) fn tell(line: &str) {
    // When stderr is closed nobody listens; the exit code still says how it went.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// One line on stdout.
pub(super) fn print(line: &str) {
    // When stdout is closed nobody listens; the files and the exit code still say how it went.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// A result as people or programs read it.
pub(super) fn print_result(json: bool, value: &Value, lines: &[String]) {
    if json {
        print(&value.to_string());
    } else {
        lines.iter().for_each(|line| print(line));
    }
}
