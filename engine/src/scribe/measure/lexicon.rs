//! The word lists behind the detectors: one file a list, one entry a line, compiled into the program.
//!
//! All lists of a language are merged into one table from word to marks, so that a word costs one look-up.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::scribe::style::Language;

/// A list that a word can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Pronouns and possessives of the first person.
    FirstPerson,
    /// Pronouns and possessives of the second person.
    SecondPerson,
    /// Pronouns and possessives of the third person.
    ThirdPerson,
    /// Words that appeal to the eye.
    Sight,
    /// … to the ear.
    Sound,
    /// … to the skin.
    Touch,
    /// … to the nose.
    Smell,
    /// … to the tongue.
    Taste,
    /// Pronouns that can be the subject of a verb.
    Subject,
    /// Subjects whose present ends in `-s` (English), or is a singular third person (French).
    SubjectThird,
    /// Subjects whose present is bare (English) or ends in `-ent` (French).
    SubjectPlural,
    /// `je`.
    SubjectFirst,
    /// `tu`.
    SubjectSecond,
    /// Words that can stand between a subject and its verb.
    Adverb,
    /// Words that are no noun: a verb form after one of them is not taken for its predicate.
    Function,
    /// `and` and its kin: what follows can continue the verbs before.
    Conjunction,
    /// `if` and its kin: the past after it may be a subjunctive.
    Condition,
    /// After these a verb form is an infinitive.
    Modal,
    /// `can`.
    PresentModal,
    /// After these a form in `-ed` is a participle.
    PerfectAuxiliary,
    /// `was`; `était`.
    PastAuxiliary,
    /// `is`; `est`.
    PresentAuxiliary,
    /// `have`: present unless it is an infinitive.
    BareAuxiliary,
    /// `it`, before a `'s` that is a verb.
    PronounHost,
    /// Irregular forms that are only a past.
    Preterite,
    /// Irregular forms that are a past and a participle.
    PreteriteOrParticiple,
    /// Forms that are past and present alike: no evidence.
    Invariant,
    /// Words in `-ed` that are no past.
    EdNotPast,
    /// Bare verb forms.
    PresentBase,
    /// Verb forms in `-s`.
    PresentS,
    /// Words in `-s` that are no verb.
    SNotVerb,
    /// Pronouns between a French subject and its verb.
    Clitic,
    /// Those that only a verb follows.
    VerbClitic,
    /// Articles, possessives and prepositions: a French noun follows.
    Determiner,
    /// `il` before these stands for nobody.
    Impersonal,
    /// `il y` before these stands for nobody.
    ImpersonalThere,
    /// `il s'` before these stands for nobody.
    ImpersonalReflexive,
    /// Present of `avoir`: a participle after it makes a passé composé.
    Avoir,
    /// Present of `être`.
    Etre,
    /// Participles that take `être`.
    EtreParticiple,
    /// Participles not in `-é`.
    Participle,
    /// Conditionals: neither past nor present.
    Conditional,
    /// Words in `-ait` or `-aient` that are no imparfait.
    AitNotVerb,
    /// Words in `-ais` that are no imparfait.
    AisNotVerb,
    /// Presents in `-ions`.
    IonsPresent,
    /// Presents in `-irent`.
    IrentPresent,
    /// Presents in `-urent`.
    UrentPresent,
    /// Irregular passé simple.
    PasseSimple,
    /// Passé simple after `je`, a participle elsewhere.
    PasseSimpleJe,
    /// Words in `-a` that are no passé simple.
    ANotVerb,
    /// Passé simple in `-ira`, which otherwise ends a future.
    IraPast,
    /// Words in `-ai` that are no passé simple.
    AiNotVerb,
    /// Irregular French presents that are no noun.
    Present,
    /// French presents in `-e` that are no noun.
    PresentEr,
    /// Words after a French subject that are no verb.
    NotAfterSubject,
    /// Words in `-ent` that are no verb.
    EntNotVerb,
}

/// The marks of one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u64);

impl Marks {
    /// Whether the word is on this list.
    pub(super) fn has(self, mark: Mark) -> bool {
        self.0 & Self::bit(mark) != 0
    }

    /// Whether the word is on one of these lists.
    pub(super) fn any(self, marks: &[Mark]) -> bool {
        marks.iter().any(|&mark| self.has(mark))
    }

    const fn bit(mark: Mark) -> u64 {
        1 << mark as u64
    }
}

/// The five senses, in the order of reports.
pub(super) const SENSES: [Mark; 5] = [Mark::Sight, Mark::Sound, Mark::Touch, Mark::Smell, Mark::Taste];

/// The marks of a word, which must be folded and in lower case.
pub(super) fn marks(word: &str, language: Language) -> Marks {
    static ENGLISH_TABLE: OnceLock<HashMap<&'static str, Marks>> = OnceLock::new();
    static FRENCH_TABLE: OnceLock<HashMap<&'static str, Marks>> = OnceLock::new();
    let table = match language {
        Language::En => ENGLISH_TABLE.get_or_init(|| merged(ENGLISH)),
        Language::Fr => FRENCH_TABLE.get_or_init(|| merged(FRENCH)),
    };
    table.get(word).copied().unwrap_or(Marks(0))
}

fn merged(lists: &[(Mark, &str, &'static str)]) -> HashMap<&'static str, Marks> {
    let mut table = HashMap::new();
    for (mark, _, text) in lists {
        for word in text.lines() {
            table.entry(word).or_insert(Marks(0)).0 |= Marks::bit(*mark);
        }
    }
    table
}

macro_rules! list {
    ($mark:ident, $file:literal) => {
        (Mark::$mark, $file, include_str!(concat!("../../../data/lexicon/", $file, ".txt")))
    };
}

const ENGLISH: &[(Mark, &str, &str)] = &[
    list!(FirstPerson, "en/first_person"),
    list!(SecondPerson, "en/second_person"),
    list!(ThirdPerson, "en/third_person"),
    list!(Sight, "en/sight"),
    list!(Sound, "en/sound"),
    list!(Touch, "en/touch"),
    list!(Smell, "en/smell"),
    list!(Taste, "en/taste"),
    list!(Subject, "en/subject"),
    list!(SubjectThird, "en/subject_singular"),
    list!(SubjectPlural, "en/subject_plural"),
    list!(Adverb, "en/adverb"),
    list!(Function, "en/function"),
    list!(Conjunction, "en/conjunction"),
    list!(Condition, "en/condition"),
    list!(Modal, "en/modal"),
    list!(PresentModal, "en/present_modal"),
    list!(PerfectAuxiliary, "en/perfect_auxiliary"),
    list!(PastAuxiliary, "en/past_auxiliary"),
    list!(PresentAuxiliary, "en/present_auxiliary"),
    list!(BareAuxiliary, "en/bare_auxiliary"),
    list!(PronounHost, "en/pronoun_host"),
    list!(Preterite, "en/preterite"),
    list!(PreteriteOrParticiple, "en/preterite_or_participle"),
    list!(Invariant, "en/invariant"),
    list!(EdNotPast, "en/ed_not_past"),
    list!(PresentBase, "en/present_base"),
    list!(PresentS, "en/present_s"),
    list!(SNotVerb, "en/s_not_verb"),
];

const FRENCH: &[(Mark, &str, &str)] = &[
    list!(FirstPerson, "fr/first_person"),
    list!(SecondPerson, "fr/second_person"),
    list!(ThirdPerson, "fr/third_person"),
    list!(Sight, "fr/sight"),
    list!(Sound, "fr/sound"),
    list!(Touch, "fr/touch"),
    list!(Smell, "fr/smell"),
    list!(Taste, "fr/taste"),
    list!(Subject, "fr/subject"),
    list!(SubjectFirst, "fr/subject_first"),
    list!(SubjectSecond, "fr/subject_second"),
    list!(SubjectThird, "fr/subject_third"),
    list!(SubjectPlural, "fr/subject_plural"),
    list!(Adverb, "fr/adverb"),
    list!(Function, "fr/function"),
    list!(Clitic, "fr/clitic"),
    list!(VerbClitic, "fr/verb_clitic"),
    list!(Determiner, "fr/determiner"),
    list!(Impersonal, "fr/impersonal"),
    list!(ImpersonalThere, "fr/impersonal_there"),
    list!(ImpersonalReflexive, "fr/impersonal_reflexive"),
    list!(PastAuxiliary, "fr/imparfait_auxiliary"),
    list!(Avoir, "fr/passe_compose_avoir"),
    list!(Etre, "fr/present_etre"),
    list!(EtreParticiple, "fr/etre_verb"),
    list!(Participle, "fr/participle"),
    list!(Conditional, "fr/conditional"),
    list!(AitNotVerb, "fr/ait_not_verb"),
    list!(AisNotVerb, "fr/ais_not_verb"),
    list!(IonsPresent, "fr/ions_present"),
    list!(IrentPresent, "fr/irent_present"),
    list!(UrentPresent, "fr/urent_present"),
    list!(PasseSimple, "fr/passe_simple"),
    list!(PasseSimpleJe, "fr/passe_simple_je"),
    list!(ANotVerb, "fr/a_not_verb"),
    list!(IraPast, "fr/ira_past"),
    list!(AiNotVerb, "fr/ai_not_verb"),
    list!(Present, "fr/present"),
    list!(PresentEr, "fr/present_er"),
    list!(NotAfterSubject, "fr/not_after_subject"),
    list!(EntNotVerb, "fr/ent_not_verb"),
];

#[cfg(test)]
mod tests {
    use super::super::text::parts;
    use super::*;

    fn lists() -> impl Iterator<Item = (Language, &'static str, &'static str)> {
        let of = |language, lists: &'static [(Mark, &'static str, &'static str)]| {
            lists.iter().map(move |&(_, file, text)| (language, file, text))
        };
        of(Language::En, ENGLISH).chain(of(Language::Fr, FRENCH))
    }

    #[test]
    fn each_list_is_sorted_and_unique() {
        for (_, file, text) in lists() {
            let words: Vec<&str> = text.lines().collect();
            assert!(!words.is_empty(), "{file} is empty");
            let wrong = words.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(wrong, None, "{file}: not in strictly rising byte order");
        }
    }

    #[test]
    fn each_entry_is_one_word_as_the_reader_sees_it() {
        for (language, file, text) in lists() {
            for word in text.lines() {
                let seen = if word.starts_with('\'') {
                    parts(&format!("x{word}"), language)[1..].to_vec()
                } else if word.ends_with('\'') {
                    parts(&format!("{word}x"), language)[..1].to_vec()
                } else {
                    parts(word, language)
                };
                assert_eq!(seen, [word], "{file}: can never be found in a text");
            }
        }
    }

    #[test]
    fn each_file_of_the_folder_is_used() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/lexicon");
        for language in ["en", "fr"] {
            for entry in
                std::fs::read_dir(format!("{folder}/{language}")).expect("the lexicon folder is in the package")
            {
                let name = entry.expect("the folder can be listed").file_name();
                let name = name.to_str().expect("lexicon names are ASCII").trim_end_matches(".txt");
                let path = format!("{language}/{name}");
                assert!(lists().any(|(_, file, _)| file == path), "{path} is in no table");
            }
        }
    }

    #[test]
    fn marks_fit_their_word() {
        assert!((Mark::EntNotVerb as u64) < u64::from(u64::BITS));
    }
}
