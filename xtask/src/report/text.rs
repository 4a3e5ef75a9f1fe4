//! Text from anywhere made safe to print, and fitted to a width.
//!
//! Claims quote evidence, and evidence is written by programs under test: everything that is not printable ASCII is
//! escaped before it reaches a terminal, so that no claim can move the cursor, forge a line or hide one.

use gates::proofpack::codes::escape;

/// Narrowest page: below it a status and a check id no longer fit side by side.
const WIDTH_MIN: usize = 40;

/// How far a line is indented below a label that leaves too little room.
const INDENT: usize = 4;

/// How a page is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns.
    pub(crate) width: usize,
    /// Whether status words are coloured; they are words either way.
    pub(crate) color: bool,
}

/// The width of standard output: what `COLUMNS` says, else what the terminal says; a log gets lines of moderate length.
pub(crate) fn columns() -> usize {
    const OF_A_LOG: usize = 120;
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    said.or_else(terminal_columns).unwrap_or(OF_A_LOG).clamp(WIDTH_MIN, 400)
}

#[cfg(unix)]
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn terminal_columns() -> Option<usize> {
    None
}

/// Colours of status words, as SGR parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paint {
    Good,
    Bad,
    Doubtful,
    Plain,
}

impl Paint {
    /// The colour of a status word. Only PASS is green.
    fn of(word: &str) -> Self {
        match word {
            "" | "not selected" => Self::Plain,
            "PASS" => Self::Good,
            "INCONCLUSIVE" | "NO_EVIDENCE" | "PARTIAL" | "BLOCKED" | "NOT RUN" => Self::Doubtful,
            _ => Self::Bad,
        }
    }

    fn sgr(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Doubtful => "33",
            Self::Plain => "",
        }
    }
}

/// A page that is filled from the top.
#[derive(Debug)]
pub(crate) struct Page {
    style: Style,
    out: String,
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self { style: Style { width: style.width.max(WIDTH_MIN), ..style }, out: String::new() }
    }

    /// An empty line, but never two.
    pub(crate) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// A paragraph: `label` in front, later lines indented so that the label stands out.
    pub(crate) fn line(&mut self, label: &str, text: &str) {
        self.status("", label, text);
    }

    /// A paragraph whose label holds a status word, which gets its colour.
    pub(crate) fn status(&mut self, word: &str, label: &str, text: &str) {
        self.put(word, label, text, "");
    }

    /// A command, broken so that it can still be pasted.
    pub(crate) fn command(&mut self, label: &str, text: &str) {
        self.put("", label, text, " \\");
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// `continued` stands at the end of every line but the last.
    fn put(&mut self, word: &str, label: &str, text: &str, continued: &str) {
        // An instance of a check is named by its evidence, so labels are no safer than texts.
        let (label, text) = (escape(label.as_bytes()), escape(text.as_bytes()));
        let (lines, hang) = self.fit(label.len(), &text, continued.len());
        let sgr = Paint::of(word).sgr();
        let painted = match label.split_once(word) {
            Some((before, rest)) if self.style.color && !sgr.is_empty() => {
                format!("{before}\x1b[{sgr}m{word}\x1b[0m{rest}")
            }
            _ => label,
        };
        for (index, line) in lines.iter().enumerate() {
            let head = if index == 0 { painted.clone() } else { " ".repeat(hang) };
            let tail = if index + 1 < lines.len() { continued } else { "" };
            let line = format!("{head}{line}{tail}");
            self.out.push_str(line.trim_end_matches(' '));
            self.out.push('\n');
        }
    }

    /// Breaks `text` at spaces, and says how far the lines after the first are indented.
    fn fit(&self, label: usize, text: &str, reserve: usize) -> (Vec<String>, usize) {
        let width = self.style.width - reserve;
        let longest = text.split(' ').map(str::len).max().unwrap_or(0);
        // Below a long label little room is left, and a long word would overflow; further left it may fit.
        let hang = if label <= width / 2 && label + longest <= width { label } else { INDENT };
        let mut lines = vec![String::new()];
        let mut room = width.saturating_sub(label);
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let used = lines.last().map_or(0, String::len);
            let needed = if used == 0 { word.len() } else { used + 1 + word.len() };
            // A word that fits nowhere starts a line only where that gains something.
            if needed > room && (used > 0 || (lines.len() == 1 && label > hang)) {
                lines.push(String::new());
                room = width - hang;
            }
            if let Some(line) = lines.last_mut() {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        (lines, hang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize, fill: impl Fn(&mut Page)) -> String {
        let mut page = Page::new(Style { width, color: false });
        fill(&mut page);
        page.finish()
    }

    #[test]
    fn lines_break_at_spaces_and_hang_below_the_text() {
        let text = page(40, |page| page.line("  rule: ", "one two three four five six seven eight nine"));
        assert_eq!(text, "  rule: one two three four five six\n        seven eight nine\n");
    }

    #[test]
    fn a_long_word_has_a_line_of_its_own() {
        let long = "evidence/pr-g1/".to_owned() + &"x".repeat(60);
        let text = page(40, |page| page.line("at ", &format!("first {long} last")));
        assert_eq!(text, format!("at first\n    {long}\n    last\n"));
    }

    #[test]
    fn gat_14_a_broken_command_can_be_pasted() {
        let text = page(40, |page| page.command("  repro: ", "cargo xtask gate pr-g1 --profile dev --only no-overlap"));
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        let pasted = text.trim_start_matches("  repro: ").replace("\\\n", "");
        let words: Vec<&str> = pasted.split_whitespace().collect();
        assert_eq!(words.join(" "), "cargo xtask gate pr-g1 --profile dev --only no-overlap");
    }

    #[test]
    fn only_status_words_are_coloured_and_nothing_else_passes_through() {
        let mut page = Page::new(Style { width: 80, color: true });
        page.status("FAIL", "FAIL  ", "a\x1b[2Jb\nc\u{202e}d");
        assert_eq!(page.finish(), "\x1b[1;31mFAIL\x1b[0m  a\\x1b[2Jb\\x0ac\\xe2\\x80\\xaed\n");
    }
}
