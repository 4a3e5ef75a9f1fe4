//! The three ZIP records of byte profile `zip-stored-1`: every byte is fixed by path, size, CRC-32 and position (PPK-6).

/// Signature of a local header.
pub const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Signature of a central record.
pub const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// Signature of the end record.
pub const END: [u8; 4] = *b"PK\x05\x06";
/// Bytes of a local header before the name.
pub const LOCAL_LEN: usize = 30;
/// Bytes of a central record before the name.
pub const CENTRAL_LEN: usize = 46;
/// Bytes of the end record.
pub const END_LEN: usize = 22;

const MADE_BY: u16 = 0x030a;
const NEEDED: u16 = 10;
/// 1980-01-01 12:01:00, the value that `strip-nondeterminism` also writes.
const TIME: u16 = 0x6020;
const DATE: u16 = 0x0021;
/// Regular file, 0644.
const ATTRIBUTES: u32 = 0x81a4_0000;

/// What the records of one member are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// ASCII path, at most 240 bytes.
    pub path: String,
    /// CRC-32 of the bytes.
    pub crc: u32,
    /// Count of the bytes; the archive limit keeps it below 2^32.
    pub size: u32,
    /// Where the local header lies.
    pub offset: u32,
}

/// Fields are laid out in the order of the ZIP specification; each is little-endian.
struct Layout<const N: usize>([u8; N], usize);

impl<const N: usize> Layout<N> {
    fn new(signature: [u8; 4]) -> Self {
        Self([0; N], 0).put(signature)
    }

    fn put<const M: usize>(mut self, bytes: [u8; M]) -> Self {
        for (to, byte) in self.0.iter_mut().skip(self.1).zip(bytes) {
            *to = byte;
        }
        self.1 += M;
        self
    }

    fn u16(self, value: u16) -> Self {
        self.put(value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.put(value.to_le_bytes())
    }
}

impl Record {
    /// Name length; the name grammar keeps it at most 240.
    fn name_len(&self) -> u16 {
        u16::try_from(self.path.len()).unwrap_or(u16::MAX)
    }

    /// The local header without the name.
    #[must_use]
    pub fn local(&self) -> [u8; LOCAL_LEN] {
        self.common(Layout::new(LOCAL)).0
    }

    /// The central record without the name.
    #[must_use]
    pub fn central(&self) -> [u8; CENTRAL_LEN] {
        // Comment length, disk and internal attributes are 0.
        self.common(Layout::new(CENTRAL).u16(MADE_BY)).u16(0).u16(0).u16(0).u32(ATTRIBUTES).u32(self.offset).0
    }

    /// The run of fields that both records share: version needed to extra length.
    fn common<const N: usize>(&self, layout: Layout<N>) -> Layout<N> {
        // Flags and method are 0 before the time, the extra length is 0 after the name length.
        let layout = layout.u16(NEEDED).u16(0).u16(0).u16(TIME).u16(DATE);
        layout.u32(self.crc).u32(self.size).u32(self.size).u16(self.name_len()).u16(0)
    }

    /// Where the bytes of the member begin.
    #[must_use]
    pub fn data_offset(&self) -> u64 {
        u64::from(self.offset) + (LOCAL_LEN + self.path.len()) as u64
    }
}

/// The end record of an archive with `count` members whose central directory has `length` bytes at `offset`.
#[must_use]
pub fn end(count: u16, length: u32, offset: u32) -> [u8; END_LEN] {
    Layout::new(END).u16(0).u16(0).u16(count).u16(count).u32(length).u32(offset).u16(0).0
}
