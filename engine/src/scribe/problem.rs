//! What is wrong with an input file: the file, the place, one stable word and a sentence.

use std::fmt;

use serde::Serialize;

/// The two input files of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum File {
    /// `intent.json`: what the story should be.
    #[serde(rename = "intent.json")]
    Intent,
    /// `plan.json`: scenes and beats.
    #[serde(rename = "plan.json")]
    Plan,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intent => "intent.json",
            Self::Plan => "plan.json",
        })
    }
}

/// The kind of a problem. Stable: scripts and the table of hostile inputs name these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Not strict JSON: broken, too large, too deep, duplicate keys, lone surrogates.
    Json,
    /// A required field is absent.
    Missing,
    /// A field that no rule knows.
    Unknown,
    /// `null` where a value is needed.
    Null,
    /// Another JSON type than asked.
    Type,
    /// A number outside its range.
    Range,
    /// Empty text, or too few items.
    Empty,
    /// Too many items.
    TooMany,
    /// A word outside its closed list.
    Choice,
    /// Text that does not have its form (digest, time, id).
    Form,
    /// Text with a NUL.
    Nul,
    /// An id that occurs twice.
    Duplicate,
    /// A reference to something that does not exist.
    Reference,
    /// Things in the wrong order.
    Order,
    /// A stated count, sum or length that the scenes do not have.
    Count,
    /// A stated digest that the content does not have.
    Hash,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One problem. An input is refused with all of its problems, never with the first alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Which file.
    pub file: File,
    /// Where in it, as a JSON pointer; empty for the whole file.
    pub pointer: String,
    /// What kind.
    pub word: Word,
    /// What exactly, as a fragment that reads after the place.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}: {}: {}", self.file, self.pointer, self.word, self.message)
    }
}

/// Collects the problems of one file.
pub(crate) struct Problems {
    file: File,
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn of(file: File) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, pointer: impl Into<String>, word: Word, message: impl Into<String>) {
        self.found.push(Problem { file: self.file, pointer: pointer.into(), word, message: message.into() });
    }

    pub(crate) fn into_inner(self) -> Vec<Problem> {
        self.found
    }
}
