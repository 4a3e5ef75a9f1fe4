//! The bytes of a pack between hashing and storing: read once from one handle, kept out of anybody's reach.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::codes::{Code, Fault, Reason};
use super::folder;
use super::intake::Intake;

/// Bytes held in memory before the rest goes to an unnamed temporary file.
const MEMORY_MAX: u64 = 64 << 20;

/// Takes inputs from one folder, and gives them out again in archive order.
#[derive(Debug)]
pub struct Spool {
    root: PathBuf,
    buffer: Vec<u8>,
    kept: BTreeMap<String, Kept>,
    in_memory: u64,
    file: Option<File>,
    file_len: u64,
}

#[derive(Debug)]
struct Kept {
    size: u64,
    crc: u32,
    place: Place,
    /// What the input looked like when it was read; `None` for what was made here.
    stamp: Option<Stamp>,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File(u64),
}

/// An input on its way into the archive.
pub struct Input {
    /// Path in the pack.
    pub path: String,
    /// Count of the bytes.
    pub size: u64,
    /// Their CRC-32.
    pub crc: u32,
    /// The bytes.
    pub bytes: Box<dyn Read>,
}

impl Spool {
    /// A spool for inputs below `root`, read `piece` bytes at a time.
    #[must_use]
    pub fn new(root: &Path, piece: usize) -> Self {
        let (root, buffer) = (root.to_path_buf(), vec![0; piece.max(1)]);
        Self { root, buffer, kept: BTreeMap::new(), in_memory: 0, file: None, file_len: 0 }
    }

    /// Reads one input through one handle: what `intake` measures is what is kept.
    ///
    /// # Errors
    /// `E_INPUT` for a link, a special file, a missing one, or one that changed while it was read.
    pub fn take(&mut self, path: &str, intake: Option<&mut Intake<'_>>) -> Result<(), Fault> {
        let fault = |reason, error: io::Error| Fault::new(Code::Input, reason).at(path).found(error);
        let mut file = folder::open_beneath(&self.root, path).map_err(|error| self.why_not_open(path, error))?;
        let before = Stamp::of(&file.metadata().map_err(|error| fault(Reason::Read, error))?);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut sink = Sink { intake, crc: crc32fast::Hasher::new(), size: 0, path };
        sink.begin();
        let mut kept = Vec::new();
        let mut spilled = None;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fault(Reason::Read, error)),
            };
            let piece = buffer.get(..count).unwrap_or(&[]);
            sink.piece(piece);
            if spilled.is_none() && self.in_memory + sink.size > MEMORY_MAX {
                spilled = Some(self.spill(&kept).map_err(|error| fault(Reason::Read, error))?);
                kept = Vec::new();
            }
            match spilled {
                Some(_) => {
                    self.spill(piece).map_err(|error| fault(Reason::Read, error))?;
                }
                None => kept.extend_from_slice(piece),
            }
        }
        let (size, crc) = sink.end();
        self.buffer = buffer;
        let after = Stamp::of(&file.metadata().map_err(|error| fault(Reason::Read, error))?);
        if before != after || size != after.size {
            return Err(Fault::new(Code::Input, Reason::Changed).at(path));
        }
        let place = match spilled {
            Some(start) => Place::File(start),
            None => {
                self.in_memory += size;
                Place::Memory(kept)
            }
        };
        self.kept.insert(path.to_owned(), Kept { size, crc, place, stamp: Some(after) });
        Ok(())
    }

    /// Adds a member that was made here.
    pub fn add(&mut self, path: &str, bytes: &[u8], intake: &mut Intake<'_>) {
        intake.begin(path);
        intake.piece(bytes);
        intake.end();
        let (size, crc) = (bytes.len() as u64, crc32fast::hash(bytes));
        self.kept.insert(path.to_owned(), Kept { size, crc, place: Place::Memory(bytes.to_vec()), stamp: None });
    }

    /// Inputs whose path no longer leads to the file that was read.
    #[must_use]
    pub fn changed(&self) -> Vec<Fault> {
        let same = |path: &str, stamp: &Stamp| {
            let now = folder::open_beneath(&self.root, path).and_then(|file| file.metadata());
            now.is_ok_and(|now| Stamp::of(&now) == *stamp)
        };
        let inputs = self.kept.iter().filter_map(|(path, kept)| kept.stamp.as_ref().map(|stamp| (path, stamp)));
        let swapped = inputs.filter(|(path, stamp)| !same(path, stamp));
        swapped.map(|(path, _)| Fault::new(Code::Input, Reason::Changed).at(path)).collect()
    }

    /// Everything taken and added, ascending by path.
    ///
    /// # Errors
    /// `E_IO` when the temporary file cannot be read.
    pub fn into_inputs(self) -> Result<impl Iterator<Item = Input>, Fault> {
        let io = |error: io::Error| Fault::new(Code::Io, Reason::Read).found(error);
        let file = self.file.map(Rc::new);
        let mut inputs = Vec::with_capacity(self.kept.len());
        for (path, Kept { size, crc, place, .. }) in self.kept {
            let bytes: Box<dyn Read> = match (place, &file) {
                (Place::Memory(bytes), _) => Box::new(Cursor::new(bytes)),
                (Place::File(start), Some(file)) => Box::new(Section { file: Rc::clone(file), start, left: size }),
                (Place::File(_), None) => return Err(io(io::Error::other("no temporary file"))),
            };
            inputs.push(Input { path, size, crc, bytes });
        }
        Ok(inputs.into_iter())
    }

    /// Appends to the temporary file; gives the place where the bytes begin.
    fn spill(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        (&file).write_all(bytes)?;
        self.file = Some(file);
        let start = self.file_len;
        self.file_len += bytes.len() as u64;
        Ok(start)
    }

    /// Tells a link and a special file from a file that is not there.
    fn why_not_open(&self, path: &str, error: io::Error) -> Fault {
        let mut at = self.root.clone();
        for part in path.split('/') {
            at.push(part);
            match std::fs::symlink_metadata(&at) {
                Ok(found) if found.is_symlink() => return Fault::new(Code::Input, Reason::Link).at(path),
                Ok(found) if !found.is_dir() && !found.is_file() => {
                    return Fault::new(Code::Input, Reason::Special).at(path);
                }
                Ok(_) => {}
                Err(_) => return Fault::new(Code::Input, Reason::Missing).at(path).found(error),
            }
        }
        Fault::new(Code::Input, Reason::Read).at(path).found(error)
    }
}

/// Measures an input while it is read.
struct Sink<'a, 'i, 't> {
    intake: Option<&'i mut Intake<'t>>,
    crc: crc32fast::Hasher,
    size: u64,
    path: &'a str,
}

impl Sink<'_, '_, '_> {
    fn begin(&mut self) {
        if let Some(intake) = &mut self.intake {
            intake.begin(self.path);
        }
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        if let Some(intake) = &mut self.intake {
            intake.piece(bytes);
        }
    }

    fn end(self) -> (u64, u32) {
        if let Some(intake) = self.intake {
            intake.end();
        }
        (self.size, self.crc.finalize())
    }
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    identity: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        // The time of status change, too, moves with every write, and cannot be set back.
        Self { size: found.len(), identity: (found.dev(), found.ino()), changed: (found.ctime(), found.ctime_nsec()) }
    }

    #[cfg(not(unix))]
    fn of(found: &Metadata) -> Self {
        let modified = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        Self { size: found.len(), identity: (0, 0), changed: (modified, 0) }
    }
}

/// A part of the temporary file.
struct Section {
    file: Rc<File>,
    start: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(to.len());
        // All sections share one handle and its position, so each read says where it begins.
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.start))?;
        let count = file.read(to.get_mut(..most).unwrap_or(&mut []))?;
        self.start += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppk_17_spilled_inputs_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::new(folder.path(), 1 << 20);
        let content = |name: u8| (0..30_000_000_u32).map(|at| (at >> 9) as u8 ^ name).collect::<Vec<u8>>();
        for name in [b'a', b'b', b'c'] {
            let path = char::from(name).to_string();
            std::fs::write(folder.path().join(&path), content(name)).expect("files can be written");
            spool.take(&path, None).expect("a regular file");
        }
        assert!(spool.file_len > 0, "the third does not fit into memory");
        assert_eq!(spool.changed(), []);
        for (mut input, name) in spool.into_inputs().expect("the temporary file is there").zip([b'a', b'b', b'c']) {
            let mut found = Vec::new();
            input.bytes.read_to_end(&mut found).expect("readable");
            assert!(found == content(name) && input.crc == crc32fast::hash(&found) && input.size == 30_000_000);
        }
    }
}
