//! Checks an extracted pack as `verify.sh` and `verify.ps1` do: same order, same messages, same exits (PPK-23, PPK-28).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use contract::digest::Digest;
use walkdir::WalkDir;

use super::codes::{Code, Fault, Reason};
use super::layout;
use super::names::{self, NameSet};

/// One check of an extracted pack. [`CHECKS`] has them in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The hash list is a file of a sensible size.
    List,
    /// It holds LF and printable ASCII only.
    Bytes,
    /// Each line is hash, two spaces, path.
    Grammar,
    /// Paths ascend and are unique.
    Order,
    /// No two paths are one name, or file and folder, to a file system that ignores case.
    Clash,
    /// There is evidence.
    Evidence,
    /// No link or special file.
    Special,
    /// No file or folder name outside the name grammar.
    Name,
    /// Every listed file is there.
    Missing,
    /// Every file that is there is listed.
    Extra,
    /// Every file has its hash.
    Hash,
}

/// What a failed check names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A fixed sentence.
    Sentence(&'static str),
    /// The first line of the hash list that breaks it.
    Line,
    /// The first path, by bytes, that breaks it.
    Path,
}

/// One row of the table that the scripts and [`check_tree`] share.
#[derive(Clone, Copy, Debug)]
pub struct CheckFacts {
    /// The check.
    pub check: Check,
    /// Its public word, printed after `FAIL`.
    pub word: &'static str,
    /// What a failure names.
    pub names: Names,
    /// Code and reason of the failure in the reports of the verifier.
    pub code: (Code, Reason),
}

/// All checks in order. A test holds `verify.sh` and `verify.ps1` to it.
pub const CHECKS: [CheckFacts; 11] = {
    const fn row(check: Check, word: &'static str, names: Names, code: Code, reason: Reason) -> CheckFacts {
        CheckFacts { check, word, names, code: (code, reason) }
    }
    const LIST: Names = Names::Sentence("SHA256SUMS.txt is missing, empty or over 8 MiB");
    const BYTES: Names =
        Names::Sentence("SHA256SUMS.txt holds other bytes than LF and printable ASCII, or no final LF");
    const EVIDENCE: Names = Names::Sentence("SHA256SUMS.txt names no file under evidence/");
    [
        row(Check::List, "list", LIST, Code::Sums, Reason::Empty),
        row(Check::Bytes, "bytes", BYTES, Code::Sums, Reason::Grammar),
        row(Check::Grammar, "grammar", Names::Line, Code::Sums, Reason::Grammar),
        row(Check::Order, "order", Names::Line, Code::Sums, Reason::Order),
        row(Check::Clash, "clash", Names::Line, Code::Name, Reason::Case),
        row(Check::Evidence, "evidence", EVIDENCE, Code::Set, Reason::Empty),
        row(Check::Special, "special", Names::Path, Code::Set, Reason::Extra),
        row(Check::Name, "name", Names::Path, Code::Name, Reason::Charset),
        row(Check::Missing, "missing", Names::Path, Code::Set, Reason::Missing),
        row(Check::Extra, "extra", Names::Path, Code::Set, Reason::Extra),
        row(Check::Hash, "hash", Names::Path, Code::Hash, Reason::Sha256),
    ]
};

/// Largest hash list in bytes (PPK-12).
const LIST_BYTES_MAX: u64 = 8 << 20;
/// Members that vouch for the hash list, so it cannot name them (PPK-4).
const SEALED: [&str; 3] = [layout::SUMS, layout::SIGNATURE, layout::ATTESTATION];

/// An intact folder. It prints as the scripts print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeOk {
    /// Listed files.
    pub files: usize,
    /// SHA-256 of the hash list.
    pub root: Digest,
}

impl fmt::Display for TreeOk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OK {} files, root {}", self.files, self.root)
    }
}

/// Why a folder is not, or cannot be called, intact. It prints as the scripts print it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeFault {
    /// A check failed.
    Failed {
        /// Which.
        check: Check,
        /// Sentence, line or escaped path, by the `names` of the check.
        subject: String,
    },
    /// The folder cannot be read.
    CannotCheck(
        /// Reason.
        String,
    ),
}

impl TreeFault {
    /// Exit of the scripts: 1 failed, 2 cannot check.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match self {
            Self::Failed { .. } => 1,
            Self::CannotCheck(_) => 2,
        }
    }
}

impl fmt::Display for TreeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { check, subject } => write!(f, "FAIL {}: {subject}", CHECKS[*check as usize].word),
            Self::CannotCheck(reason) => write!(f, "cannot check: {reason}"),
        }
    }
}

impl std::error::Error for TreeFault {}

impl From<TreeFault> for Fault {
    fn from(fault: TreeFault) -> Self {
        match fault {
            TreeFault::Failed { check, subject } => {
                let (code, reason) = CHECKS[check as usize].code;
                match CHECKS[check as usize].names {
                    Names::Path => Self::new(code, reason).at(subject),
                    Names::Sentence(_) | Names::Line => Self::new(code, reason).at(layout::SUMS).found(subject),
                }
            }
            TreeFault::CannotCheck(reason) => Self::new(Code::Io, Reason::Read).found(reason),
        }
    }
}

/// Checks the extracted pack in `folder`: hash list, names, file set, hashes. Nothing is written, no link is followed.
///
/// # Errors
/// The first fault, in the order of [`CHECKS`].
pub fn check_tree(folder: &Path) -> Result<TreeOk, TreeFault> {
    let list = read_list(folder)?;
    let lines = parse_list(&list)?;
    let found = find_files(folder)?;
    let failed = |check, subject: &str| Err(TreeFault::Failed { check, subject: subject.to_owned() });
    if let Some((path, _)) = lines.iter().find(|(path, _)| !found.contains_key(*path)) {
        return failed(Check::Missing, path);
    }
    let is_listed = |path: &str| lines.binary_search_by(|(listed, _)| (*listed).cmp(path)).is_ok();
    if let Some(path) = found.keys().find(|path| !is_listed(path) && !SEALED.contains(&path.as_str())) {
        return failed(Check::Extra, path);
    }
    for (path, expected) in &lines {
        let hashed = found
            .get(*path)
            .ok_or_else(|| cannot(path, &"it is gone"))
            .and_then(|file| File::open(file).and_then(Digest::of_reader).map_err(|error| cannot(path, &error)))?;
        if hashed != *expected {
            return failed(Check::Hash, path);
        }
    }
    Ok(TreeOk { files: lines.len(), root: Digest::of(list.as_bytes()) })
}

fn cannot(path: &str, reason: &impl fmt::Display) -> TreeFault {
    TreeFault::CannotCheck(format!("not readable: {path}: {reason}"))
}

fn sentence(check: Check) -> TreeFault {
    let Names::Sentence(subject) = CHECKS[check as usize].names else {
        return TreeFault::CannotCheck(format!("check {check:?} has no sentence"));
    };
    TreeFault::Failed { check, subject: subject.to_owned() }
}

fn read_list(folder: &Path) -> Result<String, TreeFault> {
    let path = folder.join(layout::SUMS);
    let facts = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => return Err(sentence(Check::List)),
        other => other.map_err(|error| cannot(layout::SUMS, &error))?,
    };
    if !facts.is_file() || facts.len() == 0 || facts.len() > LIST_BYTES_MAX {
        return Err(sentence(Check::List));
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| cannot(layout::SUMS, &error))?;
    // The limit again, because the file may have grown since its size was asked.
    file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| cannot(layout::SUMS, &error))?;
    let is_plain = bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) && bytes.last() == Some(&b'\n');
    String::from_utf8(bytes).ok().filter(|_| is_plain).ok_or_else(|| sentence(Check::Bytes))
}

/// Paths and hashes, once all lines have passed each check in turn.
fn parse_list(list: &str) -> Result<Vec<(&str, Digest)>, TreeFault> {
    let at_line =
        |check, index: usize| TreeFault::Failed { check, subject: format!("SHA256SUMS.txt line {}", index + 1) };
    let mut lines = Vec::new();
    for (index, line) in list.lines().enumerate() {
        lines.push(parse_line(line).ok_or_else(|| at_line(Check::Grammar, index))?);
    }
    let mut set = NameSet::default();
    let mut clash = None;
    for (index, (path, _)) in lines.iter().enumerate() {
        match set.push(path) {
            Err(Reason::Order | Reason::Duplicate) => return Err(at_line(Check::Order, index)),
            Err(_) => clash = clash.or(Some(index)),
            Ok(()) => {}
        }
    }
    if let Some(index) = clash {
        return Err(at_line(Check::Clash, index));
    }
    let has_evidence = lines.iter().any(|(path, _)| path.starts_with(layout::EVIDENCE));
    if has_evidence { Ok(lines) } else { Err(sentence(Check::Evidence)) }
}

fn parse_line(line: &str) -> Option<(&str, Digest)> {
    let (hash, rest) = line.split_at_checked(64)?;
    let path = names::check(rest.strip_prefix("  ")?.as_bytes()).ok().filter(|path| !SEALED.contains(path))?;
    Some((path, Digest::parse(hash)?))
}

/// Every regular file with its path in the pack.
fn find_files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, TreeFault> {
    let mut found = BTreeMap::new();
    let (mut special, mut odd) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(folder).min_depth(1).follow_links(false) {
        let entry = entry.map_err(|error| TreeFault::CannotCheck(format!("a folder is not readable: {error}")))?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let path = relative.components().map(|part| shown(part.as_os_str().as_encoded_bytes())).collect::<Vec<_>>();
        let path = path.join("/");
        let kind = entry.file_type();
        if !kind.is_file() && !kind.is_dir() {
            special.push(path.clone());
        }
        if entry.file_name().as_encoded_bytes() != shown(entry.file_name().as_encoded_bytes()).as_bytes() {
            odd.push(path.clone());
        }
        if kind.is_file() {
            found.insert(path, entry.into_path());
        }
    }
    for (check, mut paths) in [(Check::Special, special), (Check::Name, odd)] {
        paths.sort_unstable();
        if let Some(subject) = paths.into_iter().next() {
            return Err(TreeFault::Failed { check, subject });
        }
    }
    Ok(found)
}

/// A name with every byte outside the name grammar as a question mark.
fn shown(name: &[u8]) -> String {
    let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@=,-".contains(&byte);
    name.iter().map(|&byte| if is_shown(byte) { char::from(byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, facts) in CHECKS.iter().enumerate() {
            assert_eq!(facts.check as usize, index, "{}", facts.word);
            assert!(facts.code.0.facts().reasons.contains(&facts.code.1), "{}", facts.word);
        }
    }

    #[test]
    fn ppk_28_the_scripts_do_the_same_checks_in_the_same_order() {
        let words: Vec<_> = CHECKS.iter().map(|facts| facts.word).collect();
        let sentences = CHECKS.iter().filter_map(|facts| match facts.names {
            Names::Sentence(text) => Some(text),
            Names::Line | Names::Path => None,
        });
        let sentences: Vec<_> = sentences.collect();
        for (name, calls) in [("verify.sh", ["fail ", "fault(\"", "first[\""]), ("verify.ps1", ["Fail '"; 3])] {
            let script = crate::proofpack::scripts::template(name).expect("the script is a template");
            let mut order = Vec::new();
            for line in script.lines() {
                for call in calls {
                    let after = line.split(call).nth(1).unwrap_or("");
                    let word: String = after.chars().take_while(char::is_ascii_lowercase).collect();
                    if words.contains(&word.as_str()) && !order.contains(&word) {
                        order.push(word);
                    }
                }
            }
            if name == "verify.sh" {
                // Awk sets this one up before it reads a line; its END block reports in this order.
                assert!(script.contains("split(\"grammar order clash evidence\", check"), "{name}");
                order.sort_by_key(|word| words.iter().position(|known| known == word));
            }
            assert_eq!(order, words, "{name}");
            for text in &sentences {
                assert!(script.contains(text), "{name}: {text}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_checked() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let fault = check_tree(&folder.path().join("gone")).expect_err("no folder");
        assert_eq!(fault.exit(), 2);
        assert_eq!(check_tree(folder.path()), Err(sentence(Check::List)));
    }
}
