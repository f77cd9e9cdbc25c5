//! Tests of stored values, in `tests/`: payloads of all releases, and values whose types change.
