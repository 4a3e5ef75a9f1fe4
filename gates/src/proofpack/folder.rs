//! Reads folders without following links: every component is opened beneath its parent, and only regular files are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use walkdir::WalkDir;

use super::codes::{Code, Fault, Reason};
use super::intake::Intake;
use super::layout;
use super::names;
use super::read::PIECE;

/// A regular file below a folder, by its path in the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `/`-separated path.
    pub path: String,
}

/// Every file below `root`, ascending by bytes of the path; `prefix` goes in front of each.
///
/// # Errors
/// A link, a special file, a name outside the grammar, or a folder that cannot be read; the codes are those of an
/// extracted pack.
pub fn list(root: &Path, prefix: &str) -> Result<Vec<Found>, Vec<Fault>> {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for item in WalkDir::new(root).min_depth(1).follow_links(false) {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                faults.push(Fault::new(Code::Io, Reason::Read).found(io::Error::from(error)));
                continue;
            }
        };
        let below = item.path().strip_prefix(root).unwrap_or(item.path());
        let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let path = format!("{prefix}{}", parts.join("/"));
        let kind = item.file_type();
        if kind.is_symlink() {
            faults.push(Fault::new(Code::Input, Reason::Link).at(path));
        } else if kind.is_dir() {
            continue;
        } else if !kind.is_file() {
            faults.push(Fault::new(Code::Input, Reason::Special).at(path));
        } else if let Err(reason) = names::check(path.as_bytes()) {
            faults.push(Fault::new(Code::Name, reason).at(path));
        } else {
            found.push(Found { path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Opens the regular file at `path` below `root`, following no link in any component.
///
/// # Errors
/// As the operating system answers; a link or a special file is an error too.
#[cfg(unix)]
pub fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    // NONBLOCK: a FIFO that took the place of a file must not hang the open; regular files ignore it.
    let file = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let folder = file | OFlags::DIRECTORY;
    let mut at = open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        at = openat(&at, part, if parts.peek().is_some() { folder } else { file }, Mode::empty())?;
    }
    regular(File::from(at))
}

/// Opens the regular file at `path` below `root`, following no link in any component.
///
/// # Errors
/// As the operating system answers; a link or a special file is an error too.
#[cfg(not(unix))]
pub fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    let mut at = root.to_path_buf();
    for part in path.split('/') {
        at.push(part);
        if std::fs::symlink_metadata(&at)?.is_symlink() {
            return Err(io::Error::other("is a link"));
        }
    }
    regular(File::open(at)?)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("is no regular file")) }
}

/// Gives an extracted pack to `intake`, as the archive reader would.
pub fn take_in(root: &Path, intake: &mut Intake<'_>) -> Vec<Fault> {
    let found = match list(root, "") {
        Ok(found) => found,
        // A link or device in an extracted pack is a member that must not be there.
        Err(faults) => return faults.into_iter().map(as_set_fault).collect(),
    };
    let mut buffer = vec![0; PIECE];
    found.iter().filter_map(|file| take_file(root, &file.path, intake, &mut buffer).err()).collect()
}

fn as_set_fault(fault: Fault) -> Fault {
    match fault.code {
        Code::Input => {
            Fault { code: Code::Set, reason: Reason::Extra, found: Some("not a regular file".into()), ..fault }
        }
        _ => fault,
    }
}

fn take_file(root: &Path, path: &str, intake: &mut Intake<'_>, buffer: &mut [u8]) -> Result<(), Fault> {
    let io = |error: io::Error| Fault::new(Code::Io, Reason::Read).at(path).found(error);
    let mut file = open_beneath(root, path).map_err(io)?;
    let max = layout::max_size(path);
    let mut size = 0;
    intake.begin(path);
    loop {
        let count = file.read(buffer).map_err(io)?;
        size += count as u64;
        if size > max {
            return Err(Fault::new(Code::Limit, Reason::Member).at(path).expected(format!("at most {max} bytes")));
        }
        if count == 0 {
            break;
        }
        intake.piece(buffer.get(..count).unwrap_or(&[]));
    }
    intake.end();
    Ok(())
}
