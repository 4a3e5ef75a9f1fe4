//! Scrubs the logs of tools before they become evidence: known folders become placeholders, other leaks `<masked>`.

use memchr::memmem;

use super::{Literals, spans};

/// The placeholder of a leak that has no name of its own.
pub const MASKED: &str = "<masked>";

/// Replaces the given folders (longest first), then whatever the leak rules still find. Gives the new text and how
/// many places were replaced.
///
/// `folders` are (absolute folder, placeholder): workspace `<workspace>`, home `<home>`, target folder `<target>`,
/// temporary folder `<tmp>`. After it, [`super::scan`] finds nothing that is not read from JSON escapes alone.
#[must_use]
pub fn scrub(text: &str, folders: &[(&str, &str)]) -> (String, usize) {
    let mut folders: Vec<_> = folders.iter().map(|(path, name)| (path.trim_end_matches(['/', '\\']), *name)).collect();
    folders.retain(|(path, _)| path.len() > 1);
    // A target folder inside the workspace inside the home folder: the innermost name wins.
    folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    let mut text = text.to_owned();
    let mut count = 0;
    for (path, placeholder) in folders {
        let found = occurrences(text.as_bytes(), path);
        count += found.len();
        text = replace(&text, &found, placeholder);
    }
    // A mask can join what stood around it into a new match, so this ends only when nothing is found. Each round takes
    // at least one separator away, and one round is enough for any real log.
    loop {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for span in spans("", text.as_bytes(), &Literals::none()) {
            match found.last_mut() {
                Some((_, end)) if span.start < *end => *end = (*end).max(span.end),
                _ => found.push((span.start, span.end)),
            }
        }
        if found.is_empty() {
            return (text, count);
        }
        count += found.len();
        text = replace(&text, &found, MASKED);
    }
}

/// Where a folder stands as a whole path, not as the front of a longer name or inside a relative path.
fn occurrences(text: &[u8], path: &str) -> Vec<(usize, usize)> {
    let is_name =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let is_deep = path.bytes().filter(|byte| matches!(byte, b'/' | b'\\')).count() > 1;
    let whole = |&(start, end): &(usize, usize)| {
        let before = start.checked_sub(1).and_then(|index| text.get(index));
        // Behind a flag (`-L`) or `file://` a folder is still that folder, if it is too long to be chance.
        !is_name(text.get(end)) && (is_deep || !(is_name(before) || before == Some(&b'.')))
    };
    let spans = memmem::find_iter(text, path).map(|start| (start, start + path.len()));
    spans.filter(whole).collect()
}

fn replace(text: &str, spans: &[(usize, usize)], by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for &(start, end) in spans {
        // Matches start and end at ASCII bytes, but a letter of several bytes may be cut by a percent-decoded one.
        let (start, end) = (floor(text, start).max(at), ceil(text, end).max(at));
        out.push_str(&text[at..start]);
        out.push_str(by);
        at = end;
    }
    out.push_str(&text[at..]);
    out
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&index| text.is_char_boundary(index)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubbed(text: &str) -> (String, usize) {
        let at = crate::proofpack::leak::real;
        let (home, work) = (at("@home@bob"), at("@home@bob@proof"));
        let (target, tmp) = (at("@home@bob@proof@target"), at("@tmp"));
        let folders = [(&*home, "<home>"), (&*work, "<workspace>"), (&*target, "<target>"), (&*tmp, "<tmp>")];
        scrub(&at(text), &folders)
    }

    #[test]
    fn folders_get_their_names_and_the_rest_is_masked() {
        for (text, clean, count) in [
            ("in @home@bob@proof@src", "in <workspace>/src", 1),
            ("-L@home@bob@proof@target@debug", "-L<target>/debug", 1),
            ("@home@bob@.cargo:@tmp@x", "<home>/.cargo:<tmp>/x", 2),
            ("file:@@@home@bob@x", "file://<home>/x", 1),
            ("@home@bobby@x", "<masked>", 1),
            ("a@tmp@b @tmpfs", "a/tmp/b /tmpfs", 0),
            ("at C:^Users^ann and @opt@x", "at <masked> and <masked>", 2),
            ("p=#2Fhome#2Fann!", "p=<masked>", 1),
            ("https:@@x@home@bobby", "https://x/home/bobby", 0),
            ("\u{e9} @home@\u{e9}mile \u{e9}", "\u{e9} <masked> \u{e9}", 1),
        ] {
            assert_eq!(scrubbed(text), (clean.to_owned(), count), "{text}");
        }
    }

    #[test]
    fn scrubbing_again_changes_nothing() {
        let (once, _) = scrubbed("@home@bob@x @var@log@y C:^z ^^host^share token=abcdefgh12345678");
        assert_eq!(scrubbed(&once), (once, 0));
    }

    proptest! {
        #[test]
        fn any_text_can_be_scrubbed(text in any::<String>()) {
            let (clean, _) = scrubbed(&text);
            prop_assert_eq!(spans("", clean.as_bytes(), &Literals::none()), vec![]);
        }

        #[test]
        fn nothing_is_left_to_find(text in r#"([/\\:%=,"' <>é]|home|tmp|C:|file|https|%2[Ff]|token|\\u002f|[a-z0-9]){0,40}"#) {
            let (clean, count) = scrubbed(&text);
            prop_assert_eq!(spans("", clean.as_bytes(), &Literals::none()), vec![]);
            prop_assert!(count > 0 || clean == text.replace('@', "/"));
        }
    }
}
