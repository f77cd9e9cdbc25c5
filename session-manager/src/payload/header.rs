use super::PayloadError;

/// The sixteen bytes before the body of every payload, all numbers little-endian:
///
/// | at | bytes | what |
/// | --- | --- | --- |
/// | 0 | 2 | `SM` |
/// | 2 | 1 | format of everything that follows |
/// | 3 | 1 | codec of the deployment that wrote it last; each value also carries its own |
/// | 4 | 2 | the highest schema version of the application that has written to it |
/// | 6 | 2 | zero; later releases may give these a meaning, and then change the format |
/// | 8 | 4 | length of the body |
/// | 12 | 4 | CRC-32 (IEEE 802.3) of the twelve bytes before and the body |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) schema_version: u16,
}

const MAGIC: [u8; 2] = *b"SM";

/// The format that this release writes, and the newest that it reads.
pub(crate) const FORMAT: u8 = 1;

pub(crate) const LEN: usize = 16;

impl Header {
    /// Fills the first [`LEN`] bytes of `payload`, whose body already follows them.
    pub(crate) fn seal(self, payload: &mut [u8]) {
        let (header, body) = payload.split_at_mut(LEN);
        header[..2].copy_from_slice(&MAGIC);
        header[2] = FORMAT;
        header[3] = self.codec;
        header[4..6].copy_from_slice(&self.schema_version.to_le_bytes());
        header[6..8].fill(0);
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        header[8..12].copy_from_slice(&len.to_le_bytes());
        let sum = checksum(&header[..12], body);
        header[12..].copy_from_slice(&sum.to_le_bytes());
    }

    /// The header of `payload` and the body that follows it, if both are intact and of a format
    /// that this release knows.
    pub(crate) fn open(payload: &[u8]) -> Result<(Self, &[u8]), PayloadError> {
        let Some((header, body)) = payload.split_first_chunk::<LEN>() else {
            return Err(PayloadError::Damaged("it is shorter than its header"));
        };
        let [m0, m1, format, codec, s0, s1, r0, r1, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        if [m0, m1] != MAGIC {
            return Err(PayloadError::Damaged("it does not begin like a session"));
        }
        // Checked before the checksum, which another format may store elsewhere.
        if format != FORMAT {
            return Err(PayloadError::OtherFormat(format));
        }
        if u32::from_le_bytes([l0, l1, l2, l3]) as usize != body.len() {
            return Err(PayloadError::Damaged("its length is not the one that it states"));
        }
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(&header[..12], body) {
            return Err(PayloadError::Damaged("its checksum does not match"));
        }
        if [r0, r1] != [0, 0] {
            return Err(PayloadError::Damaged("bytes that have no meaning are not zero"));
        }
        Ok((Self { codec, schema_version: u16::from_le_bytes([s0, s1]) }, body))
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(header);
    sum.update(body);
    sum.finalize()
}
