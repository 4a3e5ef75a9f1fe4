//! Which member names are legal (PPK-10 to PPK-12), and which may stand together.

use std::collections::HashSet;

use super::codes::Reason;

/// Longest path in bytes.
pub const PATH_MAX: usize = 240;
/// Longest component in bytes.
pub const COMPONENT_MAX: usize = 100;
/// Most components in a path.
pub const DEPTH_MAX: usize = 16;

/// Device names of Windows that the character set lets through; `CONIN$` and `CONOUT$` fail on their `$`.
const DEVICES: [&str; 24] = [
    "CON", "PRN", "AUX", "NUL", "COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9", "LPT0",
    "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// Checks one name by itself; the first broken rule in the order of PPK-11 is the answer.
///
/// # Errors
/// The reason word of `E_NAME`.
pub fn check(name: &[u8]) -> Result<&str, Reason> {
    check_length(name.len())?;
    let text = std::str::from_utf8(name).ok().filter(|text| text.is_ascii()).ok_or(Reason::NonAscii)?;
    let components = || text.split('/');
    let rules: [(bool, Reason); 6] = [
        (text.starts_with('/'), Reason::Absolute),
        (!name.iter().all(|&byte| byte == b'/' || in_charset(byte)), Reason::Charset),
        (components().any(|component| component == ".."), Reason::Traversal),
        (!components().all(is_component), Reason::Component),
        (components().count() > DEPTH_MAX, Reason::Depth),
        (components().any(is_device), Reason::Reserved),
    ];
    match rules.iter().find(|(broken, _)| *broken) {
        Some((_, reason)) => Err(*reason),
        None => Ok(text),
    }
}

/// The length rule alone: it is asked before a name is read.
///
/// # Errors
/// [`Reason::Length`].
pub fn check_length(length: usize) -> Result<(), Reason> {
    if (1..=PATH_MAX).contains(&length) { Ok(()) } else { Err(Reason::Length) }
}

fn in_charset(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+@=,-".contains(&byte)
}

fn is_component(component: &str) -> bool {
    let leads = |byte: u8| !b".-".contains(&byte);
    component.len() <= COMPONENT_MAX && component.bytes().next().is_some_and(leads) && !component.ends_with('.')
}

fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component);
    DEVICES.iter().any(|device| device.eq_ignore_ascii_case(stem))
}

/// Names seen so far, for the rules between names: ascending, distinct but for case, no file where a folder is.
#[derive(Debug, Default)]
pub struct NameSet {
    last: String,
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl NameSet {
    /// Takes the next name of the archive, which has passed [`check`].
    ///
    /// Names are compared in lower case, so that no file system folds two members into one or a file into a folder.
    ///
    /// # Errors
    /// `Order` or `Duplicate` (`E_ORDER`), then `Case` or `Prefix` (`E_NAME`).
    pub fn push(&mut self, name: &str) -> Result<(), Reason> {
        match self.last.as_str().cmp(name) {
            std::cmp::Ordering::Greater => return Err(Reason::Order),
            std::cmp::Ordering::Equal => return Err(Reason::Duplicate),
            std::cmp::Ordering::Less => {}
        }
        name.clone_into(&mut self.last);
        let folded = name.to_ascii_lowercase();
        if self.files.contains(&folded) {
            return Err(Reason::Case);
        }
        let folders = || folded.match_indices('/').map(|(at, _)| folded.get(..at).unwrap_or(""));
        if self.folders.contains(&folded) || folders().any(|folder| self.files.contains(folder)) {
            return Err(Reason::Prefix);
        }
        for folder in folders() {
            if !self.folders.contains(folder) {
                self.folders.insert(folder.to_owned());
            }
        }
        self.files.insert(folded);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(name: &str) -> Option<Reason> {
        check(name.as_bytes()).err()
    }

    #[test]
    fn ppk_11_reasons_in_order() {
        for (name, expected) in [
            ("", Reason::Length),
            ("/caf\u{e9}", Reason::NonAscii),
            ("e\u{301}", Reason::NonAscii),
            ("\u{ff0f}x", Reason::NonAscii),
            ("a\u{202e}b", Reason::NonAscii),
            ("COM\u{b9}", Reason::NonAscii),
            ("a\u{9b}", Reason::NonAscii),
            ("/x:y", Reason::Absolute),
            ("//host/share", Reason::Absolute),
            ("C:/x", Reason::Charset),
            ("C:x", Reason::Charset),
            ("\\\\?\\x", Reason::Charset),
            ("..\\x", Reason::Charset),
            ("a:ads", Reason::Charset),
            ("CONIN$", Reason::Charset),
            ("a ", Reason::Charset),
            ("a\0", Reason::Charset),
            ("a\nb", Reason::Charset),
            ("a\u{1b}b", Reason::Charset),
            ("../x", Reason::Traversal),
            ("a/../../x", Reason::Traversal),
            ("a//../x", Reason::Traversal),
            ("a//b", Reason::Component),
            ("a/", Reason::Component),
            ("./a", Reason::Component),
            (".a", Reason::Component),
            ("-a", Reason::Component),
            ("a/b.", Reason::Component),
            ("con", Reason::Reserved),
            ("a/NUL.txt", Reason::Reserved),
            ("com1.a.b/x", Reason::Reserved),
            ("LPT0", Reason::Reserved),
        ] {
            assert_eq!(reason(name), Some(expected), "{name:?}");
        }
        assert_eq!(check(b"\xff"), Err(Reason::NonAscii));
        for good in ["a", "A0._+@=,-", "_a/+b/@c/=d/,e", "CONSOLE", "com", "com10", "lpt", "nul-1", "a-/b..c"] {
            assert_eq!(reason(good), None, "{good:?}");
        }
    }

    #[test]
    fn ppk_12_name_limits_are_exact() {
        let long = |length: usize| {
            let mut name = "a/".repeat(5) + &"b".repeat(90) + "/";
            name += &"c".repeat(90);
            name += "/";
            name + &"d".repeat(length - 192)
        };
        assert_eq!((reason(&long(240)), reason(&long(241))), (None, Some(Reason::Length)), "A10");
        let component = |length: usize| reason(&"a".repeat(length));
        assert_eq!((component(100), component(101)), (None, Some(Reason::Component)), "A11");
        let depth = |levels: usize| reason(&vec!["a"; levels].join("/"));
        assert_eq!((depth(16), depth(17)), (None, Some(Reason::Depth)));
    }

    #[test]
    fn ppk_11_names_that_cannot_stand_together() {
        let push = |names: &[&str]| {
            let mut set = NameSet::default();
            names.iter().try_for_each(|name| set.push(name))
        };
        for (names, expected) in [
            (&["b", "a"][..], Reason::Order),
            (&["a", "a"], Reason::Duplicate),
            (&["Verify.sh", "verify.sh"], Reason::Case),
            (&["a", "a/b"], Reason::Prefix),
            (&["a", "a-c", "a/b"], Reason::Prefix),
            (&["A", "a/b"], Reason::Prefix),
            (&["A/b", "a"], Reason::Prefix),
        ] {
            assert_eq!(push(names), Err(expected), "{names:?}");
        }
        assert_eq!(push(&["a-", "a/b", "a/c/d", "a0", "ab"]), Ok(()));
    }

    /// The grammar again, as a straight reading of the rule, to compare against.
    fn independent(name: &str) -> bool {
        let device = |part: &str| {
            let stem = part.split('.').next().unwrap_or("").to_uppercase();
            ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
                || (stem.len() == 4
                    && (stem.starts_with("COM") || stem.starts_with("LPT"))
                    && stem.ends_with(|c: char| c.is_ascii_digit()))
        };
        let component = |part: &str| {
            let mut letters = part.chars();
            letters.next().is_some_and(|c| c.is_ascii_alphanumeric() || "_+@=,".contains(c))
                && letters.all(|c| c.is_ascii_alphanumeric() || "._+@=,-".contains(c))
                && !part.ends_with('.')
                && part.len() <= 100
                && !device(part)
        };
        name.len() <= 240 && name.split('/').count() <= 16 && name.split('/').all(component)
    }

    proptest! {
        #[test]
        fn ppk_10_grammar_agrees_with_a_second_reading(name in "[A-Za-z0-9._+@=,/: \\-]{0,40}|(con|aux|a|nul\\.x|com[0-9]|\\.\\.|-b)(/(b|lpt1|c\\.|\\.d|))*") {
            prop_assert_eq!(check(name.as_bytes()).is_ok(), independent(&name));
        }

        #[test]
        fn ppk_10_any_bytes_are_answered(name in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(text) = check(&name) {
                prop_assert!(independent(text));
            }
        }
    }
}
