//! Layer cached: a reply that was paid for once is not paid for again, and is marked with its age (HRD-1). What gets here
//! from below has passed validation, so errors, empty and cut replies are never kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attempt::{Answer, CallContext, CallError};
use super::journal::Journal;
pub(super) use super::retry::Outcome;
use super::retry::Retry;
use crate::provider::{Identity, Reply, Request, StopReason, Usage};
use crate::store::cache::{Cache, Facts, Lookup};

/// The layer.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) inner: Retry,
    pub(super) identity: Identity,
    pub(super) cache: Option<Cache>,
    pub(super) journal: Arc<Journal>,
}

/// What an entry holds: the parts of a reply that a later run needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    text: String,
    usage: Option<Usage>,
    request_id: Option<String>,
}

impl Cached {
    pub(super) async fn call(&self, call: &CallContext, request: &Request) -> Outcome {
        let Some(cache) = &self.cache else {
            return self.inner.call(call, request).await;
        };
        let found = request.cache_key(&self.identity).and_then(|key| Ok((key, self.look_up(cache, &key)?)));
        let key = match found {
            Ok((_, Some(answer))) => return Outcome { result: Ok(answer), charges: Vec::new() },
            Ok((key, None)) => key,
            // Asking the provider instead would buy again what may be there, without a word.
            Err(detail) => {
                return Outcome { result: Err(CallError::Store { detail, attempts: 0 }), charges: Vec::new() };
            }
        };
        let outcome = self.inner.call(call, request).await;
        if let Ok(answer) = &outcome.result
            && let Err(problem) = self.keep(cache, &key, request, &answer.reply)
        {
            self.journal.cache_problem(problem);
        }
        outcome
    }

    fn look_up(&self, cache: &Cache, key: &contract::digest::Digest) -> Result<Option<Answer>, String> {
        let entry = match cache.get(key).map_err(|error| error.to_string())? {
            Lookup::Hit(entry) => entry,
            Lookup::Absent => return Ok(None),
            Lookup::Quarantined(damage) => {
                self.journal.cache_problem(format!("entry {key} was set aside and is bought again: {damage:?}"));
                return Ok(None);
            }
        };
        let kept: Kept = serde_json::from_slice(&entry.payload)
            .map_err(|error| format!("cache entry {key} verifies but holds no reply: {error}"))?;
        let reply = Reply {
            text: kept.text,
            stop_reason: StopReason::Complete,
            usage: kept.usage,
            provider: self.identity.provider,
            request_id: kept.request_id,
        };
        Ok(Some(Answer { reply, attempts: 0, cached_age_ms: Some(cache.age_ms(&entry)) }))
    }

    fn keep(
        &self,
        cache: &Cache,
        key: &contract::digest::Digest,
        request: &Request,
        reply: &Reply,
    ) -> Result<(), String> {
        let kept = Kept { text: reply.text.clone(), usage: reply.usage, request_id: reply.request_id.clone() };
        let bytes = contract::canonical::to_bytes(&kept).map_err(|error| error.to_string())?;
        let facts = Facts::from([
            ("provider".to_owned(), self.identity.provider.to_owned()),
            ("model".to_owned(), request.model.clone()),
        ]);
        cache.put(key, &facts, &bytes).map_err(|error| format!("a reply could not be kept: {error}"))
    }
}
