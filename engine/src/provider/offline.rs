//! The provider that asks nobody: the cache must hold every reply, under the keys of the provider it stands for.

use super::{Identity, Pending, Provider, ProviderError, Request};

/// Answers nothing; a miss is an error that names the key.
#[derive(Debug)]
pub struct Offline {
    stands_for: Identity,
}

impl Offline {
    /// Stands for the provider of this identity, so that its cache entries are found.
    #[must_use]
    pub fn new(stands_for: Identity) -> Self {
        Self { stands_for }
    }
}

impl Provider for Offline {
    fn identity(&self) -> &Identity {
        &self.stands_for
    }

    fn needs_real_time(&self) -> bool {
        false
    }

    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a> {
        Box::pin(async move {
            let key = request.cache_key(&self.stands_for).map(|key| key.to_string());
            Err(ProviderError::NotCached { key: key.unwrap_or_else(|problem| problem) })
        })
    }
}
