//! One POST over HTTP, as both HTTP providers need it: no redirects, no retries, no reused connections, and no word of
//! the key in anything that comes back.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::secret::Secret;
use super::{NetworkFault, ProviderError};
use crate::clock::Clock;
use crate::pipeline::retry_after;

/// Longest body that is read; prose is a thousandth of it.
const BODY_BYTES: usize = 16 << 20;

/// Longest piece of a server's error message that is passed on.
const DETAIL_CHARS: usize = 200;

/// Makes requests to one endpoint with one key.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: reqwest::Client,
    base: String,
    key: Secret,
    clock: Clock,
}

/// A good answer.
pub(super) struct Body {
    pub(super) json: Value,
    pub(super) request_id: Option<String>,
}

impl Endpoint {
    /// Checks the base URL and makes the client.
    ///
    /// # Errors
    /// A sentence: no URL, user info in it, or neither https nor loopback (SCR-24).
    pub(super) fn new(base_url: &str, key: Secret) -> Result<Self, String> {
        let base = check_base(base_url)?;
        // A second installation is refused, and the first is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A kept connection that died is tried again inside the client, which would be a second request unseen.
            .pool_max_idle_per_host(0)
            .http1_only()
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, base, key, clock: Clock::real() })
    }

    /// The base URL, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends `body` to `path` with the key in `key_header`, behind `key_prefix`.
    pub(super) async fn post(
        &self,
        path: &str,
        (key_header, key_prefix): (&'static str, &str),
        extra: &[(&'static str, &'static str)],
        body: &Value,
    ) -> Result<Body, ProviderError> {
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::from_str(&format!("{key_prefix}{}", self.key.reveal()))
            .map_err(|_| ProviderError::Auth { detail: "the key cannot stand in a header".into() })?;
        key.set_sensitive(true);
        headers.insert(HeaderName::from_static(key_header), key);
        for (name, value) in extra {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let request = self.client.post(format!("{}{path}", self.base)).headers(headers).json(body);
        let response = request.send().await.map_err(|error| fault(&error))?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
        let retry_after = retry_after::parse(header(RETRY_AFTER.as_str()), self.clock.now());
        let request_id = header("x-request-id").or_else(|| header("request-id"));
        let request_id = request_id.map(|id| String::from_utf8_lossy(&self.key.redact(id.to_vec())).into_owned());
        let bytes = self.key.redact(read(response).await?);
        if !status.is_success() {
            return Err(ProviderError::from_status(status.as_u16(), retry_after, detail(&bytes)));
        }
        let json = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        Ok(Body { json, request_id })
    }
}

/// The base URL without a slash at its end; https, or loopback.
fn check_base(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("base URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("base URL: user name and password do not belong there; the key comes from the environment".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("base URL: neither query nor fragment belongs there".into());
    }
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    match (url.scheme(), loopback) {
        ("https", _) | ("http", true) => Ok(text.trim_end_matches('/').to_owned()),
        ("http", false) => Err("base URL: plain http is for loopback addresses only; use https".into()),
        (scheme, _) => Err(format!("base URL: `{scheme}` is neither https nor http")),
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, ProviderError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| fault(&error))? {
        if bytes.len() + piece.len() > BODY_BYTES {
            return Err(invalid(format!("the body is longer than {BODY_BYTES} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What went wrong below HTTP. The text of the error is not passed on: it holds the URL.
fn fault(error: &reqwest::Error) -> ProviderError {
    if error.is_timeout() {
        return ProviderError::Timeout;
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.downcast_ref::<std::io::Error>().is_some() {
            return ProviderError::Network(NetworkFault::Closed);
        }
        source = inner.source();
    }
    ProviderError::Network(if error.is_connect() { NetworkFault::Connect } else { NetworkFault::Closed })
}

pub(super) fn invalid(detail: String) -> ProviderError {
    ProviderError::InvalidJson { detail }
}

/// Both protocols put a message at `/error/message`.
fn detail(bytes: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(bytes)
        .ok()
        .and_then(|body| Some(body.pointer("/error/message")?.as_str()?.to_owned()));
    let message = message.unwrap_or_else(|| "no message".into());
    message.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scr_24_base_urls() {
        for good in [
            "https://api.openai.com/v1",
            "https://api.openai.com/v1/",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://localhost:1/v1",
            "http://[::1]:8080",
        ] {
            assert_eq!(check_base(good).as_deref(), Ok(good.trim_end_matches('/')));
        }
        for (bad, reason) in [
            ("http://api.openai.com/v1", "plain http"),
            ("http://127.0.0.1.example.com", "plain http"),
            ("http://10.0.0.1", "plain http"),
            ("ftp://127.0.0.1", "neither"),
            ("https://user:pass@api.openai.com", "user name"),
            ("https://key@api.openai.com", "user name"),
            ("https://api.openai.com/v1?key=1", "query"),
            ("api.openai.com", "base URL"),
            ("", "base URL"),
        ] {
            let refused = check_base(bad).expect_err(bad);
            assert!(refused.contains(reason) && !refused.contains("pass@"), "{bad}: {refused}");
        }
    }
}
