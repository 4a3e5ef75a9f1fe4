//! Stable codes, reason words and exits of the proofpack commands (PPK-21): only ever added to, never renumbered.

use std::fmt;

use contract::exit::proofpack as exit;

/// What kind of rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Bad arguments.
    Usage,
    /// The pack or a file beside it cannot be read.
    Io,
    /// A build input that must not be packed.
    Input,
    /// Archive, member count or size limit.
    Limit,
    /// Bytes outside the byte profile.
    Archive,
    /// A path outside the name grammar, or one that collides.
    Name,
    /// Names not strictly ascending.
    Order,
    /// Grammar of the hash list.
    Sums,
    /// The set of members.
    Set,
    /// CRC-32, SHA-256 or size.
    Hash,
    /// The manifest or another built-in JSON member.
    Manifest,
    /// Evidence rows and their digests.
    Evidence,
    /// A script or README that no release has written.
    Script,
    /// A path, name or secret that must not leave the machine.
    Leak,
    /// What the caller expected and did not get.
    Expect,
    /// The stored verdict is not the derived one.
    Verdict,
    /// A second build gave other bytes.
    Repro,
    /// Signature.
    Sig,
    /// Attestation.
    Attest,
    /// Intact, but the derived verdict is not PASS.
    Gate,
    /// Replay fell short, or changed the verdict.
    Replay,
    /// Evidence or rule missing for the verdict.
    Underivable,
}

/// Name, exit and reason words of one code.
#[derive(Debug)]
pub struct CodeFacts {
    /// The code.
    pub code: Code,
    /// Its public name.
    pub name: &'static str,
    /// The exit it leads to.
    pub exit: u8,
    /// The reason words it may carry.
    pub reasons: &'static [Reason],
}

macro_rules! reasons {
    ($($variant:ident = $word:literal: $doc:literal),* $(,)?) => {
        /// The word behind a code: which rule of that kind was broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $doc] $variant),* }

        impl Reason {
            /// The public word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

reasons! {
    Absolute = "absolute": "Name starts with a slash.",
    Archive = "archive": "The whole archive is over its limit.",
    Arguments = "arguments": "The arguments contradict each other.",
    Bad = "bad": "The signature does not match the bytes.",
    Canonical = "canonical": "Not the canonical form.",
    Case = "case": "Equal to another name but for case.",
    Cd = "cd": "Central directory, or bytes between records.",
    Changed = "changed": "Changed while it was read.",
    Charset = "charset": "A character outside the name grammar.",
    Class = "class": "Not the class that the contract fixes for this path.",
    Component = "component": "A path component outside the grammar.",
    Crc = "crc": "CRC-32 of the local header differs.",
    Depth = "depth": "Too many path components.",
    Digest = "digest": "The evidence digest differs.",
    Dirty = "dirty": "The judged tree was not clean.",
    Duplicate = "duplicate": "The same name twice.",
    Empty = "empty": "No member, or no evidence at all.",
    Exists = "exists": "Another file is in the place of the output.",
    Expired = "expired": "The key was not valid at that time.",
    Extra = "extra": "A member or field that must not be there.",
    Field = "field": "A field is missing, unknown or has a value that is not allowed.",
    Flags = "flags": "General purpose flags are not 0.",
    Found = "found": "A leak.",
    Grammar = "grammar": "A line outside the grammar.",
    Head = "head": "No local header at offset 0.",
    Json = "json": "Not one strict JSON document.",
    Length = "length": "Name length is not 1 to 240 bytes.",
    Link = "link": "A symbolic link.",
    Malformed = "malformed": "The signature file is not an SSH signature.",
    Member = "member": "One member is over its limit.",
    Members = "members": "Too many members.",
    Method = "method": "Not stored.",
    Mismatch = "mismatch": "Two members of the pack contradict each other.",
    Missing = "missing": "Required, but not there.",
    Mode = "mode": "File mode in the central directory is not 0100644.",
    Namespace = "namespace": "Signature or key is for another namespace.",
    NonAscii = "non-ascii": "A byte outside ASCII.",
    Normalised = "normalised": "The digest of the normalised file differs.",
    NotPass = "not-pass": "The derived verdict is not PASS.",
    NotRun = "not-run": "A requested check could not run.",
    Offset = "offset": "A byte differs between two builds.",
    Order = "order": "Not in ascending order.",
    Payload = "payload": "The attestation payload is not readable.",
    Pointer = "pointer": "A value of the stored verdict differs.",
    Prefix = "prefix": "A file where another name needs a folder.",
    Previous = "previous": "Another previous pack than expected.",
    Profile = "profile": "A local header field outside the byte profile.",
    Read = "read": "Reading failed.",
    Readme = "readme": "README.txt is not its own rendering.",
    Replay = "replay": "Replay below the expected level.",
    Reserved = "reserved": "A device name of Windows.",
    Root = "root": "Another root than expected.",
    Row = "row": "A row over the limit or without its line end.",
    Rules = "rules": "The pack was judged under another rules version.",
    Schema = "schema": "A row of a schema that the contract does not know.",
    Sha256 = "sha256": "SHA-256 differs from the hash list.",
    Signature = "signature": "The attestation signature is not valid.",
    Size = "size": "Size differs from the manifest.",
    Special = "special": "Not a regular file.",
    Stale = "stale": "A leak allow entry that is unused or counts otherwise.",
    Subject = "subject": "Another subject.",
    Tail = "tail": "End record, short file, or bytes after it.",
    Template = "template": "A script that no release has written.",
    Threshold = "threshold": "Too few distinct trusted keys.",
    Traversal = "traversal": "A `..` component.",
    Type = "type": "Another predicate type.",
    Underivable = "underivable": "Evidence or rule missing for the verdict.",
    Unfit = "unfit": "A run that must not be packed.",
    Unknown = "unknown": "A file the pack has no place for.",
    Untrusted = "untrusted": "The key is not one the caller trusts.",
    Verdict = "verdict": "The verdict word differs.",
    Withheld = "withheld": "Withheld members are not part of this format version.",
}

/// Every code, in the order of the enum.
pub const CODES: [CodeFacts; 22] = {
    use Reason as R;
    const fn row(code: Code, name: &'static str, exit: u8, reasons: &'static [Reason]) -> CodeFacts {
        CodeFacts { code, name, exit, reasons }
    }
    [
        row(Code::Usage, "E_USAGE", exit::USAGE, &[R::Arguments, R::NotRun]),
        row(Code::Io, "E_IO", exit::USAGE, &[R::Read, R::Special]),
        row(
            Code::Input,
            "E_INPUT",
            exit::USAGE,
            &[
                R::Link,
                R::Special,
                R::Changed,
                R::Unfit,
                R::Dirty,
                R::Missing,
                R::Unknown,
                R::Field,
                R::Read,
                R::Json,
                R::Exists,
            ],
        ),
        row(Code::Limit, "E_LIMIT", exit::BROKEN, &[R::Archive, R::Members, R::Member, R::Row]),
        row(
            Code::Archive,
            "E_ARCHIVE",
            exit::BROKEN,
            &[R::Head, R::Profile, R::Flags, R::Method, R::Extra, R::Mode, R::Cd, R::Tail],
        ),
        row(
            Code::Name,
            "E_NAME",
            exit::BROKEN,
            &[
                R::Length,
                R::NonAscii,
                R::Absolute,
                R::Charset,
                R::Traversal,
                R::Component,
                R::Depth,
                R::Reserved,
                R::Case,
                R::Prefix,
            ],
        ),
        row(Code::Order, "E_ORDER", exit::BROKEN, &[R::Order, R::Duplicate]),
        row(Code::Sums, "E_SUMS", exit::BROKEN, &[R::Grammar, R::Order, R::Duplicate, R::Empty]),
        row(Code::Set, "E_SET", exit::BROKEN, &[R::Missing, R::Extra, R::Empty, R::Withheld]),
        row(Code::Hash, "E_HASH", exit::BROKEN, &[R::Crc, R::Sha256, R::Size]),
        row(Code::Manifest, "E_MANIFEST", exit::BROKEN, &[R::Canonical, R::Field, R::Mismatch, R::Class, R::Json]),
        row(Code::Evidence, "E_EVIDENCE", exit::BROKEN, &[R::Json, R::Row, R::Schema, R::Normalised, R::Digest]),
        row(Code::Script, "E_SCRIPT", exit::BROKEN, &[R::Template, R::Readme]),
        row(Code::Leak, "E_LEAK", exit::BROKEN, &[R::Found, R::Stale, R::Field]),
        row(Code::Expect, "E_EXPECT", exit::BROKEN, &[R::Root, R::Subject, R::Previous, R::Dirty]),
        row(Code::Verdict, "E_VERDICT", exit::BROKEN, &[R::Verdict, R::Pointer]),
        row(Code::Repro, "E_REPRO", exit::BROKEN, &[R::Offset]),
        row(
            Code::Sig,
            "E_SIG",
            exit::UNTRUSTED,
            &[R::Missing, R::Malformed, R::Untrusted, R::Bad, R::Namespace, R::Expired],
        ),
        row(
            Code::Attest,
            "E_ATTEST",
            exit::UNTRUSTED,
            &[R::Missing, R::Payload, R::Type, R::Subject, R::Signature, R::Threshold, R::Verdict],
        ),
        row(Code::Gate, "E_GATE", exit::NOT_PASS, &[R::NotPass]),
        row(Code::Replay, "E_REPLAY", exit::REPLAY, &[R::Replay, R::Verdict]),
        row(Code::Underivable, "E_UNDERIVABLE", exit::UNDERIVABLE, &[R::Underivable, R::Rules]),
    ]
};

impl Code {
    /// Name, exit and reasons of this code.
    #[must_use]
    pub fn facts(self) -> &'static CodeFacts {
        &CODES[self as usize]
    }

    /// Exit this code leads to when it stands alone.
    #[must_use]
    pub fn exit(self) -> u8 {
        self.facts().exit
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One broken rule: what, where, and the two values that disagree. Texts may hold hostile bytes; [`escape`] them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of rule.
    pub code: Code,
    /// The rule.
    pub reason: Reason,
    /// Member path, or file path of a build input.
    pub path: Option<String>,
    /// Byte offset in the archive, or in the member when `path` is set.
    pub offset: Option<u64>,
    /// What the rule asks for.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
}

impl Fault {
    /// A fault without place or values.
    #[must_use]
    pub fn new(code: Code, reason: Reason) -> Self {
        debug_assert!(code.facts().reasons.contains(&reason), "{code} has no reason {reason}");
        Self { code, reason, path: None, offset: None, expected: None, found: None }
    }

    /// Adds the member or file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Adds the byte offset.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Adds what the rule asks for.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    /// Adds what was there.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = Some(found.to_string());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)?;
        if let Some(path) = &self.path {
            write!(f, " {}", escape(path.as_bytes()))?;
        }
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(expected) = &self.expected {
            write!(f, ": expected {}", escape(expected.as_bytes()))?;
        }
        if let Some(found) = &self.found {
            let lead = if self.expected.is_some() { ", found" } else { ": found" };
            write!(f, "{lead} {}", escape(found.as_bytes()))?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// Printable ASCII stays, a backslash is doubled, every other byte becomes `\xNN`: a terminal sees no control (PPK-20).
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// The exit that stands for these faults: 2, then 1, 3, 6, 5, 4; 0 when there is none (PPK-21).
#[must_use]
pub fn exit_of<'a>(faults: impl IntoIterator<Item = &'a Fault>) -> u8 {
    let codes: Vec<u8> = faults.into_iter().map(|fault| fault.code.exit()).collect();
    contract::exit::worst(&exit::PRECEDENCE, &codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppk_21_names_and_exits_are_public() {
        for (index, facts) in CODES.iter().enumerate() {
            assert_eq!(facts.code as usize, index, "{}", facts.name);
            assert!(facts.name.starts_with("E_") && !facts.reasons.is_empty(), "{}", facts.name);
        }
        let exits: Vec<_> = CODES.iter().map(|facts| (facts.name, facts.exit)).collect();
        let expected = [
            ("E_USAGE", 2),
            ("E_IO", 2),
            ("E_INPUT", 2),
            ("E_LIMIT", 1),
            ("E_ARCHIVE", 1),
            ("E_NAME", 1),
            ("E_ORDER", 1),
            ("E_SUMS", 1),
            ("E_SET", 1),
            ("E_HASH", 1),
            ("E_MANIFEST", 1),
            ("E_EVIDENCE", 1),
            ("E_SCRIPT", 1),
            ("E_LEAK", 1),
            ("E_EXPECT", 1),
            ("E_VERDICT", 1),
            ("E_REPRO", 1),
            ("E_SIG", 3),
            ("E_ATTEST", 3),
            ("E_GATE", 4),
            ("E_REPLAY", 5),
            ("E_UNDERIVABLE", 6),
        ];
        assert_eq!(exits, expected);
    }

    #[test]
    fn ppk_21_the_worst_exit_stands() {
        let all: Vec<Fault> = CODES.iter().map(|facts| Fault::new(facts.code, facts.reasons[0])).collect();
        let without = |gone: &[u8]| exit_of(all.iter().filter(|fault| !gone.contains(&fault.code.exit())));
        assert_eq!(
            [without(&[]), without(&[2]), without(&[2, 1]), without(&[2, 1, 3]), without(&[2, 1, 3, 6])],
            [2, 1, 3, 6, 5]
        );
        assert_eq!(without(&[2, 1, 3, 6, 5]), 4);
        assert_eq!(exit_of([]), 0);
    }

    #[test]
    fn ppk_20_no_control_reaches_the_terminal() {
        let fault = Fault::new(Code::Name, Reason::Charset).at("a\u{1b}[31m\u{9b}\\").found("\n\0");
        assert_eq!(fault.to_string(), "E_NAME charset a\\x1b[31m\\xc2\\x9b\\\\: found \\x0a\\x00");
    }
}
