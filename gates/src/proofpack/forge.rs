//! A second hand at the ZIP format: archives byte by byte, right or wrong in any one field.
//!
//! It shares no code with the writer, so that tests and the self-attack do not agree with it by construction.

/// Bytes that replace what stands at an offset of a record.
pub type Patch = (usize, Vec<u8>);

/// One member, with what its records tell wrongly.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Name in the local header.
    pub name: Vec<u8>,
    /// Bytes between the records.
    pub data: Vec<u8>,
    /// Changes to the local header.
    pub local: Vec<Patch>,
    /// Extra field after the local name.
    pub local_extra: Vec<u8>,
    /// Changes to the central record.
    pub central: Vec<Patch>,
    /// Extra field after the central name.
    pub central_extra: Vec<u8>,
    /// Name in the central record, where it differs.
    pub central_name: Option<Vec<u8>>,
    /// Bytes after the data that no record mentions.
    pub gap: Vec<u8>,
    /// Leaves the member out of the central directory.
    pub hidden: bool,
}

impl Member {
    /// A right member.
    #[must_use]
    pub fn new(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        Self { name: name.as_ref().to_vec(), data: data.as_ref().to_vec(), ..Self::default() }
    }
}

/// A whole archive.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Bytes in front of the first local header, which no offset counts.
    pub front: Vec<u8>,
    /// The members, in this order.
    pub members: Vec<Member>,
    /// Bytes before the central directory.
    pub before_directory: Vec<u8>,
    /// Central records of no member, after the others.
    pub directory_more: Vec<u8>,
    /// Bytes between central directory and end record.
    pub before_end: Vec<u8>,
    /// Changes to the end record.
    pub end: Vec<Patch>,
    /// Bytes after the end record.
    pub tail: Vec<u8>,
}

impl Archive {
    /// Right members in the given order.
    #[must_use]
    pub fn new<N: AsRef<[u8]>, D: AsRef<[u8]>>(members: impl IntoIterator<Item = (N, D)>) -> Self {
        let members = members.into_iter().map(|(name, data)| Member::new(name, data)).collect();
        Self { members, ..Self::default() }
    }

    /// Reads back an archive that is right in every byte, such as a pack; `None` for any other.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut archive = Self::default();
        let mut rest = bytes;
        while rest.starts_with(b"PK\x03\x04") {
            let word = |at: usize| rest.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
            let (size, name_end) = (word(22)?, 30 + (word(26)? & 0xffff));
            archive
                .members
                .push(Member::new(rest.get(30..name_end)?, rest.get(name_end..name_end.checked_add(size)?)?));
            rest = rest.get(name_end + size..)?;
        }
        (archive.bytes() == bytes).then_some(archive)
    }

    /// The member of this name.
    pub fn member(&mut self, name: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.name == name.as_bytes())
    }

    /// The archive as bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.front.clone();
        let mut directory = Vec::new();
        let mut count = 0_u16;
        for member in &self.members {
            let offset = out.len();
            let crc = crc32fast::hash(&member.data).to_le_bytes();
            let size = le32(member.data.len());
            let fields = |name: &[u8], extra: &[u8]| {
                let head: [&[u8]; 8] = [
                    &[10, 0, 0, 0, 0, 0],
                    &[0x20, 0x60, 0x21, 0],
                    &crc,
                    &size,
                    &size,
                    &le16(name.len()),
                    &le16(extra.len()),
                    &[],
                ];
                head.concat()
            };
            let local = [b"PK\x03\x04".to_vec(), fields(&member.name, &member.local_extra)].concat();
            for part in [&patched(local, &member.local), &member.name, &member.local_extra, &member.data, &member.gap] {
                out.extend_from_slice(part);
            }
            if member.hidden {
                continue;
            }
            count += 1;
            let name = member.central_name.as_ref().unwrap_or(&member.name);
            let parts = [
                b"PK\x01\x02\x0a\x03".to_vec(),
                fields(name, &member.central_extra),
                vec![0; 6],
                vec![0, 0, 0xa4, 0x81],
                le32(offset).to_vec(),
            ];
            directory.extend_from_slice(&patched(parts.concat(), &member.central));
            directory.extend_from_slice(name);
            directory.extend_from_slice(&member.central_extra);
        }
        out.extend_from_slice(&self.before_directory);
        let start = out.len();
        directory.extend_from_slice(&self.directory_more);
        out.extend_from_slice(&directory);
        out.extend_from_slice(&self.before_end);
        let count = count.to_le_bytes();
        let end: [&[u8]; 6] = [b"PK\x05\x06\0\0\0\0", &count, &count, &le32(directory.len()), &le32(start), &[0, 0]];
        out.extend_from_slice(&patched(end.concat(), &self.end));
        out.extend_from_slice(&self.tail);
        out
    }
}

fn patched(mut record: Vec<u8>, patches: &[Patch]) -> Vec<u8> {
    for (at, bytes) in patches {
        for (to, byte) in record.iter_mut().skip(*at).zip(bytes) {
            *to = *byte;
        }
    }
    record
}

fn le16(value: usize) -> [u8; 2] {
    let low = value.to_le_bytes();
    [low[0], low[1]]
}

fn le32(value: usize) -> [u8; 4] {
    let low = value.to_le_bytes();
    [low[0], low[1], low[2], low[3]]
}
