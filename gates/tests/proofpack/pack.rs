//! Build and verify of whole packs: the acceptance behaviours on green, red and unfit runs (PPK-14 to PPK-21).

use contract::digest::Digest;
use gates::proofpack::codes::{Code, Reason};
use gates::proofpack::forge::Archive;
use gates::proofpack::read::{self, Sink};
use gates::proofpack::records::Record;
use gates::proofpack::report::{CheckId, Status};
use gates::proofpack::reprotest;
use gates::proofpack::verify::{Input, Options, VerdictStep, verify};
use serde_json::json;

use crate::world::{RowsSayOk, TABLES, World, check, check_with, codes, put, refusal};

fn extract(pack: &[u8], to: &std::path::Path) {
    let archive = Archive::parse(pack).expect("a right archive");
    for member in &archive.members {
        put(to, std::str::from_utf8(&member.name).expect("ASCII"), &member.data);
    }
}

#[test]
fn a1_a3_two_builds_are_identical_and_the_pack_is_accepted() {
    let world = World::green();
    let first = world.pack();
    let report = check(&first);
    assert_eq!((codes(&report), report.exit()), (vec![], 0), "{}", report.text());
    let other = World::green();
    for (piece, reversed) in [(1, false), (7, true), (1 << 20, true)] {
        let built = other.try_build(|options| (options.piece, options.reversed) = (piece, reversed)).expect("is fit");
        assert!(std::fs::read(&built.path).expect("was written") == first, "piece {piece}, reversed {reversed}");
        std::fs::remove_file(built.path).expect("is ours");
    }
    let members = Archive::parse(&first).expect("a right archive").members;
    let formula: usize =
        members.iter().map(|m| 30 + m.name.len() + m.data.len() + 46 + m.name.len()).sum::<usize>() + 22;
    assert_eq!(first.len(), formula, "A3");
}

#[test]
fn ppk_1_15_16_members_root_and_name() {
    let world = World::green();
    let built = world.build();
    let pack = std::fs::read(&built.path).expect("was written");
    let mut archive = Archive::parse(&pack).expect("a right archive");
    let list = archive.member("SHA256SUMS.txt").expect("a hash list").data.clone();
    assert_eq!(built.root, Digest::of(&list));
    let hex = built.root.to_string();
    let name = built.path.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(name, format!("proofpack-pr-g5-{}.zip", &hex[..16]));
    let names: Vec<_> = archive.members.iter().map(|m| String::from_utf8_lossy(&m.name).into_owned()).collect();
    let evidence = names.iter().filter(|name| name.starts_with("evidence/")).count();
    let rest: Vec<_> = names.iter().filter(|name| !name.starts_with("evidence/")).map(String::as_str).collect();
    assert_eq!(evidence, 12);
    assert_eq!(
        rest,
        [
            "MANIFEST.json",
            "README.txt",
            "SHA256SUMS.txt",
            "environment.json",
            "policy/gate.json",
            "policy/leak-allow.json",
            "replay.sh",
            "sbom.cdx.json",
            "toolchain.json",
            "verify.ps1",
            "verify.sh",
        ]
    );
    assert!(world.build().already_there, "the same core is left as it is");
    std::fs::write(&built.path, b"something else").expect("is ours");
    assert_eq!(refusal(world.try_build(|_| ())), (Code::Input, Reason::Exists));
    assert_eq!(std::fs::read(&built.path).expect("still there"), b"something else");
}

/// Steps 1 to 4 alone: enough to refuse, and quick. A small archive is tried bit by bit in `archive`.
fn archive_is_refused(bytes: &[u8]) -> bool {
    struct Nowhere;
    impl Sink for Nowhere {
        fn begin(&mut self, _: &Record) {}
        fn piece(&mut self, _: &[u8]) {}
        fn end(&mut self) {}
    }
    read::read(bytes, &mut Nowhere).is_err()
}

#[test]
fn a4_a5_no_byte_and_no_prefix_is_spare() {
    let pack = World::green().pack();
    assert!(!archive_is_refused(&pack));
    let mut bad = pack.clone();
    for at in (0..pack.len()).step_by(11) {
        bad[at] ^= 1 << (at % 8);
        assert!(archive_is_refused(&bad), "byte {at}");
        if at % 1001 == 0 {
            assert_ne!(check(&bad).exit(), 0, "byte {at}");
        }
        bad[at] = pack[at];
    }
    for length in (0..pack.len()).step_by(37) {
        assert!(archive_is_refused(&pack[..length]), "{length} bytes");
    }
}

#[test]
fn a14_root_is_what_coreutils_would_hash() {
    let pack = World::green().pack();
    let archive = Archive::parse(&pack).expect("a right archive");
    let sealed = [&b"SHA256SUMS.txt"[..], b"SHA256SUMS.txt.sig", b"attestation.intoto.jsonl"];
    let listed = archive.members.iter().filter(|member| !sealed.contains(&member.name.as_slice()));
    let lines = listed.map(|m| format!("{}  {}\n", Digest::of(&m.data), String::from_utf8_lossy(&m.name)));
    assert_eq!(check(&pack).root, Some(Digest::of(lines.collect::<String>().as_bytes())));
}

#[test]
fn a15_a16_evidence_digest_ignores_timing_and_nothing_else() {
    let digest = |row: &str| {
        let world = World::green();
        world.put("evidence/pr-g4/rows.jsonl", row.as_bytes());
        world.judge();
        world.build().manifest.evidence_digest
    };
    let row = |start: u64, score: &str| {
        digest(&format!("{{\"ok\":true,\"schema\":\"test.row/1\",\"score\":{score},\"start_ns\":{start}}}\n"))
    };
    assert_eq!(row(1, "0.5"), row(2, "0.5"), "A15");
    assert_ne!(row(1, "0.5"), row(1, "0.6"), "A16");
}

#[test]
fn a21_an_intact_red_pack_is_exit_4() {
    let report = check(&World::red().pack());
    assert_eq!((codes(&report), report.exit()), (vec![(Code::Gate, Reason::NotPass)], 4));
    assert!(report.result_line().starts_with("INTACT, NOT AUTHENTICATED; derived verdict FAIL"));
}

#[test]
fn a30_a_pipe_reports_as_the_file_does() {
    let world = World::green();
    let built = world.build();
    let good = std::fs::read(&built.path).expect("was written");
    let mut bad_hash = Archive::parse(&good).expect("a right archive");
    bad_hash.member("README.txt").expect("is there").data.push(b'x');
    for bytes in [good.clone(), good[..good.len() - 1].to_vec(), bad_hash.bytes()] {
        std::fs::write(&built.path, &bytes).expect("is ours");
        let options = Options::default();
        let file = verify(Input::File(&built.path), &options, Some(&RowsSayOk(1)), &TABLES);
        let mut reader = &bytes[..];
        let pipe = verify(Input::Pipe(&mut reader), &options, Some(&RowsSayOk(1)), &TABLES);
        for id in CheckId::ALL.iter().filter(|id| **id < CheckId::Verdict) {
            assert_eq!(file.status(*id), pipe.status(*id), "{}", id.id());
        }
        assert!(matches!(pipe.status(CheckId::Verdict), Status::NotRun(_)));
    }
    let required = Options { verdict: VerdictStep::Required, ..Options::default() };
    let refused = verify(Input::Pipe(&mut &good[..]), &required, Some(&RowsSayOk(1)), &TABLES);
    assert_eq!((codes(&refused), refused.exit()), (vec![(Code::Usage, Reason::Arguments)], 2));
}

#[test]
fn a31_a32_what_was_asked_for_and_did_not_run_is_no_success() {
    let pack = World::green().pack();
    let report = check(&pack);
    assert!(report.result_line().starts_with("INTACT, NOT AUTHENTICATED"), "A32");
    for options in [
        Options { require_signature: true, ..Options::default() },
        Options { allowed_signers: Some(Vec::new()), ..Options::default() },
        Options { require_attestation: vec!["x".into()], ..Options::default() },
    ] {
        assert_ne!(check_with(&pack, &options).exit(), 0, "{options:?}");
    }
    let mut broken = Archive::parse(&pack).expect("a right archive");
    broken.members.retain(|member| member.name != b"SHA256SUMS.txt");
    let expect = Options { expect_root: Some(Digest::of(b"x")), ..Options::default() };
    assert_ne!(check_with(&broken.bytes(), &expect).exit(), 0);
}

#[test]
fn a29_row_32_expectations() {
    let pack = World::green().pack();
    let root = check(&pack).root;
    let subject = |commit: String| Options { expect_subject: Some(commit), ..Options::default() };
    assert_eq!(check_with(&pack, &subject("a".repeat(40))).exit(), 0);
    assert_eq!(codes(&check_with(&pack, &subject("c".repeat(40)))), [(Code::Expect, Reason::Subject)]);
    assert_eq!(check_with(&pack, &Options { expect_root: root, ..Options::default() }).exit(), 0);
    let other = Options { expect_root: Some(Digest::of(b"x")), ..Options::default() };
    assert_eq!(codes(&check_with(&pack, &other)), [(Code::Expect, Reason::Root)]);
}

#[test]
fn ppk_17_a_dirty_run_is_packed_only_when_allowed_and_says_so() {
    let world = World::green();
    world.set_fact("/subject/dirty", json!(true));
    assert_eq!(refusal(world.try_build(|_| ())), (Code::Input, Reason::Dirty));
    let built = world.try_build(|options| options.allow_dirty = true).expect("allowed");
    let pack = std::fs::read(built.path).expect("was written");
    let report = check(&pack);
    assert!(report.exit() == 0 && report.result_line().contains("DIRTY"), "{}", report.result_line());
    let readme = Archive::parse(&pack).and_then(|mut a| a.member("README.txt").map(|m| m.data.clone()));
    assert!(String::from_utf8_lossy(&readme.expect("a README")).contains("DIRTY"));
    let subject = Options { expect_subject: Some("a".repeat(40)), ..Options::default() };
    assert_eq!(codes(&check_with(&pack, &subject)), [(Code::Expect, Reason::Dirty)]);
}

#[test]
fn ppk_17_unfit_runs_are_not_packed() {
    for (pointer, value, reason) in [
        ("/state", json!("PARTIAL"), Reason::Unfit),
        ("/state", json!("ABORTED"), Reason::Unfit),
        ("/loosened", json!(["PASS_RATIO_MIN"]), Reason::Unfit),
        ("/narrowed", json!(["--only"]), Reason::Unfit),
        ("/parts", json!([{"id": "pr-g0", "verdict": "PASS"}]), Reason::Unfit),
        ("/profile", json!("prod"), Reason::Field),
        ("/schema", json!("proofhouse.run/2"), Reason::Field),
        ("/state", json!("DONE"), Reason::Field),
        ("/rules", json!(-1), Reason::Field),
    ] {
        let world = World::green();
        world.set_fact(pointer, value);
        assert_eq!(refusal(world.try_build(|_| ())), (Code::Input, reason), "{pointer}");
    }
    let world = World::green();
    assert_eq!(refusal(world.try_build(|options| options.gate = "pr-g1")), (Code::Input, Reason::Unfit));
    assert_eq!(refusal(world.try_build(|options| options.gate = "pr-g9")), (Code::Input, Reason::Unfit));
    world.put("run.json", b"{\"schema\":1,\"schema\":2}");
    assert_eq!(refusal(world.try_build(|_| ())), (Code::Input, Reason::Json));
}

#[test]
fn ppk_17_each_member_of_the_run_is_needed_and_no_other_is_taken() {
    for path in [
        "environment.json",
        "policy/gate.json",
        "policy/leak-allow.json",
        "sbom.cdx.json",
        "toolchain.json",
        "evidence/verdict.json",
        "evidence/pr-g3/plan.json",
        "run.json",
    ] {
        let world = World::green();
        std::fs::remove_file(world.run().join(path)).expect("was written");
        let (code, reason) = refusal(world.try_build(|_| ()));
        assert!(code == Code::Input && matches!(reason, Reason::Missing | Reason::Read), "{path}: {reason}");
    }
    let world = World::green();
    world.put("evidence/pr-g4/heap.bin", b"x");
    assert_eq!(refusal(world.try_build(|_| ())), (Code::Input, Reason::Unknown));
    let world = World::green();
    world.put("evidence/pr-g5/pack.jsonl", b"results about the finished pack");
    let pack = world.pack();
    assert!(!pack.windows(14).any(|window| window == b"evidence/pr-g5"));
}

#[test]
fn ppk_5_unknown_facts_fail_the_build() {
    for (path, text) in [
        ("environment.json", "{\"hostname\":\"x\"}\n"),
        ("toolchain.json", "{}\n"),
        ("sbom.cdx.json", "{\"a\": 1}\n"),
        ("policy/gate.json", "{\"a\":1,\"a\":2}\n"),
    ] {
        let world = World::green();
        world.put(path, text.as_bytes());
        assert_eq!(refusal(world.try_build(|_| ())).0, Code::Manifest, "{path}");
    }
}

#[test]
fn ppk_18_an_extracted_pack_is_verified_from_step_5() {
    let world = World::green();
    let pack = world.pack();
    let folder = world.beside("extracted");
    extract(&pack, &folder);
    let tree = || verify(Input::Tree(&folder), &Options::default(), Some(&RowsSayOk(1)), &TABLES);
    let report = tree();
    assert_eq!((codes(&report), report.exit()), (vec![], 0), "{}", report.text());
    assert_eq!(report.root, check(&pack).root);
    put(&folder, "evidence/pr-g0/extra.log", b"x");
    assert_eq!(codes(&tree())[0], (Code::Set, Reason::Extra));
    std::fs::remove_file(folder.join("evidence/pr-g0/extra.log")).expect("is ours");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("verify.sh", folder.join("evidence/pr-g0/link.log")).expect("links can be made");
        assert_eq!(codes(&tree()), [(Code::Set, Reason::Extra)]);
        std::fs::remove_file(folder.join("evidence/pr-g0/link.log")).expect("is ours");
    }
    std::fs::remove_file(folder.join("replay.sh")).expect("is ours");
    assert_eq!(codes(&tree())[0], (Code::Set, Reason::Missing));
}

#[test]
fn ppk_29_other_rules_are_told_and_never_a_lie() {
    let pack = World::green().pack();
    let report = verify(Input::Bytes(&pack), &Options::default(), Some(&RowsSayOk(2)), &TABLES);
    assert_eq!((codes(&report), report.exit()), (vec![(Code::Underivable, Reason::Rules)], 6));
    let skip = Options { verdict: VerdictStep::Skip, ..Options::default() };
    assert_eq!(verify(Input::Bytes(&pack), &skip, Some(&RowsSayOk(2)), &TABLES).exit(), 0);
    assert_eq!(verify(Input::Bytes(&pack), &Options::default(), None, &TABLES).exit(), 0, "no judge, not asked for");
}

#[test]
fn ppk_18_a_file_that_is_no_file_is_refused_at_once() {
    let world = World::green();
    let report = verify(Input::File(&world.run()), &Options::default(), None, &TABLES);
    assert_eq!((codes(&report), report.exit()), (vec![(Code::Io, Reason::Special)], 2));
    let report = verify(Input::File(&world.beside("nothing")), &Options::default(), None, &TABLES);
    assert_eq!((codes(&report), report.exit()), (vec![(Code::Io, Reason::Read)], 2));
    let long = world.beside("long");
    std::fs::File::create(&long).and_then(|file| file.set_len((1 << 31) + 1)).expect("a sparse file");
    let report = verify(Input::File(&long), &Options::default(), None, &TABLES);
    assert_eq!(codes(&report), [(Code::Limit, Reason::Archive)]);
}

#[cfg(unix)]
#[test]
fn row_35_links_special_files_and_swapped_files_are_no_input() {
    use gates::proofpack::build::{BuildOptions, build};
    use gates::proofpack::leak::Literals;
    use std::os::unix::fs::symlink;
    let rows = "evidence/pr-g4/rows.jsonl";
    let plant = |how: &dyn Fn(&World)| {
        let world = World::green();
        how(&world);
        refusal(world.try_build(|_| ()))
    };
    let link = |world: &World| {
        let place = world.run().join(rows);
        std::fs::rename(&place, world.beside("rows")).expect("is ours");
        symlink(world.beside("rows"), place).expect("links can be made");
    };
    let folder_link = |world: &World| {
        let place = world.run().join("policy");
        std::fs::rename(&place, world.beside("policy")).expect("is ours");
        symlink(world.beside("policy"), place).expect("links can be made");
    };
    let socket = |world: &World| {
        let place = world.run().join("evidence/pr-g0/socket.log");
        std::os::unix::net::UnixListener::bind(place).expect("a socket file");
    };
    assert_eq!(plant(&link), (Code::Input, Reason::Link));
    assert_eq!(plant(&folder_link), (Code::Input, Reason::Link));
    assert_eq!(plant(&socket), (Code::Input, Reason::Special));
    #[cfg(target_os = "linux")]
    {
        let fifo = |world: &World| {
            let (place, mode) = (world.run().join("environment.json"), rustix::fs::Mode::RUSR);
            std::fs::remove_file(&place).expect("is ours");
            rustix::fs::mknodat(rustix::fs::CWD, place, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO");
        };
        assert_eq!(plant(&fifo), (Code::Input, Reason::Special));
    }
    let world = World::green();
    let literals = Literals::none();
    let options = BuildOptions::new("pr-g5", &literals, &TABLES);
    let swap = build(&world.run(), &world.out(), &options, &mut |path| {
        if path == rows {
            std::fs::write(world.beside("new"), b"{\"ok\":true,\"schema\":\"test.row/1\"}\n").expect("is ours");
            std::fs::rename(world.beside("new"), world.run().join(rows)).expect("is ours");
        }
    });
    assert_eq!(refusal(swap), (Code::Input, Reason::Changed));
    assert!(!world.out().exists(), "nothing was written");
}

#[test]
fn ppk_44_reprotest_of_a_built_pack() {
    let world = World::green();
    let first = world.build().path;
    let kept = world.beside("first.zip");
    std::fs::rename(&first, &kept).expect("is ours");
    for variation in reprotest::variations(reprotest::BUILDS) {
        let again =
            world.try_build(|options| (options.piece, options.reversed) = (variation.piece, variation.reversed));
        let again = again.expect("is fit").path;
        assert_eq!(reprotest::compare(&kept, &again), Ok(()), "{variation:?}");
        std::fs::remove_file(again).expect("is ours");
    }
    let mut planted = std::fs::read(&kept).expect("was written");
    planted[10] ^= 1;
    std::fs::write(&first, planted).expect("is ours");
    let fault = reprotest::compare(&kept, &first).expect_err("a clock byte was planted");
    assert_eq!((fault.code, fault.reason, fault.offset), (Code::Repro, Reason::Offset, Some(10)), "A55");
}

#[test]
fn a20_a22_a_verdict_that_its_evidence_does_not_bear() {
    // The run was judged PASS; then its rows were changed, and everything was hashed anew by `build`.
    let report = |rows: &[u8]| {
        let world = World::green();
        world.put("evidence/pr-g3/rows.jsonl", rows);
        check(&world.pack())
    };
    let red = report(b"{\"ok\":false,\"schema\":\"test.row/1\"}\n");
    assert_eq!((codes(&red)[0], red.exit()), ((Code::Verdict, Reason::Verdict), 1), "A20");
    let gone = report(b"");
    assert_eq!((codes(&gone), gone.exit()), (vec![(Code::Underivable, Reason::Underivable)], 6), "A22");
}
