//! The writer: members in, the one legal archive out (PPK-6, PPK-7).

use std::io::{Read, Write};

use super::codes::{Code, Fault, Reason};
use super::layout::{ARCHIVE_MAX, MEMBERS_MAX};
use super::names::{self, NameSet};
use super::records::{self, CENTRAL_LEN, END_LEN, LOCAL_LEN, Record};

/// Writes an archive front to back; nothing is ever patched.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    offset: u64,
    /// Bytes that central directory and end record will take.
    closing: u64,
    names: NameSet,
    records: Vec<Record>,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        Self { out, offset: 0, closing: END_LEN as u64, names: NameSet::default(), records: Vec::new() }
    }

    /// Adds a member whose bytes are at hand.
    ///
    /// # Errors
    /// As [`Writer::stream`].
    pub fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.stream(path, bytes.len() as u64, crc32fast::hash(bytes), bytes)
    }

    /// Adds a member of known size and CRC-32 from a reader.
    ///
    /// # Errors
    /// `E_NAME`, `E_ORDER` or `E_LIMIT` before anything is written; `E_INPUT changed` when the reader holds another
    /// count of bytes; `E_IO` when reading or writing fails.
    pub fn stream(&mut self, path: &str, size: u64, crc: u32, mut data: impl Read) -> Result<(), Fault> {
        let record = self.admit(path, size, crc)?;
        self.put(path, &record.local())?;
        self.put(path, path.as_bytes())?;
        let copied = std::io::copy(&mut data.by_ref().take(size), &mut self.out).map_err(|error| io(path, &error))?;
        let more = data.read(&mut [0]).map_err(|error| io(path, &error))?;
        if copied != size || more != 0 {
            return Err(Fault::new(Code::Input, Reason::Changed).at(path).expected(format!("{size} bytes")));
        }
        self.offset += size;
        self.closing += (CENTRAL_LEN + path.len()) as u64;
        self.records.push(record);
        Ok(())
    }

    /// Writes central directory and end record, and gives the output back with the length of the archive.
    ///
    /// # Errors
    /// `E_SET empty` without a member, `E_IO` when writing fails.
    pub fn finish(mut self) -> Result<(W, u64), Fault> {
        if self.records.is_empty() {
            return Err(Fault::new(Code::Set, Reason::Empty));
        }
        let start = self.offset;
        for record in std::mem::take(&mut self.records) {
            self.put(&record.path, &record.central())?;
            self.put(&record.path, record.path.as_bytes())?;
            // Put back: the end record needs the count.
            self.records.push(record);
        }
        let end = end_record(&self.records, start);
        self.put("", &end)?;
        self.out.flush().map_err(|error| io("", &error))?;
        Ok((self.out, self.offset))
    }

    fn admit(&mut self, path: &str, size: u64, crc: u32) -> Result<Record, Fault> {
        names::check(path.as_bytes()).map_err(|reason| Fault::new(Code::Name, reason).at(path))?;
        self.names.push(path).map_err(|reason| name_fault(reason).at(path))?;
        let limit = |reason| Fault::new(Code::Limit, reason).at(path);
        if self.records.len() >= MEMBERS_MAX {
            return Err(limit(Reason::Members));
        }
        let lead = (LOCAL_LEN + CENTRAL_LEN + 2 * path.len()) as u64;
        let total = (self.offset + self.closing + lead).saturating_add(size);
        match (u32::try_from(size), u32::try_from(self.offset)) {
            (Ok(size), Ok(offset)) if total <= ARCHIVE_MAX => Ok(Record { path: path.to_owned(), crc, size, offset }),
            _ => Err(limit(Reason::Archive)),
        }
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.out.write_all(bytes).map_err(|error| io(path, &error))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// The end record for these members, whose central directory starts at `start`.
pub(crate) fn end_record(records: &[Record], start: u64) -> [u8; END_LEN] {
    let length: usize = records.iter().map(|record| CENTRAL_LEN + record.path.len()).sum();
    // The limits of PPK-12 keep all three in range; a saturated field could only make the archive invalid.
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    records::end(u16::try_from(records.len()).unwrap_or(u16::MAX), word(length as u64), word(start))
}

/// The fault of a rule between names.
pub(crate) fn name_fault(reason: Reason) -> Fault {
    let code = if matches!(reason, Reason::Order | Reason::Duplicate) { Code::Order } else { Code::Name };
    Fault::new(code, reason)
}

fn io(path: &str, error: &std::io::Error) -> Fault {
    Fault::new(Code::Io, Reason::Read).at(path).found(error)
}
