//! The forger: takes a pack apart, changes content, manifest or list, and recomputes everything that follows.

use std::collections::BTreeMap;

use contract::digest::Digest;
use contract::seed::Seed;
use serde_json::{Value, json};

use super::super::agree;
use super::super::codes::{Code, Fault, Reason};
use super::super::forge::{Archive, Member};
use super::super::intake::Intake;
use super::super::json;
use super::super::layout::{self, MANIFEST, README, SUMS, Tables};
use super::super::leak::Literals;
use super::super::manifest::Manifest;
use super::super::normalise;
use super::super::readme_of;
use super::super::sums::{self, Line};

/// A pack taken apart.
pub(super) struct Base {
    /// Its archive, without signature and attestation.
    pub(super) archive: Archive,
    /// Its hash list.
    pub(super) list: Vec<u8>,
    /// Its manifest.
    pub(super) manifest: Manifest,
    /// What this release knows.
    pub(super) tables: Tables,
    /// Where keys come from.
    pub(super) seed: Seed,
    /// The pack as it came.
    pub(super) original: Vec<u8>,
}

impl Base {
    pub(super) fn new(pack: &[u8], seed: Seed, tables: Tables) -> Result<Self, Fault> {
        let broken = || Fault::new(Code::Archive, Reason::Head).found("not one right archive");
        let mut archive = Archive::parse(pack).ok_or_else(broken)?;
        archive.members.retain(|member| {
            ![layout::SIGNATURE.as_bytes(), layout::ATTESTATION.as_bytes()].contains(&member.name.as_slice())
        });
        let list = archive.member(SUMS).ok_or_else(broken)?.data.clone();
        let manifest = archive.member(MANIFEST).ok_or_else(broken)?.data.clone();
        let manifest = agree::decode(&manifest)?;
        Ok(Self { archive, list, manifest, tables, seed, original: pack.to_vec() })
    }

    /// The archive with one thing changed, and nothing recomputed but its records.
    pub(super) fn archive(&self, change: impl FnOnce(&mut Archive)) -> Vec<u8> {
        let mut archive = self.archive.clone();
        change(&mut archive);
        archive.bytes()
    }

    /// A change of content; everything that follows is recomputed.
    pub(super) fn content(&self, change: impl FnOnce(&mut Files)) -> Forgery<'_> {
        let text = |member: &Member| (String::from_utf8_lossy(&member.name).into_owned(), member.data.clone());
        let mut files: Files = self.archive.members.iter().map(text).collect();
        change(&mut files);
        Forgery { base: self, files, manifest: None, text: None, list: None }
    }

    /// The file of evidence whose change shows most: rows if there are any.
    pub(super) fn evidence(&self) -> &str {
        let entries = || self.manifest.entries.iter().filter(|entry| entry.role == layout::Role::Evidence);
        let rows = entries().find(|entry| entry.path.ends_with(".jsonl") && entry.size > 0);
        rows.or_else(|| entries().next()).map_or(layout::VERDICT, |entry| &entry.path)
    }
}

/// Members by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A forgery under way. Each step takes what the one before left and recomputes what it can.
pub(super) struct Forgery<'a> {
    base: &'a Base,
    files: Files,
    manifest: Option<Value>,
    text: Option<Vec<u8>>,
    list: Option<Vec<u8>>,
}

impl Forgery<'_> {
    /// Changes the manifest, once it agrees with the content.
    pub(super) fn manifest(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = self.described();
        change(&mut manifest);
        self.render_readme(&mut manifest);
        self.manifest = Some(manifest);
        self
    }

    /// Changes the text of the manifest.
    pub(super) fn text(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut text = self.written();
        change(&mut text);
        self.text = Some(text);
        self
    }

    /// Changes the hash list.
    pub(super) fn list(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.text = Some(self.written());
        let mut list = self.listed();
        change(&mut list);
        self.list = Some(list);
        self
    }

    /// The sealed members.
    pub(super) fn archive(mut self) -> Archive {
        let text = self.written();
        self.text = Some(text.clone());
        let list = self.listed();
        self.files.insert(MANIFEST.into(), text);
        self.files.insert(SUMS.into(), list);
        Archive::new(&self.files)
    }

    /// The forged pack.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.archive().bytes()
    }

    /// Listed members but the manifest.
    fn payload(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        let sealed = [MANIFEST, SUMS, layout::SIGNATURE, layout::ATTESTATION];
        self.files.iter().filter(move |(path, _)| !sealed.contains(&path.as_str()))
    }

    /// The manifest that agrees with the content.
    fn described(&mut self) -> Value {
        if let Some(manifest) = self.manifest.take() {
            return manifest;
        }
        let (tables, literals) = (self.base.tables, Literals::none());
        let mut intake = Intake::new(&tables, &literals);
        for (path, bytes) in self.payload() {
            intake.begin(path);
            intake.piece(bytes);
            intake.end();
        }
        let measured = intake.measured();
        let mut manifest = as_value(&self.base.manifest);
        let entries = measured.iter().map(|(path, found)| {
            let mut entry = json!({
                "path": path, "size": found.size, "sha256": found.sha256,
                "media_type": "application/octet-stream", "role": "evidence", "class": "volatile",
            });
            if let Some(kind) = tables.kind_of(path) {
                entry["media_type"] = as_value(&kind.media_type);
                entry["role"] = as_value(&kind.role);
                entry["class"] = as_value(&kind.class);
                if let Some((digest, name)) = found.normalised.zip(normalise::name_for(kind.media_type)) {
                    entry["normaliser"] = name.into();
                    entry["normalised_sha256"] = as_value(&digest);
                }
            }
            entry
        });
        manifest["entries"] = entries.collect();
        if let Some(digest) = agree::evidence_digest(measured, &tables) {
            manifest["evidence_digest"] = as_value(&digest);
        }
        if let Some(digest) = agree::plan_digest(&self.base.manifest.gate.parts, measured) {
            manifest["replay"]["plan_sha256"] = as_value(&digest);
        }
        if let Some(policy) = measured.get(layout::POLICY) {
            manifest["gate"]["policy"] = as_value(&policy.sha256);
        }
        manifest
    }

    /// Renders README.txt for a changed manifest, and puts its entry right. A README that the attack changed stays.
    fn render_readme(&mut self, manifest: &mut Value) {
        let Ok(typed) = serde_json::from_value::<Manifest>(manifest.clone()) else { return };
        let rendered = readme_of::render(&typed, &self.base.tables).into_bytes();
        let entries = manifest.get_mut("entries").and_then(Value::as_array_mut);
        let Some(entry) = entries.and_then(|list| list.iter_mut().find(|entry| entry["path"] == README)) else {
            return;
        };
        entry["size"] = rendered.len().into();
        entry["sha256"] = as_value(&Digest::of(&rendered));
        self.files.insert(README.into(), rendered);
    }

    fn written(&mut self) -> Vec<u8> {
        if let Some(text) = self.text.take() {
            return text;
        }
        let manifest = self.described();
        let text = manifest.to_string().into_bytes();
        self.manifest = Some(manifest);
        // What has no canonical form is written as it is: the attack wants it so.
        json::canonical(&text).unwrap_or_else(|_| [&text[..], b"\n"].concat())
    }

    fn listed(&mut self) -> Vec<u8> {
        if let Some(list) = self.list.take() {
            return list;
        }
        let text = self.text.clone().unwrap_or_else(|| self.written());
        let manifest = Line { sha256: Digest::of(&text), path: MANIFEST.into() };
        let others = self.payload().map(|(path, bytes)| Line { sha256: Digest::of(bytes), path: path.clone() });
        let mut lines: Vec<Line> = others.chain([manifest]).collect();
        lines.sort_by(|a, b| a.path.cmp(&b.path));
        sums::render(&lines)
    }
}

/// A value of ours as JSON; all of them serialise.
fn as_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
