//! `verify.sh` under three shells says what the Rust tree check says, on a good folder and on tampered ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use contract::digest::Digest;
use gates::proofpack::scripts::{TEMPLATES, template};
use gates::proofpack::tree::{CHECKS, Check, check_tree};
use tempfile::TempDir;

use crate::tool::{Tool, find};

/// Writes files and a hash list that names all of them.
fn good_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let long = format!("evidence/{}", "n".repeat(100));
    let deep = format!("evidence/{}x", "d/".repeat(14));
    let files = [
        ("MANIFEST.json", "{}\n"),
        ("evidence/_a+b@c=d,e-f.g", "odd but legal\n"),
        ("evidence/pr-g1/empty.bin", ""),
        ("evidence/pr-g1/rows.jsonl", "{\"n\":1}\n"),
        ("evidence/verdict.json", "{}\n"),
        ("policy/gate.json", "{}\n"),
        (long.as_str(), "long\n"),
        (deep.as_str(), "deep\n"),
    ];
    for (path, text) in files.into_iter().chain(TEMPLATES) {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("scratch folder takes folders");
        fs::write(file, text).expect("scratch folder takes files");
    }
    let mut paths: Vec<_> = files.into_iter().chain(TEMPLATES).map(|(path, _)| path.to_owned()).collect();
    paths.sort_unstable();
    write_list(folder.path(), &paths);
    folder
}

fn write_list(folder: &Path, paths: &[String]) {
    let line = |path: &String| format!("{}  {path}\n", Digest::of(&fs::read(folder.join(path)).unwrap_or_default()));
    write(folder, "SHA256SUMS.txt", paths.iter().map(line).collect::<String>());
}

fn write(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    fs::write(folder.join(path), text).expect("scratch folder takes files");
}

fn edit_list(folder: &Path, edit: impl Fn(&str) -> String) {
    let list = fs::read_to_string(folder.join("SHA256SUMS.txt")).expect("the good list is text");
    let edited = edit(&list);
    assert_ne!(list, edited, "the edit changes something");
    write(folder, "SHA256SUMS.txt", edited);
}

/// Adds a line for a path whose file need not exist, where it belongs in the order.
fn add_line(folder: &Path, path: &str) {
    edit_list(folder, |list| {
        let mut lines: Vec<_> = list.lines().map(str::to_owned).collect();
        lines.push(format!("{}  {path}", "0".repeat(64)));
        lines.sort_by(|a, b| a[66..].cmp(&b[66..]));
        lines.join("\n") + "\n"
    });
}

type Tamper = fn(&Path);

/// One changed thing a row, and the check that must see it.
const TAMPERED: [(&str, Check, Tamper); 40] = [
    ("list missing", Check::List, |f| fs::remove_file(f.join("SHA256SUMS.txt")).expect("it is there")),
    ("list empty", Check::List, |f| write(f, "SHA256SUMS.txt", "")),
    ("list is a link", Check::List, |f| {
        fs::rename(f.join("SHA256SUMS.txt"), f.join("evidence/list")).expect("same folder tree");
        symlink("evidence/list", f.join("SHA256SUMS.txt")).expect("scratch folder takes links");
    }),
    ("list over 8 MiB", Check::List, |f| edit_list(f, |list| list.repeat(1 + (8 << 20) / list.len()))),
    ("CRLF", Check::Bytes, |f| edit_list(f, |list| list.replace('\n', "\r\n"))),
    ("BOM", Check::Bytes, |f| edit_list(f, |list| format!("\u{feff}{list}"))),
    ("NUL", Check::Bytes, |f| edit_list(f, |list| format!("{list}\0\n"))),
    ("no final LF", Check::Bytes, |f| edit_list(f, |list| list.trim_end().to_owned())),
    ("upper-case hex", Check::Grammar, |f| edit_list(f, |list| format!("A{}", &list[1..]))),
    ("binary mark", Check::Grammar, |f| edit_list(f, |list| list.replacen("  ", " *", 1))),
    ("one space", Check::Grammar, |f| edit_list(f, |list| list.replacen("  ", " ", 1))),
    ("empty line", Check::Grammar, |f| edit_list(f, |list| list.replacen('\n', "\n\n", 1))),
    ("sha1 line", Check::Grammar, |f| edit_list(f, |list| list[24..].to_owned())),
    ("tagged line", Check::Grammar, |f| edit_list(f, |list| format!("SHA256 (a) = {list}"))),
    ("comment", Check::Grammar, |f| edit_list(f, |list| format!("{list}# {list}"))),
    ("hash without path", Check::Grammar, |f| edit_list(f, |list| format!("{list}{}  \n", "0".repeat(64)))),
    ("traversal", Check::Grammar, |f| add_line(f, "../x")),
    ("absolute", Check::Grammar, |f| add_line(f, "/x")),
    ("leading dash", Check::Grammar, |f| add_line(f, "evidence/-x")),
    ("dot component", Check::Grammar, |f| add_line(f, "evidence/./x")),
    ("empty component", Check::Grammar, |f| add_line(f, "evidence//x")),
    ("final dot", Check::Grammar, |f| add_line(f, "evidence/x.")),
    ("final slash", Check::Grammar, |f| add_line(f, "evidence/x/")),
    ("device name", Check::Grammar, |f| add_line(f, "evidence/Nul.txt")),
    ("component of 101", Check::Grammar, |f| add_line(f, &"n".repeat(101))),
    ("17 levels", Check::Grammar, |f| add_line(f, &format!("{}x", "d/".repeat(16)))),
    ("path of 241", Check::Grammar, |f| {
        add_line(f, &format!("{}{}", format!("{}/", "a".repeat(99)).repeat(2), "b".repeat(41)))
    }),
    ("list names itself", Check::Grammar, |f| add_line(f, "SHA256SUMS.txt")),
    ("list names its signature", Check::Grammar, |f| add_line(f, "SHA256SUMS.txt.sig")),
    ("unsorted", Check::Order, |f| {
        edit_list(f, |list| list.lines().rev().map(|line| format!("{line}\n")).collect());
    }),
    ("duplicate", Check::Order, |f| edit_list(f, |list| format!("{}\n{list}", list.lines().next().expect("a line")))),
    ("case", Check::Clash, |f| add_line(f, "manifest.JSON")),
    ("file and folder", Check::Clash, |f| add_line(f, "Policy")),
    ("no evidence", Check::Evidence, |f| {
        edit_list(f, |list| {
            list.lines().filter(|line| !line.contains("evidence/")).map(|line| format!("{line}\n")).collect()
        });
    }),
    ("link", Check::Special, |f| symlink("MANIFEST.json", f.join("link\u{1b}")).expect("scratch folder takes links")),
    ("odd name", Check::Name, |f| write(f, "evidence/\u{1b}[31m\n x\u{e9}", "")),
    ("missing", Check::Missing, |f| fs::remove_file(f.join("evidence/verdict.json")).expect("it is there")),
    ("folder in place of a file", Check::Missing, |f| {
        fs::remove_file(f.join("evidence/verdict.json")).expect("it is there");
        fs::create_dir(f.join("evidence/verdict.json")).expect("the name is free");
    }),
    ("hidden extra", Check::Extra, |f| write(f, "evidence/.hidden", "")),
    ("other bytes", Check::Hash, |f| write(f, "evidence/pr-g1/rows.jsonl", "{\"n\":2}\n")),
];

/// Runs `sh verify.sh` in the folder, and wants exit and text of the Rust check.
fn assert_agrees(shell: &Shell<'_>, folder: &Path, name: &str) {
    let (exit, text) = match check_tree(folder) {
        Ok(intact) => (0, intact.to_string()),
        Err(fault) => (i32::from(fault.exit()), fault.to_string()),
    };
    // A trusted copy, since the one in the folder may be gone or changed.
    let script = tempfile::tempdir().expect("a scratch folder");
    write(script.path(), "verify.sh", template("verify.sh").expect("it is a template"));
    let script = script.path().join("verify.sh").display().to_string();
    let folder_name = folder.display().to_string();
    let arguments: Vec<&str> = shell.applet.iter().copied().chain([script.as_str(), folder_name.as_str()]).collect();
    let variables: Vec<_> = shell.path.iter().map(|path| ("PATH", path.as_str())).collect();
    let outcome = shell.tool.run_with(Path::new("/"), &arguments, b"", &variables);
    let said = if exit == 0 { outcome.text() } else { outcome.stderr.clone() };
    assert_eq!((outcome.exit, said.trim_end()), (Some(exit), text.as_str()), "{name}: {outcome:?}");
}

/// A shell, how it is told to be one, and where it finds its programs (`None`: where everybody does).
struct Shell<'a> {
    tool: Tool,
    applet: &'a [&'a str],
    path: Option<String>,
}

fn agrees_under(shell: &Shell<'_>) {
    let good = good_folder();
    assert_eq!(check_tree(good.path()).map(|intact| intact.files), Ok(11));
    assert_agrees(shell, good.path(), "good");
    write(good.path(), "SHA256SUMS.txt.sig", "unlisted\n");
    write(good.path(), "attestation.intoto.jsonl", "unlisted\n");
    assert_agrees(shell, good.path(), "good and signed");
    for (name, check, tamper) in TAMPERED {
        let folder = good_folder();
        tamper(folder.path());
        let fault = check_tree(folder.path()).expect_err(name).to_string();
        assert!(fault.starts_with(&format!("FAIL {}: ", CHECKS[check as usize].word)), "{name}: {fault}");
        assert_agrees(shell, folder.path(), name);
    }
}

const AGREES: &str = "verify.sh agrees with the Rust tree check under this shell";

#[test]
fn ppk_25_verify_sh_under_dash() {
    let Some(tool) = find(&["dash"], AGREES) else { return };
    agrees_under(&Shell { tool, applet: &[], path: None });
}

#[test]
fn ppk_25_verify_sh_under_bash() {
    let Some(tool) = find(&["bash"], AGREES) else { return };
    agrees_under(&Shell { tool, applet: &[], path: None });
}

/// Not only its shell: awk, find, sort, xargs and the rest are those of busybox too.
#[test]
fn ppk_25_verify_sh_under_busybox() {
    let Some(tool) = find(&["busybox"], AGREES) else { return };
    let applets = tempfile::tempdir().expect("a scratch folder");
    for name in NEEDED.iter().chain(&["sha256sum", "xargs"]) {
        symlink(&tool.0, applets.path().join(name)).expect("scratch folder takes links");
    }
    agrees_under(&Shell { tool, applet: &["sh"], path: Some(applets.path().display().to_string()) });
}

#[test]
fn a_fifo_is_refused_without_being_opened() {
    let (Some(tool), Some(mkfifo)) = (find(&["dash"], "a fifo is refused"), find(&["mkfifo"], "a fifo is refused"))
    else {
        return;
    };
    let folder = good_folder();
    assert_eq!(mkfifo.run(folder.path(), &["evidence/pipe"]).exit, Some(0));
    assert_eq!(check_tree(folder.path()).expect_err("a fifo").to_string(), "FAIL special: evidence/pipe");
    assert_agrees(&Shell { tool, applet: &[], path: None }, folder.path(), "fifo");
}

#[test]
fn the_pack_s_own_copy_checks_its_own_folder() {
    let Some(dash) = find(&["dash"], "verify.sh finds its own folder") else { return };
    let folder = good_folder();
    let expected = check_tree(folder.path()).expect("the folder is good").to_string();
    for (from, script) in
        [(folder.path(), "verify.sh"), (Path::new("/"), &*folder.path().join("verify.sh").display().to_string())]
    {
        let outcome = dash.run(from, &[script]);
        assert_eq!((outcome.exit, outcome.text().trim_end()), (Some(0), expected.as_str()), "{outcome:?}");
    }
}

/// Programs that `verify.sh` needs beside a hash tool.
const NEEDED: [&str; 10] = ["awk", "cut", "dirname", "find", "sed", "sh", "sort", "tail", "tr", "wc"];

#[test]
fn a56_each_hash_tool_will_do_and_none_is_exit_2() {
    let Some(dash) = find(&["dash"], "verify.sh without a hash tool") else { return };
    let folder = good_folder();
    let expected = check_tree(folder.path()).expect("the folder is good").to_string();
    for (hash_tool, exit) in [(Some("sha256sum"), 0), (Some("shasum"), 0), (Some("openssl"), 0), (None, 2)] {
        let programs = tempfile::tempdir().expect("a scratch folder");
        for name in NEEDED.iter().chain(&["xargs"]).copied().chain(hash_tool) {
            let Some(Tool(program)) = find(&[name], "verify.sh with one hash tool only") else { return };
            symlink(program, programs.path().join(name)).expect("scratch folder takes links");
        }
        let path = programs.path().display().to_string();
        let outcome = dash.run_with(folder.path(), &["verify.sh"], b"", &[("PATH", &path)]);
        let text = if exit == 0 { expected.as_str() } else { "cannot check: none of sha256sum, shasum and openssl" };
        let said = if exit == 0 { outcome.text() } else { outcome.stderr.clone() };
        assert_eq!((outcome.exit, said.trim_end()), (Some(exit), text), "{hash_tool:?}: {outcome:?}");
    }
}

#[test]
fn verify_sh_writes_nothing() {
    let (Some(strace), Some(dash)) =
        (find(&["strace"], "verify.sh writes nothing"), find(&["dash"], "verify.sh writes nothing"))
    else {
        return;
    };
    let folder = good_folder();
    let trace = tempfile::tempdir().expect("a scratch folder");
    let log = trace.path().join("log").display().to_string();
    let dash = dash.0.display().to_string();
    let calls = "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,link";
    let outcome = strace.run(folder.path(), &["-f", "-qq", "-o", &log, "-e", calls, &dash, "verify.sh"]);
    if outcome.exit != Some(0) && outcome.stderr.contains("ptrace") {
        crate::tool::not_run("strace (tracing is not permitted here)", "verify.sh writes nothing");
        return;
    }
    assert_eq!(outcome.exit, Some(0), "{outcome:?}");
    let log = fs::read_to_string(log).expect("strace writes its log");
    let writes = |line: &&str| {
        ["O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "rename", "unlink", "creat(", "link("]
            .iter()
            .any(|word| line.contains(word))
    };
    let written: Vec<_> = log.lines().filter(writes).filter(|line| !line.contains("/dev/")).collect();
    assert!(log.lines().count() > 10 && written.is_empty(), "{written:?}");
}

#[test]
fn ppk_25_shellcheck_finds_nothing() {
    let Some(shellcheck) = find(&["shellcheck"], "verify.sh and replay.sh have no finding") else { return };
    for path in ["verify.sh", "replay.sh"] {
        let text = template(path).expect("it is a template");
        let outcome = shellcheck.run_with(Path::new("/"), &["-s", "sh", "-"], text.as_bytes(), &[]);
        assert_eq!(outcome.exit, Some(0), "{path}: {}", outcome.text());
    }
    let outcome = shellcheck.run_with(Path::new("/"), &["-s", "sh", "-"], b"#!/bin/sh\nrm $x\n", &[]);
    assert_eq!(outcome.exit, Some(1), "it does find an unquoted word");
}
