//! The file of a ledger: appended under a kept lock, read on only where another process has written.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use contract::digest::Digest;
use contract::record::ledger::{LedgerEntry, LedgerRow, NO_TRAIL, SCHEMA, read_line, to_line};

use super::LedgerError;
use super::account::Account;
use crate::store::atomic::{Durability, Observer, Step, sync_parent};
use crate::store::error::StoreError;
use crate::store::filesystem::require_local;
use crate::store::lock::{KeptLock, LockPolicy};

/// The journal and how far this process has read it.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    lock: KeptLock,
    policy: LockPolicy,
    durability: Durability,
    observer: Observer,
    /// Bytes that are whole rows and counted.
    read_bytes: u64,
    rows: u64,
    trail: Digest,
}

/// Longest piece of a torn row that is kept for people to read.
const TORN_CHARS_MAX: usize = 1000;

impl Journal {
    pub(super) fn open(
        path: &Path,
        policy: LockPolicy,
        durability: Durability,
        observer: Observer,
    ) -> Result<Self, StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| StoreError::io("make folder", folder, error))?;
        require_local(folder)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| StoreError::io("open ledger", path, error))?;
        let mut lock_name = path.as_os_str().to_owned();
        lock_name.push(".lock");
        let lock = KeptLock::new(lock_name.into());
        let path = path.to_owned();
        Ok(Self { path, file, lock, policy, durability, observer, read_bytes: 0, rows: 0, trail: NO_TRAIL })
    }

    /// Runs `work` while holding the lock, on an account that has caught up with all other processes.
    pub(super) fn locked<T>(
        &mut self,
        account: &mut Account,
        purpose: &str,
        work: impl FnOnce(&mut Self, &mut Account) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.observer.at(Step::Lock);
        let guard = self.lock.acquire(&self.policy, purpose)?;
        self.catch_up(account)?;
        let done = work(self, account);
        self.observer.at(Step::Unlock);
        let released = guard.release();
        let value = done?;
        // The row is written and counted either way, and closing the handle frees the lock; but say that it failed.
        released?;
        Ok(value)
    }

    /// Writes the first row of a new journal.
    pub(super) fn begin(&mut self, account: &mut Account) -> Result<(), LedgerError> {
        if self.rows > 0 {
            return Ok(());
        }
        let limits = account.limits().clone();
        self.append(account, LedgerEntry::Open { schema: SCHEMA.into(), limits })?;
        if self.durability == Durability::Full {
            sync_parent(&self.path, &File::sync_all).map_err(|error| self.fault("sync folder of ledger", error))?;
        }
        Ok(())
    }

    /// Appends a row and counts it. When the row cannot be made durable it is taken back and not counted.
    pub(super) fn append(&mut self, account: &mut Account, entry: LedgerEntry) -> Result<(), LedgerError> {
        let checked = account.follows(&entry);
        checked.map_err(|reason| StoreError::invalid("write ledger", &self.path, reason))?;
        self.write_row(&entry)?;
        let counted = account.apply(&entry);
        Ok(counted.map_err(|reason| StoreError::invalid("write ledger", &self.path, reason))?)
    }

    fn write_row(&mut self, entry: &LedgerEntry) -> Result<(), StoreError> {
        let (line, trail) = to_line(self.trail, &LedgerRow { entry: entry.clone(), seq: self.rows })
            .map_err(|error| StoreError::invalid("write ledger", &self.path, error.to_string()))?;
        self.observer.at(Step::Append);
        let mut written = self.file.write_all_at(&line, self.read_bytes);
        if written.is_ok() && self.durability != Durability::None && !crate::sabotage!("sync-skipped") {
            self.observer.at(Step::SyncFile);
            written = self.file.sync_data();
        }
        if let Err(error) = written {
            // A row that stays half written is completed as torn by whoever reads on, so losing this one is right.
            let _ = self.file.set_len(self.read_bytes);
            return Err(self.fault("append to ledger", error));
        }
        self.read_bytes += line.len() as u64;
        self.rows += 1;
        self.trail = trail;
        Ok(())
    }

    /// Reads what others have appended since, and completes a torn last row.
    fn catch_up(&mut self, account: &mut Account) -> Result<(), StoreError> {
        let facts = self.file.metadata().map_err(|error| self.fault("read ledger", error))?;
        if facts.nlink() == 0 {
            return Err(self.damaged("the journal was removed while the run went on"));
        }
        if facts.len() < self.read_bytes {
            return Err(self.damaged("rows that were there are gone"));
        }
        if facts.len() == self.read_bytes {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(facts.len() - self.read_bytes).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, self.read_bytes).map_err(|error| self.fault("read ledger", error))?;
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            self.count_line(account, line)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { self.complete_torn(account, rest) }
    }

    fn count_line(&mut self, account: &mut Account, line: &[u8]) -> Result<(), StoreError> {
        let at = |reason: String| self.damaged(&format!("row {}: {reason}", self.rows));
        let (row, trail) = read_line(self.trail, line).map_err(at)?;
        let opens = matches!(row.entry, LedgerEntry::Open { .. });
        if row.seq != self.rows || opens != (self.rows == 0) {
            return Err(at("is out of its place".into()));
        }
        account.apply(&row.entry).map_err(at)?;
        self.read_bytes += line.len() as u64 + 1;
        self.rows += 1;
        self.trail = trail;
        Ok(())
    }

    /// Writes a `torn` row over the piece; it is longer than the piece, because it quotes it.
    fn complete_torn(&mut self, account: &mut Account, piece: &[u8]) -> Result<(), StoreError> {
        if self.rows == 0 {
            // The run had not begun for anybody: an opening row is acknowledged by nobody before it is whole.
            return self.file.set_len(0).map_err(|error| self.fault("clear ledger", error));
        }
        let text: String = String::from_utf8_lossy(piece).chars().take(TORN_CHARS_MAX).collect();
        let cost_micro_usd = legible_reservation(&text).unwrap_or(0);
        let entry = LedgerEntry::Torn { bytes: piece.len() as u64, text, cost_micro_usd };
        if piece.len() > TORN_CHARS_MAX {
            self.file.set_len(self.read_bytes).map_err(|error| self.fault("clear torn row of ledger", error))?;
        }
        account.apply(&entry).map_err(|reason| self.damaged(&reason))?;
        self.write_row(&entry)
    }

    fn fault(&self, attempted: &'static str, error: std::io::Error) -> StoreError {
        StoreError::io(attempted, &self.path, error)
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::invalid("read ledger", &self.path, format!("LEDGER_DAMAGED: {reason}"))
    }
}

/// The cost in a piece of a reservation, where its digits are all there. Keys are sorted, so the cost stands before
/// the kind; a settlement that can be told apart by its shorter form is not a reservation.
fn legible_reservation(text: &str) -> Option<u64> {
    let (_, after) = text.strip_prefix("{\"entry\":{\"attempt\":")?.split_once("\"cost_micro_usd\":")?;
    let digits = after.split_once(',')?.0;
    digits.parse().ok()
}
