//! Steps 1 to 4: the byte profile, its second writer, and every attack row on the archive itself (PPK-6 to PPK-12).

use std::io::{Cursor, Read, Write};

use gates::proofpack::codes::{Code, Fault, Reason};
use gates::proofpack::forge::{Archive, Member};
use gates::proofpack::read::{self, PIECE, Sink, Step};
use gates::proofpack::records::Record;
use gates::proofpack::write::Writer;
use proptest::prelude::*;

/// Keeps everything: what the tests compare with.
#[derive(Default)]
struct Keep(Members, bool);

impl Sink for Keep {
    fn begin(&mut self, record: &Record) {
        self.0.push((record.path.clone(), Vec::new()));
        self.1 = false;
    }
    fn piece(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= PIECE, "a piece is bounded");
        self.0.last_mut().expect("begin comes first").1.extend_from_slice(bytes);
    }
    fn end(&mut self) {
        self.1 = true;
    }
}

/// A reader that gives at most `most` bytes at a time, as a pipe may.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let most = self.1.min(to.len());
        self.0.read(&mut to[..most])
    }
}

type Members = Vec<(String, Vec<u8>)>;

fn read_all(bytes: &[u8]) -> Result<Members, (Step, Fault)> {
    let mut keep = Keep::default();
    read::read(bytes, &mut keep)?;
    assert!(keep.1, "every member was ended");
    Ok(keep.0)
}

fn refusal(archive: &Archive) -> (Code, Reason) {
    let (_, fault) = read_all(&archive.bytes()).expect_err("the archive must be refused");
    (fault.code, fault.reason)
}

fn small() -> Archive {
    Archive::new([("a", &b""[..]), ("b/c", b"hello\n"), ("b/d", b"world")])
}

/// `small` with one thing changed.
fn changed(change: impl FnOnce(&mut Archive)) -> Archive {
    let mut archive = small();
    change(&mut archive);
    archive
}

fn with_name(name: &str) -> Archive {
    let mut archive = Archive::new([(name, b"x")]);
    archive.members.sort_by(|a, b| a.name.cmp(&b.name));
    archive
}

fn ours(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, bytes) in members {
        writer.bytes(path, bytes).expect("a legal member");
    }
    writer.finish().expect("a legal archive").0
}

fn by_crate_zip(members: &[(String, Vec<u8>)], split: usize) -> Vec<u8> {
    let time = zip::DateTime::from_date_and_time(1980, 1, 1, 12, 1, 0).expect("a legal DOS time");
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .compression_level(None)
        .last_modified_time(time)
        .unix_permissions(0o644)
        .system(zip::System::Unix)
        .large_file(false);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in members {
        writer.start_file(path, options).expect("a legal member");
        bytes.chunks(split).for_each(|piece| writer.write_all(piece).expect("a vector takes bytes"));
    }
    writer.finish().expect("a legal archive").into_inner()
}

#[test]
fn ppk_6_a3_the_writer_agrees_with_a_second_hand_and_with_the_formula() {
    let members: Vec<_> = [("a", ""), ("b/c", "hello\n"), ("b/d", "world")].map(|(n, d)| (n.into(), d.into())).into();
    let bytes = ours(&members);
    assert_eq!(bytes, small().bytes());
    let formula: usize = members.iter().map(|(n, d)| 30 + n.len() + d.len() + 46 + n.len()).sum::<usize>() + 22;
    assert_eq!(bytes.len(), formula);
    assert_eq!(read_all(&bytes), Ok(members));
    assert_eq!(Archive::parse(&bytes).map(|archive| archive.bytes()), Some(bytes));
}

#[test]
fn ppk_8_a2_crate_zip_gives_equal_bytes() {
    let empty = vec![("empty".to_owned(), Vec::new())];
    let thousand: Vec<_> = (0..1000).map(|i| (format!("m/{i:04}.jsonl"), vec![b'x'; i * 7 % 311])).collect();
    let large = vec![("large".to_owned(), (0..3_000_000_u32).map(|i| ((i * 31) >> 3) as u8).collect())];
    for members in [empty, thousand, large] {
        for split in [1009, 65_536, usize::MAX] {
            assert!(by_crate_zip(&members, split) == ours(&members), "{} members, split {split}", members.len());
        }
        let bytes = ours(&members);
        let mut reader = zip::ZipArchive::new(Cursor::new(&bytes)).expect("crate zip reads it");
        for (index, (path, data)) in members.iter().enumerate() {
            let mut file = reader.by_index(index).expect("the member is there");
            let mut found = Vec::new();
            file.read_to_end(&mut found).expect("the CRC is right");
            assert!(file.name().is_ok_and(|name| name == **path) && found == *data, "{path}");
        }
    }
}

proptest! {
    #[test]
    fn ppk_8_any_content_any_split(content in proptest::collection::btree_map("m[a-z]{0,2}(/[0-9]{1,2})?", proptest::collection::vec(any::<u8>(), 0..50), 1..12), split in 1_usize..60) {
        let files: Vec<_> = content.into_iter().collect();
        // A name that is a folder of another is refused by rule; drop such files.
        let members: Vec<_> = files.iter().filter(|(name, _)| !files.iter().any(|(other, _)| other.starts_with(&format!("{name}/")))).cloned().collect();
        let bytes = ours(&members);
        prop_assert!(bytes == by_crate_zip(&members, split));
        let mut keep = Keep::default();
        prop_assert!(read::read(Slow(&bytes, split), &mut keep).is_ok());
        prop_assert_eq!(keep.0, members);
    }

    #[test]
    fn ppk_18_hostile_bytes_are_answered(tail in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400) {
        let mut bytes = small().bytes();
        bytes.truncate(cut);
        let known = bytes == small().bytes();
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(read_all(&bytes).is_ok(), known && tail.is_empty());
    }
}

#[test]
fn a4_flipping_any_bit_of_an_archive_is_refused() {
    let good = small().bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(read_all(&bad).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a5_every_prefix_is_refused() {
    let good = small().bytes();
    for length in 0..good.len() {
        let (_, fault) = read_all(&good[..length]).expect_err("a prefix");
        let expected = if length < 4 { Reason::Head } else { Reason::Tail };
        assert_eq!((fault.code, fault.reason), (Code::Archive, expected), "{length} bytes");
    }
}

#[test]
fn rows_1_to_4_8_9_20_21_names() {
    use Reason as R;
    for (row, name, reason) in [
        (1, "../x", R::Traversal),
        (1, "a/../../x", R::Traversal),
        (2, "/x", R::Absolute),
        (3, "C:/x", R::Charset),
        (3, "C:x", R::Charset),
        (3, "\\\\?\\x", R::Charset),
        (3, "\\\\host\\share", R::Charset),
        (4, "a\\b", R::Charset),
        (8, "CON", R::Reserved),
        (8, "a/NUL.txt", R::Reserved),
        (8, "COM1", R::Reserved),
        (8, "COM\u{b9}", R::NonAscii),
        (8, "CONIN$", R::Charset),
        (8, "a.", R::Component),
        (8, "a ", R::Charset),
        (8, "a:ads", R::Charset),
        (9, "cafe\u{301}", R::NonAscii),
        (9, "caf\u{e9}", R::NonAscii),
        (9, "\u{ff41}", R::NonAscii),
        (9, "a\u{202e}b", R::NonAscii),
        (20, "a\0b", R::Charset),
        (20, "a\nb", R::Charset),
        (20, "a\u{1b}[2J", R::Charset),
        (20, "a\u{9b}", R::NonAscii),
        (21, "a//b", R::Component),
        (21, "./a", R::Component),
        (21, "-a", R::Component),
        (21, "a/", R::Component),
        (21, "", R::Length),
    ] {
        assert_eq!(refusal(&with_name(name)), (Code::Name, reason), "row {row} {name:?}");
    }
    for good in ["x", "a-b/..c".trim_start_matches('.'), "CONSOLE", "a_b+c@d=e,f.g"] {
        let neighbour = good.replace("/..", "/");
        assert!(read_all(&with_name(&neighbour).bytes()).is_ok(), "{neighbour}");
    }
}

#[test]
fn rows_6_7_21_names_that_cannot_stand_together() {
    let pair = |first: &str, second: &str| Archive::new([(first, b"1"), (second, b"2")]);
    assert_eq!(refusal(&pair("a", "a")), (Code::Order, Reason::Duplicate), "row 6");
    assert_eq!(refusal(&pair("b", "a")), (Code::Order, Reason::Order), "row 6");
    assert_eq!(refusal(&pair("Verify.sh", "verify.sh")), (Code::Name, Reason::Case), "row 7, A12");
    assert_eq!(refusal(&pair("a", "a/b")), (Code::Name, Reason::Prefix), "row 21");
    assert!(read_all(&pair("a", "ab").bytes()).is_ok());
}

#[test]
fn rows_5_12_22_the_central_directory_must_say_what_the_headers_say() {
    let central = |at: usize, bytes: &[u8]| changed(|archive| archive.members[1].central.push((at, bytes.to_vec())));
    for (row, archive, reason) in [
        (5, central(38, &[0, 0, 0xff, 0xa1]), Reason::Mode),
        (5, central(38, &[0, 0, 0xed, 0x89]), Reason::Mode),
        (5, central(38, &[0, 0, 0xb0, 0x61]), Reason::Mode),
        (5, central(38, &[0x10, 0, 0xa4, 0x81]), Reason::Mode),
        (12, changed(|archive| archive.members[1].central_name = Some(b"b/x".to_vec())), Reason::Cd),
        (12, changed(|archive| archive.members[1].central_name = Some(b"b/cc".to_vec())), Reason::Cd),
        (12, central(24, &[5]), Reason::Cd),
        (12, central(20, &[5]), Reason::Cd),
        (12, central(16, &[0]), Reason::Cd),
        (12, central(10, &[8]), Reason::Cd),
        (12, central(8, &[1]), Reason::Cd),
        (12, central(12, &[0]), Reason::Cd),
        (12, central(6, &[20]), Reason::Cd),
        (12, central(4, &[20, 0]), Reason::Cd),
        (12, central(36, &[1]), Reason::Cd),
        (12, central(32, &[1]), Reason::Cd),
        (13, central(42, &[0]), Reason::Cd),
        (22, changed(|archive| archive.members[1].central_extra = b"up\x01\0x".to_vec()), Reason::Extra),
    ] {
        assert_eq!(refusal(&archive), (Code::Archive, reason), "row {row}");
    }
}

#[test]
fn rows_12_14_15_18_22_local_header_fields() {
    let local = |at: usize, bytes: &[u8]| changed(|archive| archive.members[1].local.push((at, bytes.to_vec())));
    for (row, archive, reason) in [
        (12, local(4, &[20]), Reason::Profile),
        (12, local(10, &[0]), Reason::Profile),
        (12, local(12, &[0]), Reason::Profile),
        (12, local(18, &[5]), Reason::Profile),
        (14, local(8, &[8]), Reason::Method),
        (15, local(6, &[1]), Reason::Flags),
        (15, local(6, &[8]), Reason::Flags),
        (15, local(7, &[8]), Reason::Flags),
        (15, changed(|archive| archive.members[1].local = vec![(6, vec![1, 0, 99, 0])]), Reason::Method),
        (15, local(8, &[200]), Reason::Method),
        (22, changed(|archive| archive.members[1].local_extra = b"up\x01\0x".to_vec()), Reason::Extra),
        (
            18,
            changed(|archive| {
                archive.members[1].local_extra = [&[1, 0, 16, 0][..], &[6, 0, 0, 0, 0, 0, 0, 0].repeat(2)].concat();
                archive.members[1].local = vec![(18, vec![0xff; 8])];
            }),
            Reason::Extra,
        ),
    ] {
        assert_eq!(refusal(&archive), (Code::Archive, reason), "row {row}");
    }
    assert_eq!(refusal(&local(14, &[0])), (Code::Hash, Reason::Crc), "row 24");
}

#[test]
fn rows_10_11_13_16_17_18_bytes_around_and_between() {
    let end = small().bytes();
    let end = end[end.len() - 22..].to_vec();
    let nested = Archive::new([("c", "x")]).bytes();
    let zip64 =
        [b"PK\x06\x06".to_vec(), vec![44, 0, 0, 0, 0, 0, 0, 0], vec![0; 44], b"PK\x06\x07".to_vec(), vec![0; 16]]
            .concat();
    let hidden_record = {
        let bytes = small().bytes();
        let start = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").expect("there is a directory");
        bytes[start..bytes.len() - 22].to_vec()
    };
    for (row, archive, reason) in [
        (10, changed(|archive| archive.tail = b"x".to_vec()), Reason::Tail),
        (
            10,
            changed(|archive| {
                archive.end = vec![(20, vec![1, 0])];
                archive.tail = b"x".to_vec();
            }),
            Reason::Tail,
        ),
        (10, changed(|archive| archive.tail = end.clone()), Reason::Tail),
        (11, changed(|archive| archive.front = b"#".to_vec()), Reason::Head),
        (11, changed(|archive| archive.front = b"MZ\x90\0PK\x03\x04".to_vec()), Reason::Head),
        (13, changed(|archive| archive.members[2].gap = nested.clone()), Reason::Cd),
        (13, changed(|archive| archive.directory_more = hidden_record.clone()), Reason::Cd),
        (16, changed(|archive| archive.members[1].hidden = true), Reason::Cd),
        (16, changed(|archive| archive.members[1].gap = b"gap".to_vec()), Reason::Cd),
        (16, changed(|archive| archive.before_directory = b"PK\x05\x05gap".to_vec()), Reason::Cd),
        (17, changed(|archive| archive.end = vec![(8, vec![2, 0, 2, 0])]), Reason::Tail),
        (17, changed(|archive| archive.end = vec![(8, vec![4, 0, 4, 0])]), Reason::Tail),
        (17, changed(|archive| archive.end = vec![(10, vec![4, 0])]), Reason::Tail),
        (17, changed(|archive| archive.end = vec![(16, vec![0])]), Reason::Tail),
        (17, changed(|archive| archive.end = vec![(4, vec![1, 0])]), Reason::Tail),
        (18, changed(|archive| archive.before_end = zip64.clone()), Reason::Tail),
    ] {
        assert_eq!(refusal(&archive), (Code::Archive, reason), "row {row}");
    }
}

#[test]
fn a6_a7_a13_exact_codes() {
    let good = small().bytes();
    let code = |bytes: &[u8]| read_all(bytes).map_err(|(_, fault)| (fault.code, fault.reason)).map(|_| ());
    assert_eq!(code(&good), Ok(()));
    assert_eq!(code(&[&good[..], b"\0"].concat()), Err((Code::Archive, Reason::Tail)), "A6");
    assert_eq!(code(&[b"\0", &good[..]].concat()), Err((Code::Archive, Reason::Head)), "A7");
    assert_eq!(code(&Archive::default().bytes()), Err((Code::Set, Reason::Empty)), "A13");
}

#[test]
fn row_14_a_lying_size_allocates_nothing() {
    let size = |size: u32| {
        let size = size.to_le_bytes();
        changed(|archive| archive.members[1].local.push((18, [size, size].concat())))
    };
    assert_eq!(refusal(&size(2_000_000_000)), (Code::Archive, Reason::Tail));
    assert_eq!(refusal(&size(0xffff_fff0)), (Code::Limit, Reason::Member));
    assert_eq!(refusal(&size(3)), (Code::Hash, Reason::Crc));
    let mut honest_crc = size(3);
    honest_crc.members[1].local.push((14, crc32fast::hash(b"hel").to_le_bytes().to_vec()));
    assert_eq!(refusal(&honest_crc), (Code::Archive, Reason::Cd), "the rest of the data is a gap");
}

#[test]
fn row_19_too_many_members_too_long_a_name() {
    let many = |count: usize| Archive::new((0..count).map(|index| (format!("m{index:05}"), "")));
    assert!(read_all(&many(20_000).bytes()).is_ok());
    assert_eq!(refusal(&many(20_001)), (Code::Limit, Reason::Members));
    assert_eq!(refusal(&with_name(&"a".repeat(65_535))), (Code::Name, Reason::Length));
    assert_eq!(refusal(&with_name(&"a/".repeat(10_000))), (Code::Name, Reason::Length));
    assert_eq!(refusal(&with_name(&vec!["a"; 17].join("/"))), (Code::Name, Reason::Depth));
}

#[test]
fn ppk_12_held_members_are_limited_before_they_are_read() {
    let mut archive = Archive::new([("SHA256SUMS.txt.sig", "x")]);
    archive.members[0].local.push((18, [4097_u32.to_le_bytes(), 4097_u32.to_le_bytes()].concat()));
    assert_eq!(refusal(&archive), (Code::Limit, Reason::Member));
    assert!(read_all(&Archive::new([("SHA256SUMS.txt.sig", vec![b'x'; 4096])]).bytes()).is_ok());
}

#[test]
fn ppk_7_the_writer_refuses_what_the_reader_would() {
    let fault = |calls: &[&str]| {
        let mut writer = Writer::new(Vec::new());
        let refused = calls.iter().find_map(|path| writer.bytes(path, b"").err());
        refused.map(|fault| (fault.code, fault.reason))
    };
    assert_eq!(fault(&["b", "a"]), Some((Code::Order, Reason::Order)));
    assert_eq!(fault(&["../a"]), Some((Code::Name, Reason::Traversal)));
    assert_eq!(fault(&["A", "a"]), Some((Code::Name, Reason::Case)));
    assert_eq!(fault(&["a", "b"]), None);
    let short = Writer::new(Vec::new()).stream("a", 3, 0, &b"ab"[..]).expect_err("a short reader");
    let long = Writer::new(Vec::new()).stream("a", 1, 0, &b"ab"[..]).expect_err("a long reader");
    assert_eq!((short.reason, long.reason), (Reason::Changed, Reason::Changed));
    assert_eq!(Writer::new(Vec::new()).finish().map(|_| ()).map_err(|fault| fault.reason), Err(Reason::Empty));
    assert_eq!(Member::new("a", "b").name, b"a");
}
