//! Normalisers `jsonl-timing/1` and `json-timing/1`: evidence without its timing fields, in one spelling (PPK-13).

use contract::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::codes::{Code, Fault, Reason};
use super::json::{Encoder, JsonFault, STRICT};
use super::layout::{Class, MediaType, ROW_MAX, Tables};
use super::manifest::{JSON_TIMING, JSONL_TIMING};

/// Name of the normaliser for a media type; `None` where nothing can be left out.
#[must_use]
pub fn name_for(media_type: MediaType) -> Option<&'static str> {
    match media_type {
        MediaType::Jsonl => Some(JSONL_TIMING),
        MediaType::Json => Some(JSON_TIMING),
        MediaType::CycloneDx | MediaType::Text | MediaType::Bytes => None,
    }
}

/// Normalises rows or documents one after another; the buffers are kept.
#[derive(Debug)]
pub struct Normaliser {
    volatile_fields: fn(&str) -> Option<&'static [&'static str]>,
    encoder: Encoder,
    /// The schema of the row before: rows of a file nearly always share it, so one pass is enough.
    known: Option<(String, &'static [&'static str])>,
}

impl Normaliser {
    /// A normaliser over the contract's tables.
    #[must_use]
    pub fn new(tables: &Tables) -> Self {
        Self { volatile_fields: tables.volatile_fields, encoder: Encoder::default(), known: None }
    }

    /// One row or document without its timing fields, sorted and bare, without a line end.
    ///
    /// # Errors
    /// `E_EVIDENCE json` with the offset in `text`, `E_EVIDENCE schema` when the contract does not know it.
    pub fn normalise(&mut self, text: &[u8]) -> Result<&[u8], Fault> {
        let guess = self.known.as_ref().map_or(&[][..], |(_, fields)| *fields);
        self.encoder.encode(text, STRICT, guess).map_err(unreadable)?;
        let found = self.encoder.schema();
        if found.is_none() || found != self.known.as_ref().map(|(schema, _)| schema.as_str()) {
            let schema = found.unwrap_or("").to_owned();
            let Some(fields) = (self.volatile_fields)(&schema) else {
                return Err(Fault::new(Code::Evidence, Reason::Schema).expected("a known schema").found(schema));
            };
            self.known = Some((schema, fields));
            return self.encoder.encode(text, STRICT, fields).map_err(unreadable);
        }
        Ok(self.encoder.encoded())
    }

    /// Checks that a row or document is strict JSON, whatever its schema.
    ///
    /// # Errors
    /// `E_EVIDENCE json` with the offset in `text`.
    pub fn check(&mut self, text: &[u8]) -> Result<(), Fault> {
        self.encoder.encode(text, STRICT, &[]).map(|_| ()).map_err(unreadable)
    }
}

fn unreadable(fault: JsonFault) -> Fault {
    Fault::new(Code::Evidence, Reason::Json).offset(fault.offset as u64).found(fault.what)
}

/// Reads a row file piece by piece, holding at most one row.
#[derive(Debug)]
pub struct RowFile {
    normaliser: Normaliser,
    normalised: Option<Sha256>,
    /// A row whose end has not come yet.
    carry: Vec<u8>,
    /// Where the current row begins in the file.
    offset: u64,
    /// Rows read so far.
    rows: u64,
}

impl RowFile {
    /// Starts a file; only class `normalised` needs its rows rewritten.
    #[must_use]
    pub fn new(tables: &Tables, class: Class) -> Self {
        let normalised = (class == Class::Normalised).then(Sha256::new);
        Self { normaliser: Normaliser::new(tables), normalised, carry: Vec::new(), offset: 0, rows: 0 }
    }

    /// Takes the next bytes and gives every row that is complete, without its LF, to `each` with its offset.
    ///
    /// # Errors
    /// `E_LIMIT row` above 1 MiB, and what [`Normaliser`] refuses; offsets count from the start of the file.
    pub fn piece(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &[u8])) -> Result<(), Fault> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.carry.len() + part.len() > ROW_MAX {
                let fault = Fault::new(Code::Limit, Reason::Row).offset(self.offset);
                return Err(fault.expected(format!("at most {ROW_MAX} bytes")));
            }
            match (part.strip_suffix(b"\n"), self.carry.is_empty()) {
                (Some(row), true) => self.row(row, &mut each)?,
                (Some(end), false) => {
                    self.carry.extend_from_slice(end);
                    let row = std::mem::take(&mut self.carry);
                    self.row(&row, &mut each)?;
                    self.carry = row;
                    self.carry.clear();
                }
                (None, _) => self.carry.extend_from_slice(part),
            }
        }
        Ok(())
    }

    /// Ends the file: its normalised digest (for class `normalised`) and its count of rows.
    ///
    /// # Errors
    /// `E_EVIDENCE row` when the last row has no LF: it may be torn.
    pub fn finish(self) -> Result<(Option<Digest>, u64), Fault> {
        if !self.carry.is_empty() {
            let fault = Fault::new(Code::Evidence, Reason::Row).offset(self.offset);
            return Err(fault.expected("a line end after the last row"));
        }
        Ok((self.normalised.map(|hash| Digest::from_bytes(hash.finalize().into())), self.rows))
    }

    fn row(&mut self, row: &[u8], each: &mut impl FnMut(u64, &[u8])) -> Result<(), Fault> {
        let place = |mut fault: Fault, start: u64| {
            fault.offset = Some(start + fault.offset.unwrap_or(0));
            fault
        };
        match &mut self.normalised {
            Some(hash) => {
                let encoded = self.normaliser.normalise(row).map_err(|fault| place(fault, self.offset))?;
                hash.update(encoded);
                hash.update(b"\n");
            }
            None => self.normaliser.check(row).map_err(|fault| place(fault, self.offset))?,
        }
        each(self.offset, row);
        self.offset += row.len() as u64 + 1;
        self.rows += 1;
        Ok(())
    }
}

/// The digest of a whole document under `json-timing/1`.
///
/// # Errors
/// As [`Normaliser::normalise`].
pub fn document(tables: &Tables, text: &[u8]) -> Result<Digest, Fault> {
    let mut normaliser = Normaliser::new(tables);
    let mut hash = Sha256::new();
    hash.update(normaliser.normalise(text)?);
    hash.update(b"\n");
    Ok(Digest::from_bytes(hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLES: Tables = Tables {
        class_of: |_| None,
        volatile_fields: |schema| match schema {
            "run/1" => Some(&["start_ns", "worker"]),
            "plain/1" => Some(&[]),
            _ => None,
        },
        claim_of: |_| None,
    };

    fn rows(text: &str, pieces: usize) -> Result<Option<Digest>, Fault> {
        let mut file = RowFile::new(&TABLES, Class::Normalised);
        text.as_bytes().chunks(pieces).try_for_each(|piece| file.piece(piece, |_, _| ()))?;
        file.finish().map(|(digest, _)| digest)
    }

    fn of(normalised: &str) -> Result<Option<Digest>, Fault> {
        Ok(Some(Digest::of(normalised.as_bytes())))
    }

    #[test]
    fn ppk_13_rows_lose_the_fields_of_their_schema() {
        let file = "{\"schema\":\"run/1\",\"start_ns\":5,\"score\":0.50,\"calls\":[{\"worker\":2,\"b\":1,\"a\":0}]}\n\
                    {\"score\":1,\"schema\":\"run/1\",\"worker\":1}\n\
                    {\"worker\":3,\"schema\":\"plain/1\"}\n";
        let normalised = "{\"calls\":[{\"a\":0,\"b\":1}],\"schema\":\"run/1\",\"score\":0.50}\n\
                          {\"schema\":\"run/1\",\"score\":1}\n\
                          {\"schema\":\"plain/1\",\"worker\":3}\n";
        for pieces in [1, 7, 64, 4096] {
            assert_eq!(rows(file, pieces), of(normalised), "{pieces}");
        }
        assert_eq!(rows("", 1), of(""));
    }

    #[test]
    fn ppk_13_a15_a16_timing_does_not_count_and_scores_do() {
        let row = |start: u64, score: &str| {
            rows(&format!("{{\"schema\":\"run/1\",\"start_ns\":{start},\"score\":{score}}}\n"), 9)
        };
        assert_eq!(row(1, "0.5"), row(99, "0.5"));
        assert_ne!(row(1, "0.5"), row(1, "0.50"), "a number token is a fact of the row");
        assert_ne!(row(1, "0.5"), row(1, "0.6"));
    }

    #[test]
    fn ppk_13_refusals_name_the_byte() {
        let good = "{\"schema\":\"run/1\"}\n";
        for (row, code, reason, offset) in [
            ("{\"schema\":\"run/2\"}\n", Code::Evidence, Reason::Schema, 19),
            ("{}\n", Code::Evidence, Reason::Schema, 19),
            ("[]\n", Code::Evidence, Reason::Schema, 19),
            ("\n", Code::Evidence, Reason::Json, 19),
            ("{\"schema\":\"run/1\",}\n", Code::Evidence, Reason::Json, 19 + 18),
            ("{\"schema\":\"run/1\"}", Code::Evidence, Reason::Row, 19),
            ("{\"schema\":\"run/1\"} {}\n", Code::Evidence, Reason::Json, 19 + 19),
        ] {
            let fault = rows(&format!("{good}{row}"), 5).expect_err(row);
            assert_eq!((fault.code, fault.reason, fault.offset), (code, reason, Some(offset)), "{row}");
        }
    }

    #[test]
    fn ppk_12_row_limit_is_exact() {
        let row = |length: usize| format!("{{\"schema\":\"run/1\",\"a\":\"{}\"}}\n", "x".repeat(length - 26));
        assert_eq!(row(100).len(), 100);
        assert!(rows(&row(ROW_MAX), 65_536).is_ok());
        let fault = rows(&row(ROW_MAX + 1), 65_536).expect_err("one byte over");
        assert_eq!((fault.code, fault.reason), (Code::Limit, Reason::Row));
    }

    #[test]
    fn ppk_13_documents() {
        let digest = document(&TABLES, b"{\n  \"worker\": 1,\n  \"schema\": \"run/1\"\n}\n").expect("a document");
        assert_eq!(digest, Digest::of(b"{\"schema\":\"run/1\"}\n"));
        assert!(document(&TABLES, b"{\"schema\":\"run/1\"}{}").is_err());
    }

    proptest! {
        #[test]
        fn ppk_18_pieces_do_not_matter(text in "(\\{\"schema\":\"run/1\"\\}\n|\\{\\}\n|[a-z\n]){0,6}", pieces in 1_usize..40) {
            prop_assert_eq!(rows(&text, pieces), rows(&text, 4096));
        }
    }
}
