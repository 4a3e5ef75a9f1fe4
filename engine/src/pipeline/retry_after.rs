//! Reads `Retry-After`: seconds, fractions of seconds, or an HTTP date. Anything else is ignored and counted (HRD-41).

use std::time::{Duration, UNIX_EPOCH};

use crate::clock::UtcMillis;
use crate::provider::error::RetryAfter;

/// What a `Retry-After` header says at `now`. A date that has passed means no wait; an amount beyond every clock
/// saturates, so that the limit on waits refuses it instead of the parser.
#[must_use]
pub fn parse(header: Option<&[u8]>, now: UtcMillis) -> RetryAfter {
    let Some(bytes) = header else {
        return RetryAfter::default();
    };
    let text = std::str::from_utf8(bytes).map(str::trim);
    let wait = text.ok().and_then(|text| seconds(text).or_else(|| until_date(text, now)));
    RetryAfter { wait, malformed: wait.is_none() }
}

/// ASCII digits with at most one point between digits. Not `f64::from_str`, which reads `inf`, `1e9` and `-0` as well.
fn seconds(text: &str) -> Option<Duration> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds = whole.parse().unwrap_or(u64::MAX);
    // Nanoseconds by the first nine digits; the rest is below what any clock tells.
    let nanos =
        fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, byte| n * 10 + u32::from(byte - b'0'));
    Some(Duration::new(seconds, nanos))
}

fn until_date(text: &str, now: UtcMillis) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(now.0);
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW: UtcMillis = UtcMillis(1_767_225_600_000);

    #[test]
    fn every_form() {
        for (text, wait_ms) in [
            ("0", Some(0)),
            ("2", Some(2_000)),
            (" 2 ", Some(2_000)),
            ("1.5", Some(1_500)),
            ("0.001", Some(1)),
            ("0.25000000000000000001", Some(250)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30_000)),
            ("Thu Jan  1 00:00:30 2026", Some(30_000)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_635_075_199_000)),
            ("²", None),
            ("٣", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            ("1.", None),
            (".5", None),
            ("1.2.3", None),
            ("1,5", None),
            ("2 seconds", None),
            ("Thu, 32 Jan 2026 00:00:30 GMT", None),
        ] {
            let read = parse(Some(text.as_bytes()), NOW);
            assert_eq!(read.wait.map(|wait| wait.as_millis()), wait_ms, "{text:?}");
            assert_eq!(read.malformed, wait_ms.is_none(), "{text:?}");
        }
        assert_eq!(parse(None, NOW), RetryAfter::default(), "absent is not malformed");
        assert!(parse(Some(b"\xff"), NOW).malformed);
        assert_eq!(
            parse(Some(b"99999999999999999999999"), NOW).wait,
            Some(Duration::new(u64::MAX, 0)),
            "too much is not malformed"
        );
    }
}
