//! The leak lint: finds machine paths and secrets in bytes that are about to leave the machine (PPK-39, PPK-40).
//!
//! One scanner serves the pack (`scan` with [`Tally`]), the repository (`portable`) and the logs of tools (`scrub`).
//! A file is turned into one or more *views* (JSON escapes decoded, percent signs decoded, UTF-16 narrowed), and one
//! matcher runs over each. Every step is linear in the input; nothing here is a regular expression, because the same
//! code must get through tens of megabytes of rows in an unoptimised build.

pub mod allow;
mod matcher;
mod paths;
pub mod portable;
pub mod scrub;
mod secrets;
mod view;

use std::fmt;

use memchr::memmem;

/// Which kind of leak; the name is public (allow-lists cite it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// POSIX path under one of the listed roots.
    L1,
    /// Drive path.
    L2,
    /// UNC path.
    L3,
    /// `file:` URL.
    L4,
    /// User, host or folder of the machine that builds the pack, as a whole word.
    L5,
    /// Secret.
    L6,
    /// One of the others, written in UTF-16 or with percent signs.
    L7,
}

/// The rules with their names and what each finds.
pub const RULES: [(Rule, &str, &str); 7] = [
    (Rule::L1, "L1", "POSIX path of a machine"),
    (Rule::L2, "L2", "drive path"),
    (Rule::L3, "L3", "UNC path"),
    (Rule::L4, "L4", "file URL"),
    (Rule::L5, "L5", "user, host or folder of this machine"),
    (Rule::L6, "L6", "secret"),
    (Rule::L7, "L7", "leak in UTF-16 or percent-encoded"),
];

impl Rule {
    /// The public name, `L1` to `L7`.
    #[must_use]
    pub fn name(self) -> &'static str {
        RULES[self as usize].1
    }

    /// What the rule finds, as a fragment.
    #[must_use]
    pub fn summary(self) -> &'static str {
        RULES[self as usize].2
    }

    /// The rule of a public name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        RULES.iter().find(|(_, id, _)| *id == name).map(|(rule, ..)| *rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One leak. It never holds the text that leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Byte offset in the scanned bytes.
    pub offset: u64,
    /// A little of the line before the match, then `<masked>`; printable ASCII.
    pub masked_context: String,
}

/// The words of the building machine that rule L5 looks for. Empty means that L5 is not run.
#[derive(Debug, Default)]
pub struct Literals(Vec<Literal>);

#[derive(Debug)]
struct Literal {
    finder: memmem::Finder<'static>,
    is_path: bool,
}

/// Names too short or too common to be searched: they would hit ordinary words (PPK-39).
const COMMON_NAMES: [&str; 8] = ["root", "user", "admin", "runner", "ubuntu", "debian", "build", "localhost"];
const NAME_BYTES_MIN: usize = 4;

impl Literals {
    /// No literals: for a pack from elsewhere, whose machine is unknown.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// User and host names, and folders (home, workspace, cargo home) as absolute paths.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, folders: impl IntoIterator<Item = &'a str>) -> Self {
        let searched = |name: &&str| {
            name.len() >= NAME_BYTES_MIN && !COMMON_NAMES.iter().any(|common| common.eq_ignore_ascii_case(name))
        };
        let names = names.into_iter().filter(searched).map(|name| (name, false));
        // A folder of one separator would match every absolute path, and `/` says nothing about a machine.
        let folders = folders.into_iter().map(|path| path.trim_end_matches(['/', '\\']));
        let folders = folders.filter(|path| path.len() > 1).map(|path| (path, true));
        let literal =
            |(text, is_path): (&str, bool)| Literal { finder: memmem::Finder::new(text).into_owned(), is_path };
        Self(names.chain(folders).map(literal).collect())
    }

    /// Whether rule L5 has nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Scans one file, or one row of a row file (offsets then count from the row's first byte).
///
/// `path` only decides how the bytes are read: names ending in `.json` or `.jsonl` are scanned with their escapes
/// decoded. Findings are ordered by offset, then rule; one place gives one finding a rule.
#[must_use]
pub fn scan(path: &str, bytes: &[u8], literals: &Literals) -> Vec<Finding> {
    let spans = spans(path, bytes, literals);
    let mut previous_end = 0;
    let mut findings = Vec::with_capacity(spans.len());
    for span in &spans {
        let masked_context = context(bytes, previous_end, span.start);
        findings.push(Finding { rule: span.rule, offset: span.start as u64, masked_context });
        previous_end = previous_end.max(span.end);
    }
    findings
}

/// A match in the scanned bytes themselves, whatever view it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: usize,
    rule: Rule,
    end: usize,
}

fn spans(path: &str, bytes: &[u8], literals: &Literals) -> Vec<Span> {
    let mut all = Vec::new();
    for view in view::views(path, bytes) {
        for hit in matcher::matches(&view, literals) {
            let rule = if view.is_plain() { hit.rule } else { Rule::L7 };
            if view.is_plain() || view.is_altered(hit.start, hit.end) {
                all.push(Span { start: view.source(hit.start), rule, end: view.source(hit.end) });
            }
        }
    }
    all.sort_unstable();
    all.dedup_by_key(|span| (span.start, span.rule));
    all
}

/// How much of the line before a match is shown.
const CONTEXT_BYTES: usize = 24;

/// What stands before the match on its line, without anything another match covers.
fn context(bytes: &[u8], from: usize, at: usize) -> String {
    let before = bytes.get(from.max(at.saturating_sub(CONTEXT_BYTES)).min(at)..at).unwrap_or(&[]);
    let line = memchr::memrchr(b'\n', before).map_or(before, |end| &before[end + 1..]);
    let shown = line.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' });
    shown.chain("<masked>".chars()).collect()
}

/// Samples are written with `@` for a slash, `^` for a backslash and `#` for a percent sign, so that the sources of the
/// lint hold no leak themselves.
#[cfg(test)]
fn real(sample: &str) -> String {
    sample.replace('@', "/").replace('^', "\\").replace('#', "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rules found in a sample, in order.
    fn rules(path: &str, sample: &str) -> Vec<Rule> {
        let text = real(sample);
        scan(path, text.as_bytes(), &Literals::none()).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn l1_to_l4_find_paths_of_a_machine() {
        for (text, rule) in [
            ("@home@bob@x", Rule::L1),
            ("at @Users@ann@src@main.rs:12:5", Rule::L1),
            ("PATH=@usr@bin:@opt@x", Rule::L1),
            ("\"@workspace@a\"", Rule::L1),
            ("<path>@tmp@.x</path>", Rule::L1),
            ("-L@builds@group", Rule::L1),
            ("see (@runner@_work)", Rule::L1),
            ("@@home@@bob", Rule::L1),
            ("\u{201c}@home@bob\u{201d}", Rule::L1),
            ("@home@\u{e9}mile", Rule::L1),
            ("https:@@a.example@x,@home@bob", Rule::L1),
            ("C:^x", Rule::L2),
            ("in d:@work", Rule::L2),
            ("\"C:^^new\"", Rule::L2),
            ("^^server^share", Rule::L3),
            ("\"^^^^server^^share\"", Rule::L3),
            ("^^?^C", Rule::L3),
            ("file:@@@etc@x", Rule::L4),
            ("FILE:@x", Rule::L4),
        ] {
            assert_eq!(rules("notes.txt", text), [rule], "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_no_leak() {
        for text in [
            "and@or, a@b, 3@4, 2026@11@20, 50@50 @ 2",
            "text@data@x and .@tmp@x and ..@var@y and ~@work@z and $HOME@build@x",
            "<workspace>@build@x <tmp>@data@y <masked>",
            "{root}@data@x ${X}@opt@y *@build@out",
            "GET @healthz, @etc@hosts, @usr@bin@env, @homes@x, @tmp, @home@, @home@<user>, @home@...",
            "he said: no. a:b c: d e:^n f:^t\" x:^",
            "the secret: kindness. password = asked for; token=short; secret=plainwordonly",
            "\\n\\t \\\\n\\\\t \\d+\\w \\u00e9\\u00e8 \\\\u00e9\\\\u00e8",
            "profile:@x file: @usr file:@@@ file:name",
            "eyJ eyJhbGciOiJIUzI1NiJ9 ghp_ xoxb- AKIA AKIA1234567890ABCDEFG github_pat_",
            "100#2 50#of #zz #2",
        ] {
            assert_eq!(rules("notes.txt", text), [], "{text}");
        }
    }

    #[test]
    fn a46_a_url_is_no_leak() {
        for text in [
            "https:@@example.org@home@bob@x",
            "see <http:@@h:8080@data@x?next=@home@bob>.",
            "git+ssh:@@host@srv@git@repo",
            "https:@@x.example@?d=C:@a",
            "https:@@x.example@?p=#2Fhome#2Fbob",
        ] {
            assert_eq!(rules("notes.txt", text), [], "{text}");
            assert_eq!(rules("rows.jsonl", &format!("{{\"url\":\"{text}\"}}")), [], "{text}");
        }
    }

    #[test]
    fn a44_a_home_path_in_a_row_is_found_at_its_offset() {
        let row = "{\"n\":1,\"dir\":\"@home@bob@x\"}\n".replace('@', "/");
        let found = scan("evidence/pr-g4/rows.jsonl", row.as_bytes(), &Literals::none());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].rule, found[0].offset), (Rule::L1, 14));
        assert_eq!(found[0].masked_context, "{\"n\":1,\"dir\":\"<masked>");
    }

    #[test]
    fn a45_json_is_scanned_after_decoding() {
        assert_eq!(rules("r.jsonl", r#"{"note":"e:\n"}"#), []);
        assert_eq!(rules("r.jsonl", r#"{"note":"e:^nfoo"}"#), []);
        assert_eq!(rules("r.jsonl", r#"{"note":"C:^^x"}"#), [Rule::L2]);
        assert_eq!(rules("r.jsonl", r#"{"note":"C:^^n"}"#), [Rule::L2]);
        assert_eq!(rules("r.jsonl", r#"{"note":"^^^^server^^share"}"#), [Rule::L3]);
        assert_eq!(rules("r.jsonl", r#"{"note":"^@home^@bob"}"#), [Rule::L1]);
        assert_eq!(rules("r.jsonl", r#"{"note":"^u002fhome^u002Fbob"}"#), [Rule::L1]);
        assert_eq!(rules("r.json", r#"{"note":"{^"p^":^"C:^^^^x^"}"}"#), [Rule::L2], "JSON inside JSON");
        assert_eq!(rules("tool.log", r#"{"note":"^@home^@bob"}"#), [Rule::L1], "JSON under another name");
    }

    #[test]
    fn l5_finds_whole_words_of_this_machine() {
        let home = "/srv2/people/mira";
        let literals = Literals::new(["mira", "bob", "runner", "orion-7"], [home, "/"]);
        let found = |text: &str| scan("a.txt", text.as_bytes(), &literals).len();
        assert_eq!(found("mira wrote"), 1);
        assert_eq!(found("host=orion-7"), 1);
        assert_eq!(found("admiral miraculous mira_2"), 0);
        assert_eq!(found("bob and the runner"), 0, "short and common names are not searched");
        assert_eq!(found("/srv2/people"), 0);
        assert_eq!(scan("a.txt", format!("in {home}/x").as_bytes(), &literals)[0].rule, Rule::L5);
        assert!(Literals::new(["bob"], ["/"]).is_empty());
    }

    #[test]
    fn l6_finds_secrets() {
        let key_header = ["-----BEGIN OPENSSH", " PRIVATE KEY-----"].concat();
        let jwt = ["eyJhbGciOiJIUzI1NiJ9.", "eyJzdWIiOiIxMjM0NTY3ODkwIn0.", "dozjgNryP4J3jVmNHl0w5N"].concat();
        let letters = "abcdefghij0123456789";
        for text in [
            key_header,
            ["AKIA", "1234567890ABCDEF"].concat(),
            format!("ghp_{letters}"),
            format!("github_pat_{letters}"),
            format!("xoxb-{letters}"),
            jwt,
            format!("token={letters}"),
            format!("OPENAI_API_KEY={letters}"),
            format!("https://x.example/?api_key={letters}"),
            "{\"password\":\"hunter\"}".to_owned(),
            "{\"apiKey\" : \"hunter\"}".to_owned(),
        ] {
            assert_eq!(rules("a.json", &text), [Rule::L6], "{text}");
        }
        for text in ["{\"password\":\"\"}", "{\"token\":5}", "{\"secret\":\"<masked>\"}", "{\"tokens\":\"a\"}"] {
            assert_eq!(rules("a.json", text), [], "{text}");
        }
    }

    #[test]
    fn l7_finds_other_encodings() {
        let wide = |text: &str, little: bool| -> Vec<u8> {
            let units = text.replace('@', "/").encode_utf16().collect::<Vec<_>>();
            units.iter().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        };
        for little in [true, false] {
            for odd in [0, 1] {
                let mut bytes = b"xyz"[..2 + odd].to_vec();
                bytes.extend(wide("at @home@bob \u{e9}", little));
                let found = scan("blob.bin", &bytes, &Literals::none());
                assert_eq!(found.len(), 1, "{little} {odd}");
                assert_eq!((found[0].rule, found[0].offset), (Rule::L7, (2 + odd + 6 + usize::from(!little)) as u64));
            }
        }
        assert_eq!(rules("a.txt", "p=#2Fhome#2fbob"), [Rule::L7]);
        assert_eq!(rules("a.txt", "file#3A#2F#2F#2Fx"), [Rule::L7]);
        assert_eq!(rules("a.txt", "C#3A#5Cx"), [Rule::L7]);
        assert_eq!(rules("a.json", r#"{"p":"^u0025252Fhome#2Fbob"}"#), [], "one level of percent signs is decoded");
        assert_eq!(rules("a.txt", "@home@bob 5%20x"), [Rule::L1], "an unchanged match is not found twice");
    }

    #[test]
    fn contexts_never_hold_a_match() {
        let text = real("@home@bob:@home@ann,C:^secret,@tmp@zed\u{7}");
        let found = scan("a.txt", text.as_bytes(), &Literals::none());
        assert_eq!(found.len(), 4);
        for finding in found {
            for word in ["bob", "ann", "secret", "zed"] {
                assert!(!finding.masked_context.contains(word), "{}", finding.masked_context);
            }
        }
    }

    #[test]
    fn hostile_runs_take_linear_work() {
        // Each of these makes a look-ahead or look-back that is not bounded quadratic: at 2 MB that would be hours.
        for piece in [
            "/",
            "\\",
            "a://",
            "eyJ.",
            "eyJ",
            "/home/",
            "\"",
            "=",
            "%2F",
            "token=",
            "file:/",
            "\\u",
            "<tmp>",
            "-----BEGIN ",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            let found = scan("a.txt", text.as_bytes(), &Literals::new(["aaaa"], [real("@home@bob").as_str()]));
            assert!(found.len() <= text.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_scanned(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"/\\:%u0=\"\0 home2F"[..])], 0..200)) {
            for path in ["a.json", "a.txt"] {
                for finding in scan(path, &bytes, &Literals::new(["orion"], [])) {
                    prop_assert!(finding.offset < bytes.len() as u64);
                    prop_assert!(finding.masked_context.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                }
            }
        }
    }

    #[test]
    fn rule_names_are_the_table() {
        for (at, (rule, name, _)) in RULES.iter().enumerate() {
            assert_eq!((*rule as usize, rule.name(), Rule::parse(name)), (at, *name, Some(*rule)));
        }
        assert_eq!(Rule::parse("L8"), None);
    }
}
