//! Two files become one checked story, or a list of everything that is wrong with them. No provider is touched before.

use contract::canonical::{self, JsonError, Limits};
use contract::digest::Digest;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::scribe::intent::{self, Intent};
use crate::scribe::measure::{self, LimitsError, Yardstick};
use crate::scribe::plan::{self, Plan};
use crate::scribe::problem::{File, Problem, Problems, Word};
use crate::scribe::schema::{self, Kind};

/// How large an input file may be (SCR-3).
pub const LIMITS: Limits = Limits { document_bytes: 4 << 20, string_bytes: 64 << 10, depth: 32 };

/// An intent and a plan that belong together and hold every rule.
#[derive(Clone, Debug)]
pub struct Story {
    /// What the story should be.
    pub intent: Intent,
    /// Its scenes and beats.
    pub plan: Plan,
    /// `GPLAN-…`, whether the file states it or not.
    pub plan_id: String,
    /// Digest of the plan without its field `plan_hash`.
    pub plan_hash: Digest,
    /// Digest of what the user supplied, without any seed.
    pub input_digest: Digest,
    /// The limits of the story, made ready for measuring.
    pub yardstick: Yardstick,
    /// Places of free text that holds zero-width or bidi controls: `file#pointer`.
    pub hidden_controls: Vec<String>,
}

impl Story {
    /// Reads both files.
    ///
    /// # Errors
    /// Every problem of both files, in the order of the files.
    pub fn parse(intent: &[u8], plan: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut found = Vec::new();
        let mut read = |file, bytes: &[u8]| match canonical::parse(bytes, LIMITS) {
            Ok(value) => Some(value),
            Err(JsonError { pointer, reason }) => {
                found.push(Problem { file, pointer, word: Word::Json, message: reason });
                None
            }
        };
        match (read(File::Intent, intent), read(File::Plan, plan)) {
            (Some(intent), Some(plan)) => Self::check(&intent, &plan),
            (intent, plan) => {
                // One broken file does not hide what is wrong with the other.
                found.extend(intent.iter().flat_map(|value| shape_and_rules(File::Intent, value)));
                found.extend(plan.iter().flat_map(|value| shape_and_rules(File::Plan, value)));
                Err(found)
            }
        }
    }

    /// Checks two documents that were parsed strictly.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn check(intent: &Value, plan: &Value) -> Result<Self, Vec<Problem>> {
        let mut found = shape_and_rules(File::Intent, intent);
        found.extend(shape_and_rules(File::Plan, plan));
        let mut problems = Problems::of(File::Plan);
        plan::check_hashes(intent, plan, &mut problems);
        found.extend(problems.into_inner());
        if !found.is_empty() {
            return Err(found);
        }
        let digest = |file, value: &Value| {
            plan::plan_hash(value).map_err(|error| vec![whole(file, Word::Json, error.to_string())])
        };
        let typed: Plan = typed(File::Plan, plan)?;
        let intent_typed: Intent = self::typed(File::Intent, intent)?;
        Ok(Self {
            plan_id: plan::plan_id(typed.part_digests()),
            plan_hash: digest(File::Plan, plan)?,
            input_digest: canonical::digest(&[intent, plan])
                .map_err(|error| vec![whole(File::Plan, Word::Json, error.to_string())])?,
            hidden_controls: hidden_controls(intent, plan),
            yardstick: yardstick(&intent_typed)?,
            intent: intent_typed,
            plan: typed,
        })
    }

    /// Checks a story that was made in memory.
    ///
    /// # Errors
    /// Every problem of both parts.
    pub fn from_parts(intent: &Intent, plan: &Plan) -> Result<Self, Vec<Problem>> {
        let value = |file, result: Result<Value, JsonError>| {
            result.map_err(|JsonError { pointer, reason }| {
                vec![Problem { file, pointer, word: Word::Json, message: reason }]
            })
        };
        let intent = value(File::Intent, canonical::to_value(intent))?;
        Self::check(&intent, &value(File::Plan, canonical::to_value(plan))?)
    }
}

fn shape_and_rules(file: File, value: &Value) -> Vec<Problem> {
    let mut problems = Problems::of(file);
    let (shape, rules): (&Kind, fn(&Value, &mut Problems)) = match file {
        File::Intent => (&intent::SHAPE, intent::check_rules),
        File::Plan => (&plan::SHAPE, plan::check_rules),
    };
    schema::check(value, shape, &mut problems);
    rules(value, &mut problems);
    problems.into_inner()
}

/// Cannot fail after the shape was checked, unless table and type differ: then the file is refused all the same.
fn typed<T: DeserializeOwned>(file: File, value: &Value) -> Result<T, Vec<Problem>> {
    T::deserialize(value).map_err(|error| vec![whole(file, Word::Type, error.to_string())])
}

fn yardstick(intent: &Intent) -> Result<Yardstick, Vec<Problem>> {
    let constraints = &intent.constraints;
    let limits = measure::Limits {
        language: intent.intent.language,
        pov: constraints.pov,
        tense: constraints.tense,
        banned_words: constraints.banned_words.clone(),
        forbidden_cliches: constraints.forbidden_cliches.clone(),
        max_dialogue_ratio: constraints.max_dialogue_ratio,
        min_sensory_anchors: constraints.min_sensory_anchors_per_scene,
        word_count_tolerance: constraints.word_count_tolerance,
    };
    Yardstick::new(limits).map_err(|error| {
        let pointer = match error {
            LimitsError::Share { field, .. } => format!("/constraints/{field}"),
            LimitsError::EmptyPhrase { field, index } => format!("/constraints/{field}/{index}"),
        };
        vec![Problem { file: File::Intent, pointer, word: Word::Empty, message: error.to_string() }]
    })
}

fn whole(file: File, word: Word, message: String) -> Problem {
    Problem { file, pointer: String::new(), word, message }
}

/// Characters that a reader does not see, or that turn the order of what a reader sees.
#[must_use]
pub fn is_hidden_control(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn hidden_controls(intent: &Value, plan: &Value) -> Vec<String> {
    let mut places = Vec::new();
    for (file, value) in [(File::Intent, intent), (File::Plan, plan)] {
        visit_texts(value, &mut String::new(), &mut |pointer, text| {
            // ASCII text, the usual case, cannot hold one.
            if !text.is_ascii() && text.chars().any(is_hidden_control) {
                places.push(format!("{file}#{pointer}"));
            }
        });
    }
    places
}

fn visit_texts(value: &Value, pointer: &mut String, visit: &mut impl FnMut(&str, &str)) {
    let length = pointer.len();
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                visit_texts(item, pointer, visit);
                pointer.truncate(length);
            }
        }
        // Known names hold neither `~` nor `/`, and unknown ones are refused before.
        Value::Object(fields) => {
            for (name, item) in fields {
                pointer.push('/');
                pointer.push_str(name);
                visit_texts(item, pointer, visit);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
