//! Rows 23 to 27, 32 to 34 and 36: attacks on set, list, manifest, verdict, scripts, and leaks.

use serde_json::{Value, json};

use super::super::codes::{Code, Reason as R};
use super::super::forge::Archive;
use super::super::layout::{
    self, EVIDENCE, LEAK_ALLOW, README, REPLAY_SH, SUMS, VERDICT, VERIFY_PS1, VERIFY_SH, WITHHELD,
};
use super::super::verify::Options;
use super::Mutant;
use super::forgery::{Base, Files};
use crate::check::Verdict;

/// A log that any run may have; leaks are planted in it.
const LOG: &str = "evidence/pr-g0/cargo-attack.log";
/// A volatile document that any run may have.
const DOCUMENT: &str = "evidence/pr-g0/attack.json";

/// The mutants of these rows.
pub(super) fn mutants(base: &Base) -> Vec<Mutant<'_>> {
    [sets(base), hashes(base), lists(base), manifests(base), texts(base), verdicts(base), scripts(base), leaks(base)]
        .into_iter()
        .flatten()
        .collect()
}

/// Row 23.
fn sets(base: &Base) -> Vec<Mutant<'_>> {
    let archive = |what, reason, change: fn(&mut Archive, &str)| {
        Mutant::pack(23, what, Code::Set, reason, move || base.archive(|archive| change(archive, base.evidence())))
    };
    let content = |what, reason, change: fn(&mut Files)| {
        Mutant::pack(23, what, Code::Set, reason, move || base.content(change).bytes())
    };
    vec![
        archive("evidence-gone", R::Missing, |archive, path| {
            archive.members.retain(|member| member.name != path.as_bytes())
        }),
        archive("evidence-unlisted", R::Extra, |archive, path| {
            let at = archive.members.iter().position(|member| member.name == path.as_bytes());
            if let Some(mut member) = at.and_then(|at| archive.members.get(at).cloned()) {
                member.name.extend_from_slice(b".log");
                let at = archive.members.partition_point(|other| other.name < member.name);
                archive.members.insert(at, member);
            }
        }),
        content("listed-stray", R::Extra, |files| put(files, "evil.txt", b"x")),
        content("listed-stray-in-policy", R::Extra, |files| put(files, "policy/other.json", b"{}\n")),
        content("script-gone-and-unlisted", R::Missing, |files| drop(files.remove(VERIFY_PS1))),
        content("allow-list-gone", R::Missing, |files| drop(files.remove(LEAK_ALLOW))),
        content("no-evidence-at-all", R::Empty, |files| {
            files.retain(|path, _| !path.starts_with(EVIDENCE) || path == VERDICT)
        }),
        content("withheld-list", R::Withheld, |files| put(files, WITHHELD, b"evidence/x\n")),
        archive("hash-list-gone", R::Missing, |archive, _| {
            archive.members.retain(|member| member.name != SUMS.as_bytes())
        }),
    ]
}

/// Row 24.
fn hashes(base: &Base) -> Vec<Mutant<'_>> {
    vec![
        Mutant::pack(24, "content-changed-crc-right", Code::Hash, R::Sha256, || {
            base.archive(|archive| {
                if let Some(member) = archive.member(README) {
                    member.data.push(b'\n');
                }
            })
        }),
        Mutant::pack(24, "crc-wrong", Code::Hash, R::Crc, || {
            base.archive(|archive| {
                if let Some(member) = archive.member(README) {
                    member.local.push((14, vec![1, 2, 3, 4]));
                    member.central.push((16, vec![1, 2, 3, 4]));
                }
            })
        }),
        Mutant::pack(24, "list-hash-wrong", Code::Hash, R::Sha256, || {
            base.content(|_| ())
                .list(|list| {
                    if let Some(digit) = list.first_mut() {
                        *digit = if *digit == b'0' { b'1' } else { b'0' };
                    }
                })
                .bytes()
        }),
        Mutant::pack(24, "manifest-size-wrong", Code::Hash, R::Size, || {
            base.content(|_| ()).manifest(|manifest| manifest["entries"][1]["size"] = json!(1)).bytes()
        }),
    ]
}

/// Row 25: each change of one line of the hash list.
fn lists(base: &Base) -> Vec<Mutant<'_>> {
    let line = |what, reason, change: fn(&str) -> String| {
        Mutant::pack(25, what, Code::Sums, reason, move || {
            let edit = |list: &mut Vec<u8>| *list = change(&String::from_utf8_lossy(list)).into_bytes();
            base.content(|_| ()).list(edit).bytes()
        })
    };
    vec![
        line("md5", R::Grammar, |list| edit_first(list, |line| line.get(32..).unwrap_or("").to_owned())),
        line("sha1", R::Grammar, |list| edit_first(list, |line| line.get(24..).unwrap_or("").to_owned())),
        line("tagged", R::Grammar, |list| {
            edit_first(list, |line| format!("SHA1 (MANIFEST.json) = {}", line.get(..40).unwrap_or("")))
        }),
        line("binary-mark", R::Grammar, |list| edit_first(list, |line| line.replacen("  ", " *", 1))),
        line("upper-case", R::Grammar, |list| {
            edit_first(list, |line| {
                let (hash, path) = line.split_at_checked(64).unwrap_or((line, ""));
                hash.to_uppercase() + path
            })
        }),
        line("crlf", R::Grammar, |list| list.replace('\n', "\r\n")),
        line("byte-order-mark", R::Grammar, |list| format!("\u{feff}{list}")),
        line("escaped-name", R::Grammar, |list| format!("\\{list}")),
        line("comment", R::Grammar, |list| format!("# list\n{list}")),
        line("no-final-line-end", R::Grammar, |list| list.trim_end().to_owned()),
        line("empty-line", R::Grammar, |list| format!("{list}\n")),
        line("parent-path", R::Grammar, |list| {
            edit_first(list, |line| line.replace("MANIFEST.json", "../MANIFEST.json"))
        }),
        line("duplicate", R::Duplicate, |list| format!("{}\n{list}", list.lines().next().unwrap_or(""))),
        line("unsorted", R::Order, |list| {
            let mut lines: Vec<&str> = list.lines().collect();
            lines.rotate_left(1);
            lines.join("\n") + "\n"
        }),
        line("empty", R::Empty, |_| String::new()),
    ]
}

fn edit_first(list: &str, change: fn(&str) -> String) -> String {
    let (line, rest) = list.split_once('\n').unwrap_or((list, ""));
    format!("{}\n{rest}", change(line))
}

/// Row 26: fields of the manifest.
fn manifests(base: &Base) -> Vec<Mutant<'_>> {
    let field = |what, reason, change: fn(&mut Value)| {
        Mutant::pack(26, what, Code::Manifest, reason, move || base.content(|_| ()).manifest(change).bytes())
    };
    vec![
        field("entry-hash", R::Mismatch, |m| m["entries"][2]["sha256"] = json!("0".repeat(64))),
        field("entry-gone", R::Mismatch, |m| drop(m["entries"].as_array_mut().map(Vec::pop))),
        field("entry-path", R::Mismatch, |m| m["entries"][0]["path"] = json!("README")),
        field("role", R::Field, |m| m["entries"][0]["role"] = json!("script")),
        field("class", R::Class, |m| m["entries"][0]["class"] = json!("volatile")),
        field("policy-digest", R::Mismatch, |m| m["gate"]["policy"] = json!("0".repeat(64))),
        field("plan-digest", R::Mismatch, |m| m["replay"]["plan_sha256"] = json!("0".repeat(64))),
        field("unknown-version", R::Field, |m| m["format"] = json!("proofpack/2")),
        field("unknown-profile", R::Field, |m| m["profile"] = json!("zip-deflated-1")),
        field("unknown-field", R::Field, |m| m["extra"] = json!(1)),
        field("missing-field", R::Field, |m| drop(m.as_object_mut().and_then(|m| m.remove("limits")))),
        field("larger-limit", R::Field, |m| m["limits"]["entries"] = json!(1_000_000)),
        field("replay-program", R::Field, |m| m["replay"]["argv"] = json!(["sh", "-c", "true"])),
        field("replay-environment", R::Field, |m| m["replay"]["env_allow"] = json!(["LD_PRELOAD"])),
        field("replay-seed", R::Field, |m| m["replay"]["master_seed"] = json!("0xffffffffffffffff")),
        field("withheld-class", R::Field, |m| m["entries"][3]["class"] = json!("withheld")),
        Mutant::pack(26, "evidence-digest", Code::Evidence, R::Digest, || {
            base.content(|_| ()).manifest(|m| m["evidence_digest"] = json!("0".repeat(64))).bytes()
        }),
    ]
}

/// Rows 26 and 27: the text of the manifest.
fn texts(base: &Base) -> Vec<Mutant<'_>> {
    let text = |row, what, change: fn(&str) -> String| {
        Mutant::pack(row, what, Code::Manifest, R::Canonical, move || {
            let edit = |text: &mut Vec<u8>| *text = change(&String::from_utf8_lossy(text)).into_bytes();
            base.content(|_| ()).text(edit).bytes()
        })
    };
    let insert = |value: &'static str| move |text: &str| text.replacen('{', &format!("{{\"a\":{value},"), 1);
    let inserted = |what, value: &'static str| {
        Mutant::pack(26, what, Code::Manifest, R::Canonical, move || {
            let edit = |text: &mut Vec<u8>| *text = insert(value)(&String::from_utf8_lossy(text)).into_bytes();
            base.content(|_| ()).text(edit).bytes()
        })
    };
    vec![
        text(26, "duplicate-key", |text| text.replacen("{\"entries\"", "{\"entries\":[],\"entries\"", 1)),
        text(26, "keys-unsorted", |text| text.replacen('{', "{\"zz\":1,", 1)),
        text(26, "space", |text| text.replacen(':', ": ", 1)),
        inserted("not-a-number", "NaN"),
        inserted("float", "1.5"),
        inserted("large-integer", "9007199254740993"),
        inserted("depth", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"),
        inserted("non-ascii", "\"\u{e9}\""),
        text(27, "bytes-behind", |text| format!("{text}x")),
        text(27, "second-document", |text| format!("{text}{text}")),
        text(27, "no-line-end", |text| text.trim_end().to_owned()),
        text(27, "byte-order-mark", |text| format!("\u{feff}{text}")),
        text(27, "lone-surrogate", |text| text.replacen('{', "{\"a\":\"\\ud800\",", 1)),
    ]
}

/// Rows 32 and 33.
fn verdicts(base: &Base) -> Vec<Mutant<'_>> {
    let lie = if base.manifest.gate.verdict == Verdict::Pass { "FAIL" } else { "PASS" };
    let manifest = move || {
        let change = |m: &mut Value| {
            let parts = m["gate"]["parts"].as_array_mut().map(Vec::as_mut_slice).unwrap_or(&mut []);
            parts.iter_mut().for_each(|part| part["verdict"] = json!(lie));
            m["gate"]["verdict"] = json!(lie);
        };
        base.content(|_| ()).manifest(change).bytes()
    };
    let report = move || {
        base.content(|files| {
            if let Some(bytes) = files.get_mut(VERDICT) {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let word = format!("\"{}\"", base.manifest.gate.verdict.word());
                *bytes = text.replacen(&word, &format!("\"{lie}\""), 1).into_bytes();
            }
        })
        .bytes()
    };
    let added = move || {
        base.content(|files| {
            if let Some(bytes) = files.get_mut(VERDICT) {
                let text = String::from_utf8_lossy(bytes).into_owned();
                *bytes = text.replacen('{', "{\"reviewed\":true,", 1).into_bytes();
            }
        })
        .bytes()
    };
    let other = "f".repeat(base.manifest.subject.git_commit.as_str().len());
    let old = Options { expect_subject: Some(other), ..Options::default() };
    vec![
        Mutant::pack(32, "other-commit", Code::Expect, R::Subject, || base.archive.bytes()).with(old),
        Mutant::pack(33, "verdict-in-the-manifest", Code::Verdict, R::Verdict, manifest),
        Mutant::pack(33, "verdict-in-the-report", Code::Verdict, R::Pointer, report),
        Mutant::pack(33, "field-in-the-report", Code::Verdict, R::Pointer, added),
    ]
}

/// Row 34.
fn scripts(base: &Base) -> Vec<Mutant<'_>> {
    let changed = |path: &'static str, reason| {
        Mutant::pack(
            34,
            format!("changed-{}", path.replace('.', "-").to_lowercase()),
            Code::Script,
            reason,
            move || {
                let change = |files: &mut Files| files.entry(path.into()).or_default().extend_from_slice(b"# x\n");
                // The README follows from the manifest, so a changed one is put in after the manifest was described.
                base.content(change).bytes()
            },
        )
    };
    vec![
        changed(VERIFY_SH, R::Template),
        changed(VERIFY_PS1, R::Template),
        changed(REPLAY_SH, R::Template),
        changed(README, R::Readme),
    ]
}

/// Row 36. The texts are put together here, so that this file holds none of them.
fn leaks(base: &Base) -> Vec<Mutant<'_>> {
    let posix = || format!("/{}/alice/notes/x", "home");
    let drive = || format!("C{}Users{}alice", ":\\", "\\");
    let log = |what, text: String| {
        Mutant::pack(36, what, Code::Leak, R::Found, move || {
            base.content(|files| put(files, LOG, format!("see {text} there\n").as_bytes())).bytes()
        })
    };
    let utf16 = Mutant::pack(36, "utf-16", Code::Leak, R::Found, move || {
        let bytes: Vec<u8> = posix().encode_utf16().flat_map(u16::to_le_bytes).collect();
        base.content(|files| put(files, LOG, &[b"\xff\xfe", &bytes[..]].concat())).bytes()
    });
    let escaped = Mutant::pack(36, "json-escaped", Code::Leak, R::Found, move || {
        base.content(|files| put(files, DOCUMENT, format!("{}\n", json!({"note": drive()})).as_bytes())).bytes()
    });
    let stale = Mutant::pack(36, "stale-allow-entry", Code::Leak, R::Stale, || {
        let entry = json!([{"count": 7, "path": layout::ENVIRONMENT, "reason": "none", "rule": "L2"}]);
        base.content(|files| put(files, LEAK_ALLOW, format!("{entry}\n").as_bytes())).bytes()
    });
    vec![
        log("posix", posix()),
        log("drive", drive()),
        log("unc", format!("{0}{0}server{0}share{0}x", "\\")),
        log("file-url", format!("file:{}{}", "//", posix())),
        log("percent-encoded", posix().replace('/', "%2F")),
        log("private-key", format!("-----BEGIN OPENSSH {} KEY-----", "PRIVATE")),
        log("access-key", format!("{}IA{}", "AK", "ABCDEFGHIJKLMNOP")),
        log("token", format!("{}_{}", "ghp", "a1B2".repeat(9))),
        utf16,
        escaped,
        stale,
    ]
}

fn put(files: &mut Files, path: &str, bytes: &[u8]) {
    files.insert(path.to_owned(), bytes.to_vec());
}
