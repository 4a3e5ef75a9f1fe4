//! Other people's archive readers and coreutils agree with us about a pack that was really built (PPK-45).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gates::proofpack::forge::Archive;
use gates::proofpack::tree::check_tree;

use crate::tool::{Outcome, Tool, find, python};
use crate::world::World;

/// A pack on disk, what is in it by our own reader, and a copy with one byte of one file changed.
struct Packed {
    world: World,
    pack: PathBuf,
    damaged: PathBuf,
    root: String,
    members: BTreeMap<String, Vec<u8>>,
}

fn packed() -> Packed {
    let world = World::green();
    let built = world.build();
    let bytes = fs::read(&built.path).expect("the pack was written");
    let archive = Archive::parse(&bytes).expect("our own pack is a right archive");
    let members = archive.members.iter().map(|m| (String::from_utf8(m.name.clone()).expect("ASCII"), m.data.clone()));
    let members: BTreeMap<_, _> = members.collect();
    let needle = &members["evidence/pr-g0/rows.jsonl"];
    let at =
        bytes.windows(needle.len()).position(|window| window == needle.as_slice()).expect("members are stored raw");
    let mut damaged = bytes;
    damaged[at + 12] ^= 1;
    let place = world.beside("damaged.zip");
    fs::write(&place, damaged).expect("files can be written");
    Packed { pack: built.path, damaged: place, root: built.root.to_string(), members, world }
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(parent) = pending.pop() {
        for entry in fs::read_dir(&parent).expect("a folder that was extracted") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below the folder").display().to_string();
                found.insert(name, fs::read(path).expect("a file that was extracted"));
            }
        }
    }
    found
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A reader tests a pack, extracts it, and finds a damaged one.
fn assert_reads(tool: &Tool, test: &[&str], extract: &dyn Fn(&str, &str) -> Vec<String>) {
    let Packed { world, pack, damaged, members, .. } = packed();
    let run = |arguments: &[String]| -> Outcome { tool.run(&world.beside(""), arguments) };
    let tested = |pack: &Path| {
        let arguments: Vec<String> = test.iter().map(|&word| word.to_owned()).chain([text(pack)]).collect();
        run(&arguments)
    };
    let good = tested(&pack);
    assert_eq!(good.exit, Some(0), "{tool:?}: {good:?}");
    // `zipfile -t` names the bad member and exits 0, so words count as well as exits.
    let bad = tested(&damaged);
    let said = bad.text() + &bad.stderr;
    assert!(
        bad.exit != Some(0) || said.contains("evidence/pr-g0/rows.jsonl"),
        "{tool:?} takes a damaged pack: {bad:?}"
    );
    let to = world.beside("extracted");
    fs::create_dir(&to).expect("the name is free");
    let outcome = run(&extract(&text(&pack), &text(&to)));
    assert_eq!(outcome.exit, Some(0), "{tool:?}: {outcome:?}");
    assert!(files(&to) == members, "{tool:?}: same names and bytes");
    check_tree(&to).expect("what others extract is intact");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn ppk_45_info_zip() {
    let Some(unzip) = find(&["unzip"], "Info-ZIP reads a pack") else { return };
    assert_reads(&unzip, &["-tqq"], &|pack, to| words(&["-q", pack, "-d", to]));
}

#[test]
fn ppk_45_python_zipfile() {
    let Some(python) = python("Python reads a pack") else { return };
    assert_reads(&python, &["-m", "zipfile", "-t"], &|pack, to| words(&["-m", "zipfile", "-e", pack, to]));
}

#[test]
fn ppk_45_seven_zip() {
    let Some(seven) = find(&["7zz", "7z"], "7-Zip reads a pack") else { return };
    assert_reads(&seven, &["t"], &|pack, to| words(&["x", &format!("-o{to}"), pack]));
}

#[test]
fn ppk_45_bsdtar() {
    let Some(bsdtar) = find(&["bsdtar"], "libarchive reads a pack") else { return };
    assert_reads(&bsdtar, &["-xOf"], &|pack, to| words(&["-xf", pack, "-C", to]));
    let Packed { world, pack, members, .. } = packed();
    let all = bsdtar.run(&world.beside(""), &["-xOf", &text(&pack)]).stdout;
    assert!(all == members.into_values().collect::<Vec<_>>().concat(), "the bytes of all members in order");
}

#[test]
fn a14_coreutils_give_the_root() {
    let Packed { world, root, members, .. } = packed();
    let (Some(sha256sum), Some(sh)) =
        (find(&["sha256sum"], "the root by coreutils"), find(&["sh"], "the root by coreutils"))
    else {
        return;
    };
    let folder = world.beside("extracted");
    for (path, bytes) in &members {
        crate::world::put(&folder, path, bytes);
    }
    let check = ["-c", "--strict", "--quiet", "SHA256SUMS.txt"];
    let outcome = sha256sum.run(&folder, &check);
    assert_eq!((outcome.exit, outcome.text().as_str(), outcome.stderr.as_str()), (Some(0), "", ""));
    assert!(sha256sum.run(&folder, &["SHA256SUMS.txt"]).text().starts_with(&root));
    let pipeline = "cut -c67- SHA256SUMS.txt | xargs sha256sum | sha256sum";
    assert!(sh.run(&folder, &["-c", pipeline]).text().starts_with(&root), "dirHash");
    assert!(sh.run(&folder, &["verify.sh"]).text().ends_with(&format!(" files, root {root}\n")));
    crate::world::put(&folder, "evidence/pr-g0/rows.jsonl", b"{}\n");
    assert_eq!(sha256sum.run(&folder, &check).exit, Some(1));
}

#[test]
fn ppk_45_strip_nondeterminism_changes_nothing() {
    let Some(strip) = find(&["strip-nondeterminism"], "nothing to normalise in a pack") else { return };
    let Packed { world, pack, .. } = packed();
    let before = fs::read(&pack).expect("the pack was written");
    let copy = world.beside("copy.zip");
    fs::write(&copy, &before).expect("files can be written");
    let outcome = strip.run(&world.beside(""), &["-t", "zip", &text(&copy)]);
    // It can fail and leave the file as it was, so its exit and its words count too.
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    assert!(fs::read(&copy).expect("the copy is there") == before, "no byte changed");
    // And it does change an archive with a time in it, so it was really at work.
    let mut dated = before.clone();
    dated[12] ^= 1;
    fs::write(&copy, &dated).expect("files can be written");
    strip.run(&world.beside(""), &["-t", "zip", &text(&copy)]);
    assert!(fs::read(&copy).expect("the copy is there") != dated, "it rewrites a file time");
}
