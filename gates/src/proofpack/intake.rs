//! Takes members in, one after another, and learns all that needs their bytes: digests, rows, leaks.
//!
//! `build` and `verify` share it, so both sides of a pack are measured by the same hand. Built-in members and `.json`
//! evidence are held up to their limits, row files one row at a time, anything else one window at a time.

use std::collections::BTreeMap;

use contract::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::codes::{Code, Fault, Reason};
use super::json::{Encoder, STRICT};
use super::layout::{self, Class, Kind, MediaType, Role, Tables};
use super::leak::allow::Tally;
use super::leak::{self, Literals};
use super::normalise::{self, RowFile};
use super::read::{PIECE, Sink};
use super::records::Record;

/// What the bytes of one member say.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Count of the bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Digest of the normalised bytes, for class `normalised` where the file can be read.
    pub normalised: Option<Digest>,
    /// Rows, for a row file.
    pub rows: u64,
    /// What is wrong with the content.
    pub fault: Option<Fault>,
}

/// Every member seen, by path.
#[derive(Debug)]
pub struct Intake<'a> {
    tables: &'a Tables,
    literals: &'a Literals,
    tally: Tally,
    measured: BTreeMap<String, Measured>,
    held: BTreeMap<String, Vec<u8>>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    path: String,
    kind: Option<Kind>,
    size: u64,
    hash: Sha256,
    body: Body,
    fault: Option<Fault>,
}

/// How the bytes of a member are looked at.
#[derive(Debug)]
enum Body {
    /// As a whole, at its end.
    Whole(Vec<u8>),
    /// Row by row.
    Rows(Box<RowFile>),
    /// For leaks alone.
    Window(Window),
}

impl<'a> Intake<'a> {
    /// Nothing seen yet. `literals` are the words of rule L5, none for a pack from elsewhere.
    #[must_use]
    pub fn new(tables: &'a Tables, literals: &'a Literals) -> Self {
        let tally = Tally::new(literals);
        Self { tables, literals, tally, measured: BTreeMap::new(), held: BTreeMap::new(), current: None }
    }

    /// A member begins.
    pub fn begin(&mut self, path: &str) {
        let kind = self.tables.kind_of(path);
        let evidence = kind.filter(|kind| kind.role == Role::Evidence);
        let body = match evidence.map(|kind| (kind.media_type, kind.class)) {
            Some((MediaType::Jsonl, class)) => Body::Rows(Box::new(RowFile::new(self.tables, class))),
            Some((MediaType::Text | MediaType::Bytes, _)) => Body::Window(Window::default()),
            _ if kind.is_none() && layout::built_in(path).is_none() => Body::Window(Window::default()),
            _ => Body::Whole(Vec::new()),
        };
        self.current = Some(Current { path: path.to_owned(), kind, size: 0, hash: Sha256::new(), body, fault: None });
    }

    /// The next bytes of that member.
    pub fn piece(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        current.size += bytes.len() as u64;
        current.hash.update(bytes);
        if current.fault.is_some() {
            return;
        }
        let (path, literals, tally) = (&current.path, self.literals, &mut self.tally);
        let outcome = match &mut current.body {
            Body::Whole(whole) => {
                whole.extend_from_slice(bytes);
                Ok(())
            }
            Body::Rows(rows) => rows.piece(bytes, |at, row| tally.add(path, at, leak::scan(path, row, literals))),
            Body::Window(window) => {
                window.piece(bytes, |at, found| tally.add(path, at, found), |text| leak::scan(path, text, literals));
                Ok(())
            }
        };
        current.fault = outcome.err().map(|fault| fault.at(path));
    }

    /// The member is complete.
    pub fn end(&mut self) {
        let Some(mut current) = self.current.take() else { return };
        let path = current.path;
        let (mut normalised, mut rows) = (None, 0);
        let outcome = match current.body {
            Body::Rows(file) if current.fault.is_none() => file.finish().map(|(digest, count)| {
                (normalised, rows) = (digest, count);
            }),
            Body::Rows(_) => Ok(()),
            Body::Window(window) => {
                let tally = &mut self.tally;
                window.finish(|at, found| tally.add(&path, at, found), |text| leak::scan(&path, text, self.literals));
                Ok(())
            }
            Body::Whole(whole) => {
                let judged = self.whole(&path, current.kind, &whole);
                if layout::built_in(&path).is_some() {
                    self.held.insert(path.clone(), whole);
                }
                judged.map(|digest| normalised = digest)
            }
        };
        current.fault = current.fault.or(outcome.err().map(|fault| fault.at(&path)));
        let sha256 = Digest::from_bytes(current.hash.finalize().into());
        let measured = Measured { size: current.size, sha256, normalised, rows, fault: current.fault };
        self.measured.insert(path, measured);
    }

    /// A whole document: leaks, strict JSON, normalised digest.
    fn whole(&mut self, path: &str, kind: Option<Kind>, bytes: &[u8]) -> Result<Option<Digest>, Fault> {
        let listed = layout::built_in(path).is_none_or(|member| member.listed);
        let exempt = kind.is_some_and(|kind| kind.role == Role::Script);
        if listed && !exempt {
            self.tally.add(path, 0, leak::scan(path, bytes, self.literals));
        }
        let Some(Kind { role, media_type: MediaType::Json, class }) = kind else { return Ok(None) };
        if role == Role::Evidence && class == Class::Normalised {
            return normalise::document(self.tables, bytes).map(Some);
        }
        // A document of evidence is the judges' matter; policy and the other built-in members are the manifest's.
        let code = if matches!(role, Role::Evidence | Role::Verdict) { Code::Evidence } else { Code::Manifest };
        Encoder::default()
            .encode(bytes, STRICT, &[])
            .map(|_| None)
            .map_err(|fault| Fault::new(code, Reason::Json).offset(fault.offset as u64).found(fault.what))
    }

    /// What was learnt of each member, by path.
    #[must_use]
    pub fn measured(&self) -> &BTreeMap<String, Measured> {
        &self.measured
    }

    /// The bytes of a built-in member; empty when there is none.
    #[must_use]
    pub fn held(&self, path: &str) -> Option<&[u8]> {
        self.held.get(path).map(Vec::as_slice)
    }

    /// The findings of the leak lint.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Sink for Intake<'_> {
    fn begin(&mut self, record: &Record) {
        self.begin(&record.path);
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.piece(bytes);
    }

    fn end(&mut self) {
        self.end();
    }
}

/// A sliding window over bytes without rows. Windows overlap, so that a leak across two pieces is seen once.
#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where `bytes` begins in the file.
    start: u64,
    /// Findings before this place were given out.
    told: u64,
}

/// How much of a window is looked at again with the next one; longer than any leak that has to be recognised.
const OVERLAP: usize = 4096;

impl Window {
    fn piece(
        &mut self,
        bytes: &[u8],
        tell: impl FnMut(u64, Vec<leak::Finding>),
        scan: impl Fn(&[u8]) -> Vec<leak::Finding>,
    ) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PIECE + 2 * OVERLAP {
            self.give(self.bytes.len() - OVERLAP, tell, scan);
            let gone = self.bytes.len() - 2 * OVERLAP;
            self.bytes.drain(..gone);
            self.start += gone as u64;
        }
    }

    fn finish(self, tell: impl FnMut(u64, Vec<leak::Finding>), scan: impl Fn(&[u8]) -> Vec<leak::Finding>) {
        let mut last = self;
        last.give(last.bytes.len(), tell, scan);
    }

    /// Gives out the findings that begin before `until` and were not given out yet.
    fn give(
        &mut self,
        until: usize,
        mut tell: impl FnMut(u64, Vec<leak::Finding>),
        scan: impl Fn(&[u8]) -> Vec<leak::Finding>,
    ) {
        let (told, until) = (self.told - self.start, until as u64);
        let fresh = scan(&self.bytes).into_iter().filter(|found| (told..until).contains(&found.offset)).collect();
        tell(self.start, fresh);
        self.told = self.start + until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: Tables = Tables {
        class_of: |path| {
            let normalised = path.ends_with("rows.jsonl") || path.ends_with("run.json");
            Some(if normalised { Class::Normalised } else { Class::Volatile })
        },
        volatile_fields: |schema| (schema == "run/1").then_some(&["start_ns"]),
        claim_of: |_| None,
    };

    fn take(path: &str, bytes: &[u8], piece: usize) -> (Measured, usize) {
        let literals = Literals::none();
        let mut intake = Intake::new(&TABLES, &literals);
        intake.begin(path);
        bytes.chunks(piece).for_each(|piece| intake.piece(piece));
        intake.end();
        let leaks = intake.tally().settle(&leak::allow::AllowList::default()).len();
        (intake.measured()[path].clone(), leaks)
    }

    #[test]
    fn ppk_18_measures_by_kind() {
        let row = b"{\"schema\":\"run/1\",\"start_ns\":1}\n";
        let normalised = Some(Digest::of(b"{\"schema\":\"run/1\"}\n"));
        for path in ["evidence/pr-g4/rows.jsonl", "evidence/pr-g4/run.json"] {
            let (measured, leaks) = take(path, row, 5);
            assert_eq!((measured.normalised, measured.fault, leaks), (normalised, None, 0), "{path}");
            assert_eq!((measured.size, measured.sha256), (row.len() as u64, Digest::of(row)));
        }
        assert_eq!(take("evidence/pr-g4/other.jsonl", row, 5).0.rows, 1);
    }

    #[test]
    fn ppk_3_json_is_strict_wherever_it_lies() {
        for (path, code) in [
            ("evidence/pr-g4/rows.jsonl", Code::Evidence),
            ("evidence/pr-g0/volatile.jsonl", Code::Evidence),
            ("evidence/pr-g0/PR_REPORT.json", Code::Evidence),
            ("evidence/verdict.json", Code::Evidence),
            ("policy/gate.json", Code::Manifest),
            ("policy/leak-allow.json", Code::Manifest),
        ] {
            let fault = take(path, b"{\"schema\":\"run/1\",\"a\":1,\"a\":2}\n", 4).0.fault.expect(path);
            assert_eq!((fault.code, fault.reason, fault.path.as_deref()), (code, Reason::Json, Some(path)));
        }
    }

    #[test]
    fn ppk_39_a_leak_across_pieces_is_found_once() {
        let leak = b" /home/someone/file ";
        for before in [0, PIECE - 4096, PIECE - 10, PIECE + 4095, PIECE + 8191, PIECE + 8192, 2 * PIECE] {
            let text = [vec![b'.'; before], leak.to_vec(), vec![b'.'; PIECE]].concat();
            let (measured, leaks) = take("evidence/pr-g0/cargo-build.log", &text, PIECE);
            assert_eq!((measured.fault, leaks), (None, 1), "at {before}");
        }
        assert_eq!(take("verify.sh", leak, 7).1, 0, "scripts are fixed templates");
        assert_eq!(take("README.txt", leak, 7).1, 1);
        assert_eq!(take("evidence/pr-g4/rows.jsonl", b"{\"schema\":\"run/1\",\"p\":\"/home/someone/x\"}\n", 7).1, 1);
    }
}
