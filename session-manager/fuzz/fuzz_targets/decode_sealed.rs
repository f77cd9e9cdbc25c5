//! Decodes any body after a header that matches it, which reaches the code that the checksum would
//! otherwise hide from the fuzzer.
#![no_main]

mod look;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let mut bytes = b"SM\x01\x01\0\0\0\0".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes);
    sum.update(body);
    bytes.extend(sum.finalize().to_le_bytes());
    bytes.extend(body);
    look::look(bytes);
});
