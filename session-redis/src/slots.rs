/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of the hash tag of a shard: CRC-16/XMODEM of its two hexadecimal digits, as the
/// [cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/) has it.
pub(crate) fn slot(shard: u8) -> u16 {
    crc16(format!("{shard:02x}").as_bytes()) % SLOTS
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            let carry = crc & 0x8000 != 0;
            crc << 1 ^ if carry { 0x1021 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc16;

    #[test]
    fn agrees_with_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }
}
