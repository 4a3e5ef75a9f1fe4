//! Rows 1 to 22: attacks on names and on the bytes of the archive.

use super::super::codes::{Code, Reason as R};
use super::super::forge::{Archive, Member, Patch};
use super::super::layout::VERIFY_SH;
use super::Mutant;
use super::forgery::Base;

/// Row, name of the mutant, member name, reason of `E_NAME`.
const NAMES: [(u8, &str, &str, R); 32] = [
    (1, "parent", "../x", R::Traversal),
    (1, "parent-inside", "a/../../x", R::Traversal),
    (1, "parent-of-evidence", "evidence/../../x", R::Traversal),
    (2, "absolute", "/x", R::Absolute),
    (2, "double-slash", "//x", R::Absolute),
    (3, "drive-absolute", "C:/x", R::Charset),
    (3, "drive-relative", "C:x", R::Charset),
    (3, "verbatim", "\\\\?\\x", R::Charset),
    (3, "unc", "\\\\host\\share\\x", R::Charset),
    (4, "backslash", "evidence\\x", R::Charset),
    (4, "backslash-parent", "..\\x", R::Charset),
    (8, "con", "CON", R::Reserved),
    (8, "nul-extension", "evidence/NUL.txt", R::Reserved),
    (8, "com1-lower", "com1", R::Reserved),
    (8, "com-superscript", "COM\u{b9}", R::NonAscii),
    (8, "conin", "CONIN$", R::Charset),
    (8, "final-dot", "verify.sh.", R::Component),
    (8, "final-space", "verify.sh ", R::Charset),
    (8, "stream", "verify.sh:ads", R::Charset),
    (9, "nfd", "cafe\u{301}", R::NonAscii),
    (9, "nfc", "caf\u{e9}", R::NonAscii),
    (9, "full-width", "\u{ff56}erify.sh", R::NonAscii),
    (9, "bidi-override", "a\u{202e}hs.b", R::NonAscii),
    (20, "nul", "a\0b", R::Charset),
    (20, "line-feed", "a\nb", R::Charset),
    (20, "escape", "a\u{1b}[2Jb", R::Charset),
    (20, "c1", "a\u{9b}2Jb", R::NonAscii),
    (21, "empty-component", "a//b", R::Component),
    (21, "dot-component", "./a", R::Component),
    (21, "leading-dash", "-rf", R::Component),
    (21, "folder-entry", "evidence/x/", R::Component),
    (21, "empty-name", "", R::Length),
];

/// Which of a member's two records is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Local,
    Central,
}
use Header::{Central, Local};

/// Row, name, record, offset in it, bytes put there, reason of `E_ARCHIVE`.
type PatchRow = (u8, &'static str, Header, usize, &'static [u8], R);

const PATCHES: [PatchRow; 33] = [
    (5, "symlink", Central, 38, &[0, 0, 0xff, 0xa1], R::Mode),
    (5, "setuid", Central, 38, &[0, 0, 0xed, 0x89], R::Mode),
    (5, "device", Central, 38, &[0, 0, 0xb0, 0x61], R::Mode),
    (5, "executable", Central, 38, &[0, 0, 0xed, 0x81], R::Mode),
    (5, "dos-directory", Central, 38, &[0x10, 0, 0xa4, 0x81], R::Mode),
    (5, "no-mode", Central, 38, &[0, 0, 0, 0], R::Mode),
    (12, "central-size", Central, 24, &[0xff], R::Cd),
    (12, "central-compressed-size", Central, 20, &[0xff], R::Cd),
    (12, "central-crc", Central, 16, &[1, 2, 3, 4], R::Cd),
    (12, "central-method", Central, 10, &[8], R::Cd),
    (12, "central-flags", Central, 8, &[8], R::Cd),
    (12, "central-time", Central, 12, &[1], R::Cd),
    (12, "central-date", Central, 14, &[1], R::Cd),
    (12, "central-version-needed", Central, 6, &[20], R::Cd),
    (12, "central-made-by", Central, 4, &[20, 0], R::Cd),
    (12, "central-internal-attributes", Central, 36, &[1], R::Cd),
    (12, "local-version", Local, 4, &[20], R::Profile),
    (12, "local-time", Local, 10, &[1], R::Profile),
    (12, "local-date", Local, 12, &[1], R::Profile),
    (12, "local-sizes-differ", Local, 18, &[0xff], R::Profile),
    (13, "one-header-twice", Central, 42, &[0, 0, 0, 0], R::Cd),
    (13, "offset-into-data", Central, 42, &[7, 0, 0, 0], R::Cd),
    (14, "deflate", Local, 8, &[8], R::Method),
    (14, "size-beyond-the-end", Local, 18, &[0, 0, 0xf0, 0, 0, 0, 0xf0, 0], R::Tail),
    (15, "encrypted", Local, 6, &[1], R::Flags),
    (15, "strong-encryption", Local, 6, &[0x41], R::Flags),
    (15, "descriptor", Local, 6, &[8], R::Flags),
    (15, "utf8-flag", Local, 7, &[8], R::Flags),
    (15, "aes", Local, 6, &[1, 0, 99, 0], R::Method),
    (15, "bzip2", Local, 8, &[12], R::Method),
    (15, "zstd", Local, 8, &[93], R::Method),
    (15, "unknown-method", Local, 8, &[200], R::Method),
    (13, "disk-number", Central, 34, &[1], R::Cd),
];

/// Row, name, patch of the end record.
const END_PATCHES: [(u8, &str, usize, &[u8]); 7] = [
    (17, "count-low", 8, &[1, 0, 1, 0]),
    (17, "count-high", 8, &[0xff, 0x7f, 0xff, 0x7f]),
    (17, "count-on-this-disk", 8, &[1, 0]),
    (17, "directory-length", 12, &[0, 0, 0, 0]),
    (17, "directory-offset", 16, &[0, 0, 0, 0]),
    (17, "disk-number", 4, &[1, 0]),
    (10, "comment-length", 20, &[1, 0]),
];

/// The mutants of these rows.
pub(super) fn mutants(base: &Base) -> Vec<Mutant<'_>> {
    let mut mutants: Vec<Mutant<'_>> = NAMES
        .iter()
        .map(|&(row, what, name, reason)| {
            Mutant::pack(row, what, Code::Name, reason, move || {
                base.archive(|archive| insert(archive, Member::new(name, "x")))
            })
        })
        .collect();
    mutants.extend(PATCHES.iter().map(|&(row, what, header, at, bytes, reason)| {
        Mutant::pack(row, what, Code::Archive, reason, move || {
            base.archive(|archive| patch(archive, header, (at, bytes.to_vec())))
        })
    }));
    mutants.extend(END_PATCHES.iter().map(|&(row, what, at, bytes)| {
        Mutant::pack(row, what, Code::Archive, R::Tail, move || {
            base.archive(|archive| archive.end.push((at, bytes.to_vec())))
        })
    }));
    mutants.extend(collisions(base));
    mutants.extend(surroundings(base));
    mutants.extend(extra_fields(base));
    mutants.extend(limits(base));
    mutants
}

/// Rows 6, 7, 21: names that cannot stand together.
fn collisions(base: &Base) -> Vec<Mutant<'_>> {
    let twice = move || {
        base.archive(|archive| {
            let last = archive.members.last().cloned();
            archive.members.extend(last);
        })
    };
    let swapped = move || {
        base.archive(|archive| {
            let last = archive.members.pop();
            archive.members.splice(0..0, last);
        })
    };
    let added = |name: &'static str| move || base.archive(|archive| insert(archive, Member::new(name, "x")));
    vec![
        Mutant::pack(6, "same-name-twice", Code::Order, R::Duplicate, twice),
        Mutant::pack(6, "not-ascending", Code::Order, R::Order, swapped),
        Mutant::pack(7, "verify-upper", Code::Name, R::Case, added("Verify.sh")),
        Mutant::pack(7, "manifest-lower", Code::Name, R::Case, added("manifest.json")),
        Mutant::pack(21, "file-where-a-folder-is", Code::Name, R::Prefix, added("evidence")),
        Mutant::pack(21, "folder-where-a-file-is", Code::Name, R::Prefix, added("verify.sh/x")),
    ]
}

/// Rows 10 to 18: bytes in front, between, behind, and records that lie.
fn surroundings(base: &Base) -> Vec<Mutant<'_>> {
    let archive = |row, what, reason, change: fn(&mut Archive)| {
        Mutant::pack(row, what, Code::Archive, reason, move || base.archive(change))
    };
    let cut = |what: &'static str, length: fn(usize) -> usize| {
        Mutant::pack(17, what, Code::Archive, R::Tail, move || {
            let mut bytes = base.archive.bytes();
            bytes.truncate(length(bytes.len()));
            bytes
        })
    };
    let two_ends = Mutant::pack(10, "two-end-records", Code::Archive, R::Tail, || {
        let mut bytes = base.archive.bytes();
        bytes.extend_from_within(bytes.len() - 22..);
        bytes
    });
    let second_record = Mutant::pack(16, "central-record-of-no-member", Code::Archive, R::Cd, || {
        let bytes = base.archive.bytes();
        let start = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap_or(0);
        let record = bytes.get(start..bytes.len() - 22).unwrap_or(&[]).to_vec();
        base.archive(|archive| archive.directory_more = record)
    });
    vec![
        archive(10, "byte-behind", R::Tail, |archive| archive.tail = vec![0]),
        archive(10, "comment", R::Tail, |archive| {
            archive.end.push((20, vec![2, 0]));
            archive.tail = b"hi".to_vec();
        }),
        two_ends,
        archive(11, "byte-in-front", R::Head, |archive| archive.front = vec![0]),
        archive(11, "self-extractor", R::Head, |archive| archive.front = b"#!/bin/sh\nexit 0\n".to_vec()),
        archive(11, "in-front-and-adjusted", R::Head, |archive| {
            archive.front = b"MZ".to_vec();
            shift(archive, 2);
        }),
        archive(12, "central-name", R::Cd, |archive| {
            last(archive, |member| member.central_name = Some(b"verify.xx".to_vec()))
        }),
        archive(12, "central-longer-name", R::Cd, |archive| {
            last(archive, |member| member.central_name = Some(b"verify.sh.x".to_vec()))
        }),
        archive(13, "nested-archive", R::Cd, |archive| {
            let nested = Archive::new([("w", "x")]).bytes();
            last(archive, |member| member.gap = nested);
        }),
        archive(16, "hidden-member", R::Cd, |archive| last(archive, |member| member.hidden = true)),
        archive(16, "gap-between-members", R::Cd, |archive| {
            if let Some(member) = archive.members.first_mut() {
                member.gap = b"gap".to_vec();
            }
        }),
        archive(16, "gap-before-directory", R::Cd, |archive| archive.before_directory = b"PK\x05\x05\0\0".to_vec()),
        second_record,
        archive(17, "gap-before-end", R::Tail, |archive| archive.before_end = b"gap".to_vec()),
        cut("half", |length| length / 2),
        cut("without-end-record", |length| length - 22),
        cut("last-byte-gone", |length| length - 1),
        archive(18, "zip64-record-and-locator", R::Tail, |archive| {
            let record = [&b"PK\x06\x06"[..], &44_u64.to_le_bytes(), &[0; 44]].concat();
            archive.before_end = [&record[..], b"PK\x06\x07", &[0; 16]].concat();
        }),
        archive(18, "zip64-locator-alone", R::Tail, |archive| {
            archive.before_end = [&b"PK\x06\x07"[..], &[0; 16]].concat()
        }),
    ]
}

/// Rows 18 and 22: extra fields.
fn extra_fields(base: &Base) -> Vec<Mutant<'_>> {
    const UNICODE_PATH: &[u8] = b"up\x0a\0\x01\0\0\0\0evil";
    const TIMESTAMP: &[u8] = b"UT\x05\0\x01\0\0\0\0";
    let extra = |row, what, local: bool, field: &'static [u8]| {
        Mutant::pack(row, what, Code::Archive, R::Extra, move || {
            base.archive(|archive| {
                last(archive, |member| {
                    let place = if local { &mut member.local_extra } else { &mut member.central_extra };
                    *place = field.to_vec();
                });
            })
        })
    };
    let zip64 = Mutant::pack(18, "zip64-extra", Code::Archive, R::Extra, || {
        base.archive(|archive| {
            last(archive, |member| {
                let size = (member.data.len() as u64).to_le_bytes();
                member.local_extra = [&[1, 0, 16, 0], &size[..], &size[..]].concat();
                member.local.push((18, vec![0xff; 8]));
            });
        })
    });
    vec![
        extra(22, "unicode-path-local", true, UNICODE_PATH),
        extra(22, "unicode-path-central", false, UNICODE_PATH),
        extra(22, "timestamp-local", true, TIMESTAMP),
        zip64,
    ]
}

/// Rows 14 and 19: sizes and counts.
fn limits(base: &Base) -> Vec<Mutant<'_>> {
    let named = |what, reason, name: fn() -> String| {
        Mutant::pack(19, what, Code::Name, reason, move || {
            base.archive(|archive| insert(archive, Member::new(name(), "x")))
        })
    };
    let lie = |archive: &mut Archive| patch(archive, Local, (18, [0xf0, 0xff, 0xff, 0xff].repeat(2)));
    vec![
        Mutant::pack(14, "size-of-four-gigabytes", Code::Limit, None, move || base.archive(lie)),
        Mutant::pack(19, "members", Code::Limit, R::Members, || {
            Archive::new((0..=20_000).map(|index| (format!("evidence/{index:05}"), ""))).bytes()
        }),
        named("name-of-64-kilobytes", R::Length, || "a".repeat(65_535)),
        named("ten-thousand-levels", R::Length, || "a/".repeat(10_000) + "a"),
        named("seventeen-levels", R::Depth, || vec!["a"; 17].join("/")),
        named("component-of-101-bytes", R::Component, || "a".repeat(101)),
    ]
}

/// Puts a member where its name belongs.
fn insert(archive: &mut Archive, member: Member) {
    let at = archive.members.partition_point(|other| other.name < member.name);
    archive.members.insert(at, member);
}

fn patch(archive: &mut Archive, header: Header, patch: Patch) {
    if let Some(member) = archive.member(VERIFY_SH) {
        match header {
            Local => member.local.push(patch),
            Central => member.central.push(patch),
        }
    }
}

fn last(archive: &mut Archive, change: impl FnOnce(&mut Member)) {
    if let Some(member) = archive.members.last_mut() {
        change(member);
    }
}

/// Moves every offset, as a tool that puts bytes in front would.
fn shift(archive: &mut Archive, by: usize) {
    let mut at = by;
    let mut directory = 0;
    for member in &mut archive.members {
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        member.central.push((42, offset.to_le_bytes().to_vec()));
        at += 30 + member.name.len() + member.data.len();
        directory += 46 + member.name.len();
    }
    let (start, length) = (u32::try_from(at).unwrap_or(u32::MAX), u32::try_from(directory).unwrap_or(u32::MAX));
    archive.end.push((12, [length.to_le_bytes(), start.to_le_bytes()].concat()));
}
