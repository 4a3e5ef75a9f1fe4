//! `proofpack inspect`: what a pack says about itself, after steps 1 to 6; everything escaped.

use std::fs::File;
use std::path::PathBuf;

use clap::Args;
use gates::proofpack::agree;
use gates::proofpack::codes::{Code, Fault, Reason, escape};
use gates::proofpack::layout::{MANIFEST, Tables};
use gates::proofpack::manifest::Manifest;
use gates::proofpack::read::{Sink, read};
use gates::proofpack::records::Record;
use gates::proofpack::report::CheckId;
use gates::proofpack::verify::{Input, Options, VerdictStep, verify};
use serde_json::json;

use super::failure;
use crate::cli;
use crate::failure::Failure;
use crate::judge::faults_of;
use crate::report::json;

/// `cargo xtask proofpack inspect`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inspect {
    /// The pack
    pack: PathBuf,
    /// Show this file of the pack
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Shows the summary or one file.
    ///
    /// # Errors
    /// The pack is broken, or has no such file.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let attempt = format!("cannot inspect {}", self.pack.display());
        let options = Options { verdict: VerdictStep::Skip, ..Options::default() };
        let report = verify(Input::File(&self.pack), &options, None, &Tables::CONTRACT);
        let faults = faults_of(&report, |id| id <= CheckId::Evidence);
        if !faults.is_empty() {
            return Err(failure(&attempt, &faults));
        }
        let root = report.root.map_or_else(String::new, |root| root.to_string());
        let wanted = self.file.as_deref().unwrap_or(MANIFEST);
        let bytes = member(&self.pack, wanted).map_err(|fault| failure(&attempt, &[fault]))?;
        if self.file.is_some() {
            return cli::print(&self.one_file(wanted, &bytes)?);
        }
        let manifest = agree::decode(&bytes).map_err(|fault| failure(&attempt, &[fault]))?;
        cli::print(&self.summary(&manifest, &root)?)
    }

    fn one_file(&self, path: &str, bytes: &[u8]) -> Result<String, Failure> {
        let mut out = String::new();
        if self.json {
            json::push(&mut out, &json!({"schema": "proofpack.file/1", "path": path, "text": escape(bytes)}))?;
        } else {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                out += &escape(line.strip_suffix(b"\n").unwrap_or(line));
                out.push('\n');
            }
        }
        Ok(out)
    }

    fn summary(&self, manifest: &Manifest, root: &str) -> Result<String, Failure> {
        let mut out = String::new();
        if self.json {
            let line = json!({"schema": "proofpack.summary/1", "root": root, "manifest": manifest});
            json::push(&mut out, &line)?;
            return Ok(out);
        }
        let safe = |text: &str| escape(text.as_bytes());
        let Manifest { gate, subject, tool, replay, entries, .. } = manifest;
        let mut line = |name: &str, text: String| out += &format!("{name:<10}{text}\n");
        line("gate", format!("{} {}", safe(&gate.id), gate.verdict.word()));
        for part in &gate.parts {
            line("", format!("{} {}", safe(&part.id), part.verdict.word()));
        }
        let dirty = if subject.dirty { " DIRTY" } else { "" };
        line("subject", format!("{} at {}{dirty}", safe(&subject.name), safe(subject.git_commit.as_str())));
        line("tree", safe(subject.git_tree.as_str()));
        line("policy", gate.policy.to_string());
        line("rules", gate.rules.to_string());
        line("tool", format!("{} {}", safe(&tool.name), safe(&tool.version)));
        line("replay", safe(&replay.argv.join(" ")));
        line("evidence", manifest.evidence_digest.to_string());
        line("root", root.to_owned());
        let bytes: u64 = entries.iter().map(|entry| entry.size).sum();
        line("files", format!("{}, {bytes} bytes", entries.len()));
        for entry in entries {
            out += &format!("  {} {:>9} {}\n", entry.sha256, entry.size, safe(&entry.path));
        }
        Ok(out)
    }
}

/// The bytes of one member.
fn member(pack: &std::path::Path, path: &str) -> Result<Vec<u8>, Fault> {
    let io = |error: std::io::Error| Fault::new(Code::Io, Reason::Read).at(pack.to_string_lossy()).found(error);
    let file = File::open(pack).map_err(io)?;
    let mut wanted = Wanted { path, here: false, found: None };
    read(file, &mut wanted).map_err(|(_, fault)| fault)?;
    wanted.found.ok_or_else(|| Fault::new(Code::Usage, Reason::Arguments).at(path).found("the pack has no such file"))
}

struct Wanted<'a> {
    path: &'a str,
    here: bool,
    found: Option<Vec<u8>>,
}

impl Sink for Wanted<'_> {
    fn begin(&mut self, record: &Record) {
        self.here = record.path == self.path;
        if self.here {
            self.found = Some(Vec::new());
        }
    }

    fn piece(&mut self, bytes: &[u8]) {
        if let (true, Some(found)) = (self.here, &mut self.found) {
            found.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) {
        self.here = false;
    }
}
