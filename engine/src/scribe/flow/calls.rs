//! The calls of one run: numbered without gaps, each under a name and a seed that depend on its scene alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::money::MicroUsd;
use contract::record::cost::Violation;
use contract::seed::Seed;

use crate::pipeline::{CallContext, CallError, Pipeline};
use crate::provider::{Message, ProviderError, Request};
use crate::scribe::flow::{Draft, Options, Stop};
use crate::scribe::prompt::{Brief, Prompt};
use crate::scribe::validate::Story;

/// Why a run asks no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The story breaks a HARD rule before anything is written: spending money could not make it pass.
    StoryRefused,
    /// A limit of the budget.
    Budget(Violation),
    /// An error that would meet every further call.
    Provider {
        /// The word of the error.
        word: String,
        /// The error as a sentence.
        detail: String,
    },
    /// The ledger or the cache failed.
    Store {
        /// What failed, with the place.
        detail: String,
    },
    /// The user wanted it.
    Interrupted,
}

/// Makes the calls of a run, one after the other.
pub(in crate::scribe) struct Calls<'a> {
    story: &'a Story,
    options: &'a Options,
    pipeline: &'a Pipeline,
    stop: Stop,
    next_index: u64,
    attempts: BTreeMap<String, u64>,
    failures: BTreeMap<String, (String, String)>,
    ended: Option<Ended>,
}

/// Attempts by scene, failures by scene, and why the run ended early.
pub(super) type Finished = (BTreeMap<String, u64>, BTreeMap<String, (String, String)>, Option<Ended>);

impl<'a> Calls<'a> {
    pub(super) fn new(story: &'a Story, options: &'a Options, pipeline: &'a Pipeline, stop: Stop) -> Self {
        let (attempts, failures) = (BTreeMap::new(), BTreeMap::new());
        Self { story, options, pipeline, stop, next_index: 0, attempts, failures, ended: None }
    }

    /// Asks no further from here on. The first reason stands.
    pub(super) fn end(&mut self, why: Ended) {
        self.ended.get_or_insert(why);
    }

    /// Whether nothing is asked any more.
    pub(in crate::scribe) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(in crate::scribe) fn spent(&self) -> MicroUsd {
        self.pipeline.spent()
    }

    pub(super) fn finish(self) -> Finished {
        (self.attempts, self.failures, self.ended)
    }

    /// Asks for a scene: `repair` is 0 for the first time, else the number of the repair. `None` when there is no reply;
    /// why is kept.
    pub(in crate::scribe) async fn ask(&mut self, brief: &Brief<'_>, repair: u64) -> Option<Draft> {
        if self.has_ended() {
            return None;
        }
        let scene = brief.scene;
        let request = match self.request(brief, repair) {
            Ok(request) => request,
            Err(error) => {
                self.failures.insert(scene.scene_id.clone(), ("prompt".into(), error.to_string()));
                return None;
            }
        };
        let context = CallContext { call_index: self.next_index, scene_id: scene.scene_id.clone() };
        self.next_index += 1;
        let result = tokio::select! {
            biased;
            () = &mut self.stop => {
                self.end(Ended::Interrupted);
                return None;
            }
            result = self.pipeline.call(context, &request) => result,
        };
        let attempts = self.attempts.entry(scene.scene_id.clone()).or_insert(0);
        match result {
            Ok(answer) => {
                *attempts += u64::from(answer.attempts);
                self.failures.remove(&scene.scene_id);
                let cached = answer.cached_age_ms.is_some();
                Some(Draft::of(&answer.reply.text, cached, &self.story.yardstick, scene))
            }
            Err(error) => {
                *attempts += u64::from(error.attempts());
                self.failures.insert(scene.scene_id.clone(), (error.kind().into(), error.to_string()));
                if let Some(why) = ends_the_run(error) {
                    self.end(why);
                }
                None
            }
        }
    }

    fn request(&self, brief: &Brief<'_>, repair: u64) -> Result<Request, serde_json::Error> {
        let prompt = Prompt::of(brief)?;
        let scene_id = &brief.scene.scene_id;
        let call_key = call_key(scene_id, repair);
        Ok(Request {
            seed: self.seed(&call_key),
            call_key,
            model: self.options.model.clone(),
            system: prompt.system.into(),
            messages: vec![Message::user(prompt.user)],
            max_tokens: prompt.max_tokens,
            temperature: self.options.temperature,
        })
    }

    fn seed(&self, call_key: &str) -> Seed {
        if crate::sabotage!("output-depends-on-order") {
            static CALLS: AtomicU64 = AtomicU64::new(0);
            return self.options.seed.derive("order", CALLS.fetch_add(1, Ordering::Relaxed));
        }
        self.options.seed.stream(call_key)
    }
}

/// The name of a call in its run: of the first for a scene, or of its repair with this number.
#[must_use]
pub fn call_key(scene_id: &str, repair: u64) -> String {
    match repair {
        0 => format!("scene:{scene_id}"),
        number => format!("repair-{number}:{scene_id}"),
    }
}

/// Whether an error would meet every further call too.
fn ends_the_run(error: CallError) -> Option<Ended> {
    match error {
        CallError::Budget { violation, .. } => Some(Ended::Budget(violation)),
        CallError::Store { detail, .. } => Some(Ended::Store { detail }),
        CallError::Provider { error, .. } => match error {
            ProviderError::Auth { .. } | ProviderError::BadRequest { .. } | ProviderError::NotCached { .. } => {
                Some(Ended::Provider { word: error.kind().into(), detail: error.to_string() })
            }
            _ => None,
        },
    }
}
