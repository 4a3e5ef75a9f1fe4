//! Layer validate: only a reply with whole, non-empty text is a success (HRD-2). It stands outside the meter, because a
//! bad reply is paid for like a good one, and inside retry, because it is worth another try.

use super::attempt::Attempt;
use super::meter::Meter;
use crate::provider::{ProviderError, Reply, StopReason};

/// The layer.
#[derive(Debug)]
pub(super) struct Validate {
    pub(super) inner: Meter,
}

impl Validate {
    pub(super) async fn call(&self, attempt: &mut Attempt<'_>) -> Result<Reply, ProviderError> {
        let reply = self.inner.call(attempt).await?;
        check(&reply)?;
        if let Some(charge) = &mut attempt.charge {
            charge.accepted = true;
        }
        Ok(reply)
    }
}

fn check(reply: &Reply) -> Result<(), ProviderError> {
    match reply.stop_reason {
        StopReason::Complete => {}
        StopReason::Length => return Err(ProviderError::Truncated),
        StopReason::Refused => return Err(ProviderError::Refused),
    }
    if reply.text.trim().is_empty() && !crate::sabotage!("empty-reply-accepted") {
        return Err(ProviderError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hrd_2_only_whole_text_is_a_success() {
        let reply = |text: &str, stop_reason| Reply {
            text: text.into(),
            stop_reason,
            usage: None,
            provider: "test",
            request_id: None,
        };
        assert_eq!(check(&reply("Rain.", StopReason::Complete)), Ok(()));
        for blank in ["", " ", "\n\t\u{a0}"] {
            assert_eq!(check(&reply(blank, StopReason::Complete)), Err(ProviderError::Empty), "{blank:?}");
        }
        assert_eq!(check(&reply("Rai", StopReason::Length)), Err(ProviderError::Truncated));
        assert_eq!(check(&reply("I cannot.", StopReason::Refused)), Err(ProviderError::Refused));
    }
}
