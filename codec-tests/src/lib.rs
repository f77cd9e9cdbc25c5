//! Tests of what sessions hold, in `tests/`: payloads of all releases, and values whose types change.
