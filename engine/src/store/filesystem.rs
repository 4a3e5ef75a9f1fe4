//! Which file systems may carry a shared folder: local ones whose kernel lock every process sees (HRD-16).

use std::path::Path;

use super::error::{Cause, StoreError};

/// Refuses a folder on a file system that is not known to share its locks between all its users. Network file systems
/// and FUSE emulate them or not at all, so only types known to be local are let in; an unknown type is refused too.
///
/// # Errors
/// `CACHE_FS_UNSUPPORTED` with the type, or the operating system's error when the folder cannot be asked.
pub fn require_local(folder: &Path) -> Result<(), StoreError> {
    const ATTEMPTED: &str = "share";
    let facts = rustix::fs::statfs(folder).map_err(|error| StoreError::io(ATTEMPTED, folder, error.into()))?;
    match name_of(&facts) {
        Ok(_local) => Ok(()),
        Err(name) => {
            Err(StoreError { attempted: ATTEMPTED, path: folder.to_owned(), cause: Cause::UnsupportedFilesystem(name) })
        }
    }
}

/// Magic numbers of the local file systems, from `statfs(2)` and `linux/magic.h`.
#[cfg(target_os = "linux")]
const LOCAL: [(u64, &str); 11] = [
    (0xEF53, "ext"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58F6, "ramfs"),
    (0x794C_7630, "overlay"),
    (0xF2F5_2010, "f2fs"),
    (0x2FC1_2FC1, "zfs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x3153_464A, "jfs"),
    (0x5265_4973, "reiserfs"),
];

/// The well-known refused ones, so that the message has a name; everything else is shown as its number.
#[cfg(target_os = "linux")]
const REFUSED: [(u64, &str); 10] = [
    (0x6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x517B, "smb"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x4006, "fat"),
    (0x9FA0, "proc"),
];

#[cfg(target_os = "linux")]
fn name_of(facts: &rustix::fs::StatFs) -> Result<&'static str, String> {
    // The field is signed on some targets; the magic numbers are 32 bits wide.
    classify(facts.f_type as u64 & 0xFFFF_FFFF)
}

#[cfg(target_os = "linux")]
fn classify(magic: u64) -> Result<&'static str, String> {
    let find = |table: &[(u64, &'static str)]| table.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name);
    find(&LOCAL).ok_or_else(|| find(&REFUSED).map_or_else(|| format!("{magic:#x}"), str::to_owned))
}

#[cfg(target_os = "macos")]
fn name_of(facts: &rustix::fs::StatFs) -> Result<String, String> {
    let name: String = facts.f_fstypename.iter().take_while(|c| **c != 0).map(|c| char::from(*c as u8)).collect();
    if ["apfs", "hfs", "tmpfs"].contains(&name.as_str()) { Ok(name) } else { Err(name) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn hrd_16_only_known_local_types_are_shared() {
        assert_eq!(classify(0xEF53), Ok("ext"));
        for (magic, name) in REFUSED {
            assert_eq!(classify(magic), Err(name.to_owned()), "{name}");
        }
        assert_eq!(classify(0xDEAD), Err("0xdead".to_owned()), "an unknown type is refused");
    }

    #[test]
    fn hrd_16_a_real_folder_of_a_kernel_file_system_is_refused() {
        let error = require_local(Path::new("/proc/self")).expect_err("proc shares nothing");
        assert_eq!(error.word(), "CACHE_FS_UNSUPPORTED");
        assert!(error.to_string().contains("`proc`"), "{error}");
        let folder = tempfile::tempdir().expect("a folder is made");
        require_local(folder.path()).expect("test folders are local");
        let gone = require_local(&folder.path().join("absent")).expect_err("nothing is there");
        assert_eq!(gone.word(), "STORAGE_IO");
    }
}
