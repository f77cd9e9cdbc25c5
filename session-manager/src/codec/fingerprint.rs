use std::cell::Cell;

/// A hash of the shape that serde visits when it encodes or decodes a value: names of fields and
/// variants, and kinds of numbers and text. A codec that stores no names stores the hash, and
/// compares it.
///
/// FNV-1a, 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>: it protects against mistakes, not
/// against attacks.
#[derive(Debug)]
pub(super) struct Fingerprint(Cell<u64>);

/// The parts of a shape that are not names. The numbers never change: fingerprints are stored.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    Option,
    Unit,
    Sequence,
    Tuple,
    Map,
    Struct,
    Enum,
}

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(Cell::new(0xcbf2_9ce4_8422_2325))
    }

    pub(super) fn kind(&self, kind: Kind) {
        self.byte(kind as u8);
    }

    pub(super) fn name(&self, name: &str) {
        name.bytes().for_each(|byte| self.byte(byte));
        // No name contains this byte, so it separates two names.
        self.byte(0xff);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.get()
    }

    fn byte(&self, byte: u8) {
        self.0.set((self.0.get() ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }
}
