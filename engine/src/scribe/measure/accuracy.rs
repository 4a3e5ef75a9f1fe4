//! Precision and recall of the detectors on the labelled and the set-aside passages (SCR-33), and the tables of
//! `docs/scribe.md` that show them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Limits, SceneMeasure, Yardstick, paragraphs};
use crate::scribe::style::{Language, Pov, PovChoice, Tense, TenseChoice};

const LABELLED: &str = include_str!("../../../data/passages/labelled.jsonl");
const SET_ASIDE: &str = include_str!("../../../data/passages/set-aside.jsonl");

/// The least share of decisions that are right.
const PRECISION_MIN: f64 = 0.95;
/// The least share of passages that are decided rightly.
const RECALL_MIN: f64 = 0.80;

/// A passage with a careful reader's labels.
#[derive(Debug, Deserialize)]
struct Passage {
    id: String,
    language: Language,
    pov: Pov,
    tense: Tense,
    /// Present in the labelled set: whether somebody speaks.
    dialogue: Option<bool>,
    /// Present in the set-aside passages: whose they are.
    author: Option<String>,
    died: Option<u32>,
    work: Option<String>,
    year: Option<u32>,
    text: String,
}

fn passages(lines: &str) -> Vec<Passage> {
    let passage = |line| serde_json::from_str(line).expect("each line of a passage file is one passage");
    lines.lines().map(passage).collect()
}

fn measure(passage: &Passage) -> SceneMeasure {
    let limits = Limits {
        language: passage.language,
        pov: PovChoice::Mixed,
        tense: TenseChoice::Mixed,
        banned_words: Vec::new(),
        forbidden_cliches: Vec::new(),
        max_dialogue_ratio: 1.0,
        min_sensory_anchors: 0,
        word_count_tolerance: 1.0,
    };
    let yardstick = Yardstick::new(limits).expect("limits without phrases and with shares of 0 and 1 are sound");
    yardstick.measure(&passage.id, &paragraphs(&passage.text), 60)
}

/// How a detector did on a set of passages.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    passages: usize,
    decided: usize,
    right: usize,
}

impl Tally {
    fn add<T: PartialEq>(&mut self, label: &T, found: Option<&T>) {
        self.passages += 1;
        self.decided += usize::from(found.is_some());
        self.right += usize::from(found == Some(label));
    }

    fn precision(self) -> f64 {
        self.right as f64 / self.decided as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / self.passages as f64
    }
}

/// Tallies of point of view and tense over the passages that `keep` keeps, and the errors in words.
fn judge(passages: &[Passage], keep: impl Fn(&Passage) -> bool) -> ([Tally; 2], Vec<String>) {
    let mut tallies = [Tally::default(); 2];
    let mut errors = Vec::new();
    for passage in passages.iter().filter(|&passage| keep(passage)) {
        let found = measure(passage);
        tallies[0].add(&passage.pov, found.pov_detected.as_ref());
        tallies[1].add(&passage.tense, found.tense_detected.as_ref());
        let mut error = |what, label: &str, found: Option<&str>| {
            if found != Some(label) {
                let source = match (&passage.author, &passage.work) {
                    (Some(author), Some(work)) => format!("{author}, *{work}*"),
                    _ => "ours".to_owned(),
                };
                let found = found.unwrap_or("undetermined");
                errors.push(format!("{} ({source}): {what} is {label}, found {found}", passage.id));
            }
        };
        error("point of view", passage.pov.name(), found.pov_detected.map(Pov::name));
        error("tense", passage.tense.name(), found.tense_detected.map(Tense::name));
    }
    (tallies, errors)
}

/// The generated part of the page.
fn tables() -> String {
    let mut page = String::new();
    let mut line = |text: String| writeln!(page, "{text}").expect("a string takes all that is written to it");
    line("| passages | detector | number | decided | right | precision | recall |".to_owned());
    line("|---|---|---:|---:|---:|---:|---:|".to_owned());
    let mut all_errors = Vec::new();
    for (set, lines) in [("labelled", LABELLED), ("set aside", SET_ASIDE)] {
        let passages = passages(lines);
        for (group, language) in [("all", None), ("English", Some(Language::En)), ("French", Some(Language::Fr))] {
            let (tallies, errors) = judge(&passages, |passage| language.is_none_or(|one| passage.language == one));
            for (detector, tally) in ["point of view", "tense"].into_iter().zip(tallies) {
                line(format!(
                    "| {set}, {group} | {detector} | {} | {} | {} | {:.3} | {:.3} |",
                    tally.passages,
                    tally.decided,
                    tally.right,
                    tally.precision(),
                    tally.recall()
                ));
            }
            if language.is_none() {
                all_errors.extend(errors.into_iter().map(|error| format!("- {set} {error}")));
            }
        }
    }
    line("\nEvery passage that a detector gets wrong or leaves open:\n".to_owned());
    all_errors.into_iter().for_each(line);
    page
}

const BEGIN: &str = "<!-- figures: begin (written by the test `the_page_shows_the_figures`, UPDATE_DOCS=1) -->\n";
const END: &str = "<!-- figures: end -->";

#[test]
fn the_page_shows_the_figures() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scribe.md"));
    let page = std::fs::read_to_string(&path).expect("docs/scribe.md is in the repository");
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the figures");
    let (shown, tail) = rest.split_once(END).expect("the figures end somewhere");
    let computed = tables();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{computed}{END}{tail}")).expect("docs/scribe.md can be written");
        return;
    }
    assert_eq!(shown, computed, "docs/scribe.md is stale: run this test with UPDATE_DOCS=1");
}

#[test]
fn precision_and_recall_hold_on_both_sets() {
    for (set, lines) in [("labelled", LABELLED), ("set aside", SET_ASIDE)] {
        let (tallies, errors) = judge(&passages(lines), |_| true);
        for (detector, tally) in ["point of view", "tense"].into_iter().zip(tallies) {
            assert!(tally.precision() >= PRECISION_MIN, "{set} {detector}: {tally:?} {errors:#?}");
            assert!(tally.recall() >= RECALL_MIN, "{set} {detector}: {tally:?} {errors:#?}");
        }
    }
}

#[test]
fn the_labelled_set_covers_every_kind() {
    let set = passages(LABELLED);
    assert!(set.len() >= 60);
    for language in [Language::En, Language::Fr] {
        for pov in [Pov::First, Pov::Second, Pov::Third] {
            for tense in [Tense::Past, Tense::Present] {
                for dialogue in [true, false] {
                    let kind = (language, pov, tense, Some(dialogue));
                    let is_kind = |p: &Passage| (p.language, p.pov, p.tense, p.dialogue) == kind;
                    assert!(set.iter().any(is_kind), "no passage of {kind:?}");
                }
            }
        }
    }
    let spoken = |p: &&Passage| (measure(p).dialogue_ratio > 0.0) != (p.dialogue == Some(true));
    assert_eq!(set.iter().find(spoken).map(|p| &p.id), None, "dialogue seen where there is none, or none where it is");
}

#[test]
fn the_set_aside_passages_are_cited_and_free() {
    let set = passages(SET_ASIDE);
    for language in [Language::En, Language::Fr] {
        assert_eq!(set.iter().filter(|passage| passage.language == language).count(), 20);
    }
    for passage in &set {
        let cited = (&passage.author, &passage.work, passage.year, passage.died);
        assert!(matches!(cited, (Some(_), Some(_), Some(_), Some(1..=1954))), "{}: {cited:?}", passage.id);
        let words = passage.text.split_whitespace().count();
        assert!((40..=90).contains(&words), "{}: {words} words", passage.id);
    }
}
