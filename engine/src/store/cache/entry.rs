//! The bytes of a cache entry: digest of the header, header, payload. Nothing in it is believed before it verifies.

use contract::canonical::{self, JsonError};
use contract::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Facts;
use crate::clock::UtcMillis;
use crate::store::atomic::Durability;

const SCHEMA: &str = "proofhouse.cache/1";

/// A verified entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was stored.
    pub created: UtcMillis,
    /// How durably it was stored.
    pub durability: Durability,
    /// Who gave the reply and how.
    pub facts: Facts,
    /// The reply.
    pub payload: Vec<u8>,
}

/// Why an entry does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The first two lines are not those of an entry.
    Header,
    /// The header does not have its digest.
    HeaderDigest,
    /// It is the entry of another key.
    Key,
    /// The payload is shorter or longer than the header says.
    Length,
    /// The payload does not have its digest.
    PayloadDigest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    created_ms: UtcMillis,
    durability: Durability,
    facts: Facts,
    key: Digest,
    payload_bytes: u64,
    payload_sha256: Digest,
    schema: String,
}

pub(super) fn encode(
    key: &Digest,
    created: UtcMillis,
    durability: Durability,
    facts: &Facts,
    payload: &[u8],
) -> Result<Vec<u8>, JsonError> {
    let header = canonical::to_bytes(&Header {
        created_ms: created,
        durability,
        facts: facts.clone(),
        key: *key,
        payload_bytes: payload.len() as u64,
        payload_sha256: Digest::of(payload),
        schema: SCHEMA.into(),
    })?;
    let mut bytes = Vec::with_capacity(header.len() + payload.len() + 66);
    bytes.extend_from_slice(Digest::of(&header).to_string().as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(&header);
    bytes.push(b'\n');
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Verifies everything that an entry says about itself.
pub(super) fn decode(key: &Digest, mut bytes: Vec<u8>) -> Result<Entry, Damage> {
    let (first, rest) = split_line(&bytes).ok_or(Damage::Header)?;
    let (header_bytes, payload) = split_line(rest).ok_or(Damage::Header)?;
    let stored = std::str::from_utf8(first).ok().and_then(Digest::parse).ok_or(Damage::Header)?;
    if Digest::of(header_bytes) != stored {
        return Err(Damage::HeaderDigest);
    }
    let header: Header = serde_json::from_slice(header_bytes).map_err(|_| Damage::Header)?;
    if header.schema != SCHEMA {
        return Err(Damage::Header);
    }
    if header.key != *key {
        return Err(Damage::Key);
    }
    if header.payload_bytes != payload.len() as u64 {
        return Err(Damage::Length);
    }
    if Digest::of(payload) != header.payload_sha256 && !crate::sabotage!("checksum-ignored") {
        return Err(Damage::PayloadDigest);
    }
    let payload_at = bytes.len() - payload.len();
    bytes.drain(..payload_at);
    Ok(Entry { created: header.created_ms, durability: header.durability, facts: header.facts, payload: bytes })
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
