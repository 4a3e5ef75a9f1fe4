//! Looking over a whole cache while others use it: verify, count, evict by age (HRD-23).

use std::fs;
use std::io;
use std::path::Path;

use contract::digest::Digest;
use serde::Serialize;

use super::{Cache, ENTRY, Lookup, QUARANTINE};
use crate::clock::UtcMillis;
use crate::store::error::StoreError;

/// What verifying every entry gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Entries that verified.
    pub good: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Entries that did not verify and were set aside now.
    pub quarantined: u64,
    /// Entries that were evicted by others meanwhile.
    pub vanished: u64,
}

/// What lies in the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Entries, not verified.
    pub entries: u64,
    /// Bytes of their files.
    pub entry_bytes: u64,
    /// Entries in quarantine.
    pub quarantined: u64,
    /// Lock files, held or left behind.
    pub locks: u64,
    /// Temporaries, in use or left behind.
    pub temporaries: u64,
}

impl Cache {
    /// Reads every entry as a caller would; damaged ones are set aside.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        for key in self.keys()? {
            match self.get(&key)? {
                Lookup::Hit(entry) => {
                    verified.good += 1;
                    verified.payload_bytes += entry.payload.len() as u64;
                }
                Lookup::Quarantined(_) => verified.quarantined += 1,
                Lookup::Absent => verified.vanished += 1,
            }
        }
        Ok(verified)
    }

    /// Counts files without reading them.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        each_file(&self.folder, &mut |path, bytes| {
            let quarantined = path.parent().is_some_and(|parent| parent.ends_with(QUARANTINE));
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(ENTRY) if quarantined => stats.quarantined += 1,
                Some(ENTRY) => {
                    stats.entries += 1;
                    stats.entry_bytes += bytes;
                }
                Some("lock") => stats.locks += 1,
                Some("tmp") => stats.temporaries += 1,
                _ => {}
            }
        })?;
        Ok(stats)
    }

    /// Evicts entries that were stored before `limit`; gives how many. Damaged ones are set aside as in any read.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT`, or the operating system's error.
    pub fn evict_stored_before(&self, limit: UtcMillis) -> Result<u64, StoreError> {
        let mut evicted = 0;
        for key in self.keys()? {
            if matches!(self.get(&key)?, Lookup::Hit(entry) if entry.created < limit) {
                evicted += u64::from(self.evict(&key)?);
            }
        }
        Ok(evicted)
    }

    /// The keys of all entries, sorted.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn keys(&self) -> Result<Vec<Digest>, StoreError> {
        let mut keys = Vec::new();
        each_file(&self.folder, &mut |path, _| {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|extension| extension == ENTRY) {
                // Names in quarantine carry more than a key, so they do not parse as one.
                keys.extend(stem.and_then(Digest::parse));
            }
        })?;
        keys.sort_unstable();
        Ok(keys)
    }
}

/// Every file below `folder` with its length. What vanishes meanwhile is skipped; links are not followed.
pub(in crate::store) fn each_file(folder: &Path, seen: &mut dyn FnMut(&Path, u64)) -> Result<(), StoreError> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let fault = |error| StoreError::io("list", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if gone(&error) => return Ok(()),
        other => other.map_err(fault)?,
    };
    for entry in entries {
        let entry = entry.map_err(fault)?;
        match entry.metadata() {
            Ok(facts) if facts.is_dir() => each_file(&entry.path(), seen)?,
            Ok(facts) if facts.is_file() => seen(&entry.path(), facts.len()),
            Ok(_) => {}
            Err(error) if gone(&error) => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(())
}
