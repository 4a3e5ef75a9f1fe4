//! Why a command could not do its work: one sentence, what to do next, and the exit code.

use std::io::Write;

use contract::exit;

/// An error that ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    /// What was attempted and what went wrong; several lines where several things are wrong.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::gate::USAGE, message: message.into(), hint: None }
    }

    pub(crate) fn infrastructure(message: impl Into<String>) -> Self {
        Self { code: exit::gate::INFRASTRUCTURE, message: message.into(), hint: None }
    }

    pub(crate) fn build(message: impl Into<String>) -> Self {
        Self { code: exit::gate::BUILD, message: message.into(), hint: None }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: exit::gate::INTERNAL, message: message.into(), hint: None }
    }

    pub(crate) fn interrupted() -> Self {
        Self { code: exit::gate::INTERRUPTED, message: "interrupted".into(), hint: None }
    }

    /// A file or folder that could not be used; reading and writing there may work another time.
    pub(crate) fn file(attempt: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::infrastructure(format!("{attempt} {}: {error}", path.display()))
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Prints the error on stderr and gives its exit code.
    pub(crate) fn report(self) -> u8 {
        let mut text = format!("error: {}\n", self.message);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        // Where stderr is closed there is nobody to tell; the exit code still says it.
        let _ = std::io::stderr().write_all(text.as_bytes());
        self.code
    }
}
