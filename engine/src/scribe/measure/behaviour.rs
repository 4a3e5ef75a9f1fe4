//! What a measured scene must show, from ordinary prose to text made to mislead or to stall.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::rules::{Amount, Rule, Severity};
use super::{Limits, LimitsError, SceneMeasure, Yardstick};
use crate::scribe::style::{Language, Pov, PovChoice, Tense, TenseChoice};

fn limits(language: Language) -> Limits {
    Limits {
        language,
        pov: PovChoice::ThirdLimited,
        tense: TenseChoice::Past,
        banned_words: vec!["very".to_owned(), "été perdu".to_owned()],
        forbidden_cliches: vec!["at the end of the day".to_owned()],
        max_dialogue_ratio: 0.5,
        min_sensory_anchors: 1,
        word_count_tolerance: 0.5,
    }
}

fn measured(limits: Limits, prose: &str, target: u64) -> SceneMeasure {
    Yardstick::new(limits).expect("the limits of the tests are sound").measure("s1", &[prose], target)
}

fn rules(measure: &SceneMeasure) -> Vec<Rule> {
    measure.violations.iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_scene_that_keeps_its_limits_breaks_nothing() {
    let scene = measured(limits(Language::En), "She crossed the cold hall. “Who is there?” she asked.", 10);
    assert_eq!(rules(&scene), []);
    assert_eq!((scene.word_count, scene.sentence_count, scene.dialogue_ratio), (10, 3, 0.3));
    assert_eq!((scene.pov_detected, scene.tense_detected), (Some(Pov::Third), Some(Tense::Past)));
}

#[test]
fn a_scene_without_a_word_is_missing_and_breaks_every_hard_rule() {
    for prose in ["", " \n\u{200B}\n", "***", "—", "\u{202E}…"] {
        let scene = measured(limits(Language::En), prose, 100);
        assert_eq!(rules(&scene).len(), 5, "{prose:?}");
        assert_eq!(rules(&scene)[0], Rule::MissingScene);
        assert!(scene.violations.iter().all(|violation| violation.severity == Severity::Hard));
    }
    assert_eq!(
        Yardstick::new(limits(Language::En)).expect("sound").missing("s1", 100),
        measured(limits(Language::En), "", 100)
    );
}

#[test]
fn each_rule_is_named_with_value_and_threshold() {
    let prose = "I am very tired, and at the end of the day I walk home. “No, no, no, no, no, no, no, no, no, no,” says my hat. I sit.";
    let scene = measured(limits(Language::En), prose, 10);
    let shown: Vec<_> = scene.violations.iter().map(|v| (v.rule, v.value.clone(), v.threshold.clone())).collect();
    let text = |text: &str| Amount::Text(text.to_owned());
    assert_eq!(
        shown,
        [
            (Rule::WordCountRange, Amount::Count(29), Amount::Count(15)),
            (Rule::BannedWords, Amount::Count(1), Amount::Count(0)),
            (Rule::PovConformity, text("first"), text("third-limited")),
            (Rule::TenseConformity, text("present"), text("past")),
            (Rule::SensoryAnchors, Amount::Count(0), Amount::Count(1)),
            (Rule::ForbiddenCliches, Amount::Count(1), Amount::Count(0)),
        ]
    );
    assert!(scene.violations[0].message.starts_with("too long"));
}

#[test]
fn one_spoken_word_breaks_a_dialogue_limit_of_zero() {
    let none = || Limits { max_dialogue_ratio: 0.0, ..limits(Language::En) };
    let spoken = measured(none(), "She crossed the cold hall and she heard “yes” and she ran.", 10);
    assert_eq!(rules(&spoken), [Rule::DialogueRatio]);
    assert_eq!(rules(&measured(none(), "She crossed the cold hall and she heard it and she ran.", 10)), []);
}

#[test]
fn the_range_of_words_is_exact() {
    let yardstick = |word_count_tolerance| {
        Yardstick::new(Limits { word_count_tolerance, ..limits(Language::En) }).expect("the tolerance is a share")
    };
    assert_eq!(yardstick(0.1).word_range(100), (90, 110));
    assert_eq!(yardstick(0.3).word_range(1000), (700, 1300));
    assert_eq!(yardstick(0.5).word_range(101), (50, 152));
    assert_eq!(yardstick(0.0).word_range(7), (7, 7));
    assert_eq!(yardstick(1.0).word_range(u64::MAX), (0, u64::MAX));
}

#[test]
fn mixed_accepts_all_and_asks_for_no_lead() {
    let mixed =
        || Limits { pov: PovChoice::Mixed, tense: TenseChoice::Mixed, min_sensory_anchors: 0, ..limits(Language::En) };
    for prose in ["I sit.", "You sat.", "She sits.", "They sat.", &"Rain. ".repeat(60)] {
        assert_eq!(
            rules(&measured(mixed(), prose, 60)).iter().filter(|&&rule| rule != Rule::WordCountRange).count(),
            0
        );
    }
}

#[test]
fn only_long_narration_must_lead() {
    let open = || Limits { min_sensory_anchors: 0, ..limits(Language::En) };
    assert_eq!(rules(&measured(open(), &"Rain. ".repeat(50), 50)), []);
    assert_eq!(rules(&measured(open(), &"Rain. ".repeat(51), 50)), [Rule::PovUndetermined, Rule::TenseUndetermined]);
}

#[test]
fn limits_that_cannot_be_measured_are_refused() {
    for share in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        let refused = Yardstick::new(Limits { max_dialogue_ratio: share, ..limits(Language::En) });
        assert!(matches!(refused.err(), Some(LimitsError::Share { field: "max_dialogue_ratio", .. })), "{share}");
        let refused = Yardstick::new(Limits { word_count_tolerance: share, ..limits(Language::En) });
        assert!(matches!(refused.err(), Some(LimitsError::Share { field: "word_count_tolerance", .. })), "{share}");
    }
    let empty = Yardstick::new(Limits { banned_words: vec!["\u{200B}!".to_owned()], ..limits(Language::En) });
    assert_eq!(empty.err(), Some(LimitsError::EmptyPhrase { field: "banned_words", index: 0 }));
}

/// Work that grew with the square of the text would keep this test busy for minutes; it once did, on a million adverbs.
#[test]
fn no_flood_is_read_more_than_once() {
    let floods =
        ["very ", "\"“«", "e\u{301}\u{302}\u{323}", "\u{200B}\u{202E}a", "'", "a-", "-\n", ". ", "1,", "\u{1F1E6}"];
    for flood in floods {
        for language in [Language::En, Language::Fr] {
            let count = |bytes: usize| measured(limits(language), &flood.repeat(bytes / flood.len()), 10).word_count;
            assert_eq!(count(40_000) == 0, count(100) == 0, "{flood:?}");
        }
    }
    let megabyte = |flood: &str| flood.repeat(1_000_000 / flood.len());
    assert_eq!(measured(limits(Language::En), &megabyte("never "), 10).word_count, 166_666);
    assert_eq!(measured(limits(Language::Fr), &megabyte("l'"), 10).word_count, 1);
    // One letter under half a million accents: the longest run that normalisation has to sort.
    assert_eq!(measured(limits(Language::Fr), &format!("e{}", "\u{301}\u{323}".repeat(250_000)), 10).word_count, 1);
}

/// Prose-like strings with everything in them that a detector looks at.
fn prose() -> impl Strategy<Value = String> {
    static WORDS: &[&str] = &[
        "He",
        "I",
        "you",
        "était",
        "walked",
        "'s",
        "n'",
        "qu'il",
        "a",
        "t",
        "-",
        "“",
        "”",
        "«",
        "»",
        "\"",
        ".",
        "\n",
        "—",
        "very",
        "e\u{301}té",
        "\u{200B}",
        "if",
        "as",
        "had",
        " ",
        "’",
        "porte",
        "-t-elle",
        "\u{1F468}\u{200D}\u{1F469}",
        "İ",
    ];
    let made = proptest::collection::vec((proptest::sample::select(WORDS), "| "), 0..60);
    let made = made.prop_map(|words| words.into_iter().map(|(word, space)| format!("{word}{space}")).collect());
    prop_oneof![made, any::<String>()]
}

proptest! {
    #[test]
    fn no_text_can_panic_and_every_count_fits(text in prose(), english in any::<bool>()) {
        let language = if english { Language::En } else { Language::Fr };
        let scene = measured(limits(language), &text, 10);
        prop_assert!((0.0..=1.0).contains(&scene.dialogue_ratio));
        prop_assert_eq!(scene.sentence_count == 0, scene.word_count == 0);
        prop_assert_eq!(rules(&scene).contains(&Rule::MissingScene), scene.word_count == 0);
    }

    #[test]
    fn composed_and_decomposed_text_measure_the_same(text in prose(), english in any::<bool>()) {
        let language = if english { Language::En } else { Language::Fr };
        let composed: String = text.nfc().collect();
        let decomposed: String = text.nfd().collect();
        prop_assert_eq!(measured(limits(language), &composed, 10), measured(limits(language), &decomposed, 10));
    }

    #[test]
    fn quoting_style_changes_nothing(spoken in "[a-z]{1,8}( [a-z]{1,8}){0,5}", told in "[a-z]{1,8}( [a-z]{1,8}){0,5}") {
        let styles = [("“", "”"), ("\"", "\""), ("«", "»"), ("« ", " »"), ("„", "“")];
        let scenes = styles.map(|(open, close)| measured(limits(Language::En), &format!("{told} {open}{spoken},{close} {told}."), 10));
        for scene in &scenes {
            prop_assert_eq!(scene, &scenes[0]);
        }
    }

    #[test]
    fn a_banned_word_is_found_wherever_it_stands_alone(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
        let scene = measured(limits(Language::En), &format!("{before}. VERY, {after}"), 10);
        let alone = format!("{before} {after}").split(' ').filter(|&word| word == "very").count();
        prop_assert_eq!(scene.banned_word_hits.len(), 1 + alone);
        let joined = measured(limits(Language::En), &format!("a{before}xvery z{after}"), 10);
        let alone = format!("a{before}xvery z{after}").split(' ').filter(|&word| word == "very").count();
        prop_assert_eq!(joined.banned_word_hits.len(), alone);
    }
}
