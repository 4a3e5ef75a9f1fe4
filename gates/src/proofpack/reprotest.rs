//! A second build under other circumstances: what to vary, and how to compare (PPK-44).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::codes::{Code, Fault, Reason};

/// Builds of `--reprotest` without a number.
pub const BUILDS: u32 = 8;

/// The circumstances of one build. None may change a byte of the pack.
///
/// Chunk size and order are options of [`super::build::BuildOptions`]; the rest is for whoever starts the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variation {
    /// Number of the build, from 1.
    pub index: u32,
    /// Environment variables of the process.
    pub environment: [(&'static str, &'static str); 3],
    /// File mode mask of the process.
    pub umask: u32,
    /// Bytes read at a time.
    pub piece: usize,
    /// Whether inputs are read from the last to the first.
    pub reversed: bool,
    /// Whether the process starts in another working folder.
    pub other_folder: bool,
    /// What the times of the input files are set to, in seconds since 1970.
    pub file_time: i64,
}

const ZONES: [&str; 4] = ["UTC", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu"];
const LOCALES: [&str; 3] = ["C", "C.UTF-8", "tr_TR.UTF-8"];
const UMASKS: [u32; 3] = [0o022, 0o077, 0o000];
const PIECES: [usize; 5] = [1 << 20, 1, 4096, 65_537, 17];
const TIMES: [i64; 3] = [0, 1_700_000_001, 4_102_444_800];

/// The first `count` variations; every list is gone through, none in step with another.
#[must_use]
pub fn variations(count: u32) -> Vec<Variation> {
    fn pick<T: Copy>(list: &[T], at: u32) -> T {
        list[at as usize % list.len()]
    }
    let variation = |index: u32| Variation {
        index,
        environment: [
            ("TZ", pick(&ZONES, index)),
            ("LC_ALL", pick(&LOCALES, index)),
            ("LANG", pick(&LOCALES, index + 1)),
        ],
        umask: pick(&UMASKS, index),
        piece: pick(&PIECES, index),
        reversed: index % 2 == 1,
        other_folder: index % 4 >= 2,
        file_time: pick(&TIMES, index),
    };
    (1..=count).map(variation).collect()
}

/// Compares a second build with the first.
///
/// # Errors
/// `E_REPRO` with the offset of the first byte that differs; `E_IO` when a pack cannot be read.
pub fn compare(first: &Path, second: &Path) -> Result<(), Fault> {
    let io = |path: &Path, error: io::Error| Fault::new(Code::Io, Reason::Read).at(path.to_string_lossy()).found(error);
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(|error| io(path, error));
    match first_difference(open(first)?, open(second)?).map_err(|error| io(second, error))? {
        None => Ok(()),
        Some(offset) => Err(Fault::new(Code::Repro, Reason::Offset).at(second.to_string_lossy()).offset(offset)),
    }
}

/// The first offset at which two streams differ; the end of one counts.
///
/// # Errors
/// Whatever reading gives.
pub fn first_difference(mut first: impl BufRead, mut second: impl BufRead) -> io::Result<Option<u64>> {
    let mut offset = 0;
    loop {
        let (a, b) = (first.fill_buf()?, second.fill_buf()?);
        let both = a.len().min(b.len());
        let equal = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        offset += equal as u64;
        match (both, a.len() == b.len()) {
            (0, true) => return Ok(None),
            _ if equal < both || both == 0 => return Ok(Some(offset)),
            _ => {}
        }
        first.consume(both);
        second.consume(both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppk_44_every_circumstance_is_varied() {
        let all = variations(BUILDS);
        let distinct = |key: &dyn Fn(&Variation) -> String| {
            let mut keys: Vec<String> = all.iter().map(key).collect();
            keys.sort();
            keys.dedup();
            keys.len()
        };
        assert_eq!(all.len(), 8);
        assert_eq!(distinct(&|v| v.environment[0].1.into()), ZONES.len());
        assert_eq!(distinct(&|v| v.environment[1].1.into()), LOCALES.len());
        assert_eq!(distinct(&|v| v.umask.to_string()), UMASKS.len());
        assert_eq!(distinct(&|v| v.piece.to_string()), PIECES.len());
        assert_eq!(distinct(&|v| format!("{}{}", v.reversed, v.other_folder)), 4);
        assert_eq!(distinct(&|v| v.file_time.to_string()), TIMES.len());
    }

    #[test]
    fn ppk_44_a55_one_planted_byte_is_found() {
        let first = vec![7_u8; 5000];
        let mut second = first.clone();
        assert_eq!(first_difference(&first[..], &second[..]).ok(), Some(None));
        second[4321] = 8;
        assert_eq!(first_difference(&first[..], &second[..]).ok(), Some(Some(4321)));
        assert_eq!(first_difference(&first[..], &first[..4999]).ok(), Some(Some(4999)));
        assert_eq!(first_difference(&first[..0], &first[..1]).ok(), Some(Some(0)));
    }
}
