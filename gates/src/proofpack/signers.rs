//! The caller's list of trusted keys, in the format of `ssh-keygen` (`ALLOWED SIGNERS` in its manual) (PPK-33).
//!
//! Trust comes from this list alone. Where OpenSSH and we could read a line differently, the line is refused or trusts
//! less; one difference is wanted: a time without `Z` is UTC here, because a verdict on trust must not depend on the
//! time zone of the machine that asks.

use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use super::codes::{Code, Fault, Reason};

/// The namespace that signatures of a pack are made for; a key must be granted it.
pub const NAMESPACE: &str = "proofpack@proofhouse";

/// Keys and what each may vouch for.
#[derive(Clone, Debug)]
pub struct AllowedSigners(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    principals: String,
    key: KeyData,
    options: Options,
}

#[derive(Clone, Debug, Default)]
struct Options {
    is_authority: bool,
    namespaces: Option<String>,
    /// Seconds since 1970, both ends included.
    valid_after: Option<u64>,
    valid_before: Option<u64>,
}

/// Whom the caller asks about, and when.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The caller's list.
    pub signers: &'a AllowedSigners,
    /// Who must have signed.
    pub principal: &'a str,
    /// The time that validity is judged at, in seconds since 1970.
    pub at: u64,
}

impl Trust<'_> {
    /// Whether `key` may sign packs for the principal at that time.
    ///
    /// # Errors
    /// `untrusted`, or, if only that kept a line from granting it, `namespace` or `expired`.
    pub fn grant(&self, key: &KeyData) -> Result<(), Reason> {
        let mut refusal = Reason::Untrusted;
        for Entry { options, .. } in self.entries().filter(|entry| entry.key == *key) {
            if options.namespaces.as_ref().is_some_and(|patterns| !matches_list(patterns, NAMESPACE)) {
                refusal = Reason::Namespace;
            } else if options.valid_after.is_some_and(|after| self.at < after)
                || options.valid_before.is_some_and(|before| self.at > before)
            {
                refusal = Reason::Expired;
            } else {
                return Ok(());
            }
        }
        Err(refusal)
    }

    /// The keys that [`Trust::grant`] accepts.
    pub fn keys(&self) -> impl Iterator<Item = &KeyData> {
        self.entries().map(|entry| &entry.key).filter(|key| self.grant(key).is_ok())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let named = |entry: &&Entry| !entry.options.is_authority && matches_list(&entry.principals, self.principal);
        self.signers.0.iter().filter(named)
    }
}

/// The fingerprint that `ssh-keygen -l` shows.
#[must_use]
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

impl AllowedSigners {
    /// Reads a list. Lines with keys of other types are skipped, as such a key cannot sign a pack.
    ///
    /// # Errors
    /// `E_USAGE` with the line, when any other line cannot be read: half a list is not what the caller meant.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let refuse = |line: usize, what: &str| {
            Fault::new(Code::Usage, Reason::Arguments).at("allowed signers").found(format!("line {line}: {what}"))
        };
        let text = std::str::from_utf8(text).map_err(|_| refuse(1, "not UTF-8"))?;
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_matches([' ', '\t', '\r']);
            if !line.is_empty() && !line.starts_with('#') {
                entries.extend(parse_line(line).map_err(|what| refuse(index + 1, what))?);
            }
        }
        Ok(Self(entries))
    }
}

/// `None` for a key of another type.
fn parse_line(line: &str) -> Result<Option<Entry>, &'static str> {
    let (principals, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("principals without a closing quote")?,
        None => line.split_once([' ', '\t']).ok_or("no key")?,
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    if principals.is_empty() {
        return Err("no principal");
    }
    let is_key_type = |text: &str| ["ssh-", "sk-", "ecdsa-"].iter().any(|start| text.starts_with(start));
    let (options, key) = if is_key_type(rest) {
        (Options::default(), rest)
    } else {
        let end = options_end(rest)?;
        (parse_options(&rest[..end])?, rest[end..].trim_start_matches([' ', '\t']))
    };
    if !is_key_type(key) {
        return Err("no key after the options");
    }
    if !key.starts_with("ssh-ed25519 ") && !key.starts_with("sk-ssh-ed25519@openssh.com ") {
        return Ok(None);
    }
    let key = PublicKey::from_openssh(key).map_err(|_| "key is not readable")?;
    Ok(Some(Entry { principals: principals.to_owned(), key: key.key_data().clone(), options }))
}

/// Where the options end: the first blank outside quotes.
fn options_end(text: &str) -> Result<usize, &'static str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => is_quoted = !is_quoted,
            b' ' | b'\t' if !is_quoted => return Ok(at),
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    Err(if is_quoted { "option without a closing quote" } else { "no key after the options" })
}

fn parse_options(mut text: &str) -> Result<Options, &'static str> {
    let mut options = Options::default();
    loop {
        let end = text.find(['=', ',']).unwrap_or(text.len());
        let name = text[..end].to_ascii_lowercase();
        let mut value = None;
        text = &text[end..];
        if let Some(quoted) = text.strip_prefix("=\"") {
            // A value with an escaped quote is legal but never needed for these options.
            let (inner, after) = quoted.split_once('"').ok_or("option without a closing quote")?;
            if inner.contains('\\') {
                return Err("backslash in an option");
            }
            value = Some(inner);
            text = after;
        }
        match (name.as_str(), value) {
            ("cert-authority", None) => options.is_authority = true,
            ("namespaces", Some(list)) => set(&mut options.namespaces, list.to_owned())?,
            ("valid-after", Some(time)) => set(&mut options.valid_after, parse_time(time)?)?,
            ("valid-before", Some(time)) => set(&mut options.valid_before, parse_time(time)?)?,
            _ => return Err("unknown option, or an option without its value"),
        }
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.is_empty() => return Ok(options),
            None => return Err("option without a comma before the next"),
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if slot.is_some() {
        return Err("an option twice");
    }
    *slot = Some(value);
    Ok(())
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with or without `Z`, as seconds since 1970 in UTC.
///
/// # Errors
/// Anything else, and dates that no calendar has.
pub fn parse_time(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "time is not YYYYMMDD[HHMM[SS]][Z]";
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Ok(0), str::parse::<u64>).map_err(|_| WRONG);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_days = |month: u64| match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=month_days(month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return Err(WRONG);
    }
    let days = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum::<u64>()
        + (1..month).map(month_days).sum::<u64>()
        + (day - 1);
    Ok(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// OpenSSH pattern list: some pattern matches, and none of those with `!` does.
fn matches_list(patterns: &str, name: &str) -> bool {
    let is_negated = |pattern: &str| pattern.strip_prefix('!').is_some_and(|negated| matches(negated, name));
    let mut all = patterns.split(',');
    !patterns.split(',').any(is_negated) && all.any(|pattern| !pattern.starts_with('!') && matches(pattern, name))
}

/// `*` is any run of bytes, `?` any one byte. Goes back to the last `*` only, so work is at most length times length.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = name.get(in_name) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at = star_at + 1;
                    in_name = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

    fn granted(list: &str, principal: &str, at: u64) -> Result<(), Reason> {
        let signers = AllowedSigners::parse(list.as_bytes()).expect("the list of this test is valid");
        let key = PublicKey::from_openssh(KEY).expect("the key of this test is valid");
        Trust { signers: &signers, principal, at }.grant(key.key_data())
    }

    #[test]
    fn ppk_33_options_are_obeyed() {
        use Reason::{Expired, Namespace, Untrusted};
        for (line, expected) in [
            (format!("ann {KEY}"), Ok(())),
            (format!("# trusted\n\n\tbob,ann\t{KEY} comment here\r"), Ok(())),
            (format!("\"ann, bob\" {KEY}"), Ok(())),
            (format!("a*,!bob {KEY}"), Ok(())),
            (format!("*,!a?n {KEY}"), Err(Untrusted)),
            (format!("Ann {KEY}"), Err(Untrusted)),
            (format!("ann {OTHER}"), Err(Untrusted)),
            (format!("ann cert-authority {KEY}"), Err(Untrusted)),
            (format!("ann namespaces=\"git,proofpack@*\" {KEY}"), Ok(())),
            (format!("ann namespaces=\"*,!proofpack@proofhouse\" {KEY}"), Err(Namespace)),
            (format!("ann namespaces=\"git\" {KEY}"), Err(Namespace)),
            (format!("ann valid-after=\"19700101000100Z\" {KEY}"), Ok(())),
            (format!("ann valid-after=\"19700101000101Z\" {KEY}"), Err(Expired)),
            (format!("ann valid-before=\"19700101000100\" {KEY}"), Ok(())),
            (format!("ann valid-before=\"19700101000059\" {KEY}"), Err(Expired)),
            (format!("ann NAMESPACES=\"git\",valid-after=\"19700101\" {KEY}\nann {KEY}"), Ok(())),
            (format!("ann ssh-rsa AAAAB3NzaC1yc2EAAAA=\nann {KEY}"), Ok(())),
            (String::new(), Err(Untrusted)),
        ] {
            assert_eq!(granted(&line, "ann", 60), expected, "{line}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused_with_its_line() {
        for (line, what) in [
            ("ann", "no key"),
            ("ann ssh-ed25519 AAAA", "not readable"),
            ("\"ann ssh-ed25519 AAAA", "closing quote"),
            ("ann namespaces=\"git ssh-ed25519", "closing quote"),
            ("ann namespaces=\"git\" nokey", "no key after"),
            ("ann namespaces=git ssh-ed25519 A", "unknown option"),
            ("ann verify-required ssh-ed25519 A", "unknown option"),
            ("ann namespaces=\"a\",namespaces=\"b\" ssh-ed25519 A", "twice"),
            ("ann namespaces=\"a\"valid-after=\"19700101\" ssh-ed25519 A", "comma"),
            ("ann valid-after=\"20230229\" ssh-ed25519 A", "time is not"),
            ("ann valid-after=\"2023\" ssh-ed25519 A", "time is not"),
        ] {
            let fault = AllowedSigners::parse(format!("# one\n{line}\n").as_bytes()).expect_err(line);
            let found = fault.found.expect("the fault says what it found");
            assert!(
                fault.code == Code::Usage && found.starts_with("line 2: ") && found.contains(what),
                "{line}: {found}"
            );
        }
    }

    #[test]
    fn times_are_utc_seconds() {
        for (text, seconds) in [
            ("19700101", 0),
            ("20000229Z", 951_782_400),
            ("20260101120000", 1_767_268_800),
            ("202601011200Z", 1_767_268_800),
            ("99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "20260001", "20261301", "20260132", "2026010124", "202601012400", "20260101Z0", "+2026010", "19691231"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn many_stars_take_little_work() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(matches(&"*a".repeat(500), &"a".repeat(500)));
    }
}
