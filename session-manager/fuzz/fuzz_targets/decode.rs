//! Decoding any bytes gives a payload or an error.
#![no_main]

mod look;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| look::look(bytes.to_vec()));
