//! The reader: one pass from offset 0 over a file or a pipe, believing nothing it has not compared (PPK-18, steps 1-4).
//!
//! The local headers fix every byte of the central directory and the end record, so these are rebuilt and compared
//! and never interpreted. No length from the archive leads to an allocation.

use std::io::{ErrorKind, Read};

use super::codes::{Code, Fault, Reason};
use super::layout::{self, ARCHIVE_MAX, MEMBERS_MAX};
use super::names::{self, NameSet};
use super::records::{CENTRAL, CENTRAL_LEN, END, LOCAL, LOCAL_LEN, Record};
use super::write::{end_record, name_fault};

/// Bytes read and hashed at a time.
pub const PIECE: usize = 1 << 20;

/// Which of the first four steps a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Size and limits.
    Limits,
    /// Local headers and names.
    Headers,
    /// CRC-32 of the bytes.
    Bytes,
    /// Central directory and end record.
    Directory,
}

/// Where members go while the archive is read. Each member's bytes come in pieces of at most [`PIECE`].
pub trait Sink {
    /// A member begins; its header has passed, and its size is within the limit of its path.
    fn begin(&mut self, record: &Record);
    /// The next bytes.
    fn piece(&mut self, bytes: &[u8]);
    /// The member is complete and its CRC-32 is right.
    fn end(&mut self);
}

/// Reads a whole archive, giving its members to `sink`.
///
/// # Errors
/// The first fault, with the step it ends.
pub fn read(input: impl Read, sink: &mut impl Sink) -> Result<Vec<Record>, (Step, Fault)> {
    let mut reader = Reader { source: Source::new(input), names: NameSet::default(), records: Vec::new() };
    reader.first()?;
    while reader.source.peek(4).map_err(|fault| (Step::Headers, fault))? == LOCAL {
        let record = reader.header()?;
        reader.bytes(record, sink)?;
    }
    reader.directory().map_err(|fault| (Step::Directory, fault))?;
    Ok(reader.records)
}

struct Reader<R> {
    source: Source<R>,
    names: NameSet,
    records: Vec<Record>,
}

impl<R: Read> Reader<R> {
    /// What stands at offset 0 tells a pack from an empty ZIP and from anything else.
    fn first(&mut self) -> Result<(), (Step, Fault)> {
        let start = self.source.peek(4).map_err(|fault| (Step::Headers, fault))?;
        let fault = match start {
            _ if start == LOCAL => return Ok(()),
            _ if start == END => Fault::new(Code::Set, Reason::Empty),
            _ => Fault::new(Code::Archive, Reason::Head),
        };
        Err((Step::Headers, fault.offset(0)))
    }

    /// Reads one local header and its name.
    fn header(&mut self) -> Result<Record, (Step, Fault)> {
        let at = self.source.offset;
        let head = |fault: Fault| (Step::Headers, fault.offset(at));
        if self.records.len() >= MEMBERS_MAX {
            return Err((Step::Limits, Fault::new(Code::Limit, Reason::Members).offset(at).expected(MEMBERS_MAX)));
        }
        let field =
            *self.source.peek(LOCAL_LEN).map_err(head)?.first_chunk::<LOCAL_LEN>().ok_or_else(|| head(short()))?;
        let (crc, size, name_len) = (u32_at(&field, 14), u32_at(&field, 22), usize::from(u16_at(&field, 26)));
        check_fields(&field).map_err(head)?;
        names::check_length(name_len).map_err(|reason| head(Fault::new(Code::Name, reason).found(name_len)))?;
        self.source.consume(LOCAL_LEN);
        let name = self.source.peek(name_len).map_err(head)?;
        if name.len() < name_len {
            return Err(head(short()));
        }
        let path = match names::check(name) {
            Ok(path) => path.to_owned(),
            Err(reason) => return Err(head(Fault::new(Code::Name, reason).at(String::from_utf8_lossy(name)))),
        };
        self.source.consume(name_len);
        self.names.push(&path).map_err(|reason| head(name_fault(reason).at(&path)))?;
        let end = self.source.offset + u64::from(size);
        let limit = |reason, max: u64| {
            (
                Step::Limits,
                Fault::new(Code::Limit, reason).at(&path).offset(at).expected(format!("at most {max} bytes")),
            )
        };
        if u64::from(size) > layout::max_size(&path) {
            return Err(limit(Reason::Member, layout::max_size(&path)));
        }
        match u32::try_from(at) {
            Ok(offset) if end <= ARCHIVE_MAX => Ok(Record { path, crc, size, offset }),
            _ => Err(limit(Reason::Archive, ARCHIVE_MAX)),
        }
    }

    /// Hands the bytes of one member on, and compares their CRC-32 with the header.
    fn bytes(&mut self, record: Record, sink: &mut impl Sink) -> Result<(), (Step, Fault)> {
        let step = |fault: Fault| (Step::Bytes, fault);
        sink.begin(&record);
        let mut crc = crc32fast::Hasher::new();
        let mut left = record.size as usize;
        while left > 0 {
            let piece = self.source.piece(left).map_err(step)?;
            if piece.is_empty() {
                return Err((Step::Directory, short().at(&record.path).offset(self.source.offset)));
            }
            crc.update(piece);
            sink.piece(piece);
            let length = piece.len();
            left -= length;
            self.source.consume(length);
        }
        let found = crc.finalize();
        if found != record.crc {
            let fault = Fault::new(Code::Hash, Reason::Crc).at(&record.path).offset(u64::from(record.offset));
            return Err(step(fault.expected(format!("{:08x}", record.crc)).found(format!("{found:08x}"))));
        }
        sink.end();
        self.records.push(record);
        Ok(())
    }

    /// Compares what follows the last member with the only directory and end these headers allow.
    fn directory(&mut self) -> Result<(), Fault> {
        let start = self.source.offset;
        for record in &self.records {
            let expected = [&record.central()[..], record.path.as_bytes()].concat();
            if let Some(at) = self.source.differs(&expected)? {
                let reason = match at {
                    At::Short(_) => Reason::Tail,
                    At::Byte(30..32) => Reason::Extra,
                    At::Byte(38..42) => Reason::Mode,
                    At::Byte(_) => Reason::Cd,
                };
                return Err(Fault::new(Code::Archive, reason).at(&record.path).offset(self.source.offset + at.index()));
            }
            self.source.consume(CENTRAL_LEN + record.path.len());
        }
        // A further central record belongs to no member: that is a hidden entry, not a bad end.
        let reason = if self.source.peek(4)? == CENTRAL { Reason::Cd } else { Reason::Tail };
        let end = end_record(&self.records, start);
        if let Some(at) = self.source.differs(&end)? {
            return Err(Fault::new(Code::Archive, reason).offset(self.source.offset + at.index()));
        }
        self.source.consume(end.len());
        if !self.source.peek(1)?.is_empty() {
            return Err(Fault::new(Code::Archive, Reason::Tail)
                .offset(self.source.offset)
                .found("bytes after the end record"));
        }
        Ok(())
    }
}

/// The header fields against the profile. Method comes first, since a bomb or AES also has other flags and versions.
fn check_fields(field: &[u8; LOCAL_LEN]) -> Result<(), Fault> {
    let model = Record { path: String::new(), crc: 0, size: 0, offset: 0 }.local();
    let same = |from: usize, to: usize| field.get(from..to) == model.get(from..to);
    let rules: [(bool, Reason); 5] = [
        (same(8, 10), Reason::Method),
        (same(6, 8), Reason::Flags),
        (same(28, 30), Reason::Extra),
        (same(4, 6) && same(10, 14), Reason::Profile),
        (field.get(18..22) == field.get(22..26), Reason::Profile),
    ];
    match rules.iter().find(|(held, _)| !held) {
        Some((_, reason)) => Err(Fault::new(Code::Archive, *reason)),
        None => Ok(()),
    }
}

fn u16_at(field: &[u8; LOCAL_LEN], at: usize) -> u16 {
    u16::from_le_bytes([field[at], field[at + 1]])
}

fn u32_at(field: &[u8; LOCAL_LEN], at: usize) -> u32 {
    u32::from_le_bytes([field[at], field[at + 1], field[at + 2], field[at + 3]])
}

fn short() -> Fault {
    Fault::new(Code::Archive, Reason::Tail).found("end of file")
}

/// First difference between expected and found bytes.
enum At {
    Byte(u64),
    Short(u64),
}

impl At {
    fn index(&self) -> u64 {
        match self {
            Self::Byte(index) | Self::Short(index) => *index,
        }
    }
}

/// A reader with one fixed buffer, from which bytes are looked at before they are taken.
struct Source<R> {
    input: R,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// Bytes taken so far.
    offset: u64,
}

impl<R: Read> Source<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: vec![0; PIECE], from: 0, to: 0, offset: 0 }
    }

    /// The next `count` bytes (at most a few hundred), fewer only at the end of the input.
    fn peek(&mut self, count: usize) -> Result<&[u8], Fault> {
        if self.to - self.from < count {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            while self.to < count && self.fill()? > 0 {}
        }
        Ok(self.buffer.get(self.from..self.to.min(self.from + count)).unwrap_or(&[]))
    }

    /// Some of the next `most` bytes, none only at the end of the input.
    fn piece(&mut self, most: usize) -> Result<&[u8], Fault> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            self.fill()?;
        }
        Ok(self.buffer.get(self.from..self.to.min(self.from.saturating_add(most))).unwrap_or(&[]))
    }

    fn fill(&mut self) -> Result<usize, Fault> {
        loop {
            let room = self.buffer.get_mut(self.to..).unwrap_or(&mut []);
            match self.input.read(room) {
                Ok(count) => {
                    self.to += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::new(Code::Io, Reason::Read).offset(self.offset).found(error)),
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.from += count;
        self.offset += count as u64;
    }

    fn differs(&mut self, expected: &[u8]) -> Result<Option<At>, Fault> {
        let found = self.peek(expected.len())?;
        let equal = found.iter().zip(expected).take_while(|(a, b)| a == b).count() as u64;
        Ok(match () {
            () if equal == expected.len() as u64 => None,
            // A cut signature cannot be told from another record's.
            () if equal == found.len() as u64 || found.len() < 4 => Some(At::Short(equal)),
            () => Some(At::Byte(equal)),
        })
    }
}
