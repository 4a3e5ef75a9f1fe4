//! Run folder against pack, file by file, both ways; and the pack extracted for tools that read folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::digest::Digest;
use contract::record::seal::{SealStep, Step};
use gates::proofpack::read::{Sink, read};
use gates::proofpack::records::Record;

use super::{FIXED, Seal, step, write};
use crate::failure::Failure;
use crate::gate::read_below;
use crate::selection::SEAL;

/// One row a file that run or pack holds.
pub(super) fn compare(seal: &mut Seal<'_>, pack: &Path) -> Result<(), Failure> {
    let run = of_run(&seal.run.folder.path)?;
    let packed: BTreeMap<String, Digest> =
        of_pack(pack)?.into_iter().map(|(path, bytes)| (path, Digest::of(&bytes))).collect();
    let paths: BTreeSet<&String> = run.keys().chain(packed.keys()).collect();
    let text = |digest: Option<&Digest>| digest.map_or_else(String::new, Digest::to_string);
    for path in paths {
        let (expected, found) = (text(run.get(path)), text(packed.get(path)));
        seal.steps.push(SealStep { expected, found, ..step(Step::Member, path) });
    }
    Ok(())
}

/// What of a run folder belongs into its pack.
fn of_run(folder: &Path) -> Result<BTreeMap<String, Digest>, Failure> {
    let mut files = BTreeMap::new();
    read_below(folder, &folder.join("evidence"), &mut files)?;
    files.retain(|path, _| !path.starts_with(&format!("evidence/{SEAL}/")));
    for name in FIXED {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|error| Failure::file("cannot read", &path, &error))?;
        files.insert(name.into(), bytes);
    }
    Ok(files.into_iter().map(|(path, bytes)| (path, Digest::of(&bytes))).collect())
}

/// The members of a pack with their bytes.
pub(super) fn of_pack(pack: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let file = std::fs::File::open(pack).map_err(|error| Failure::file("cannot read", pack, &error))?;
    let mut all = All { files: BTreeMap::new(), here: String::new() };
    read(file, &mut all).map_err(|(_, fault)| Failure::internal(format!("a pack that was just built: {fault}")))?;
    Ok(all.files)
}

/// Extracts a pack whose names were checked by the reader: none leads out of the folder.
pub(super) fn extract(pack: &Path, to: &Path) -> Result<(), Failure> {
    of_pack(pack)?.iter().try_for_each(|(path, bytes)| write(&to.join(path), bytes))
}

struct All {
    files: BTreeMap<String, Vec<u8>>,
    here: String,
}

impl Sink for All {
    fn begin(&mut self, record: &Record) {
        self.here = record.path.clone();
        self.files.insert(record.path.clone(), Vec::new());
    }

    fn piece(&mut self, bytes: &[u8]) {
        if let Some(file) = self.files.get_mut(&self.here) {
            file.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) {}
}
