use session_core::{Bytes, ErrorKind, Operation, Version, When, WriteItem, WriteOutcome};

use crate::{
    Context,
    model::table::lengths,
    product::each_is_seen_everywhere,
    case::cases,
    failure::{ensure, ensure_eq},
    assertions::{create, ensure_absent, ensure_conflict, ensure_error, ensure_live, live, owned, owner, put, write},
};

/// Bytes that an engine can neither compress nor mistake for text, different for each seed.
fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// Returns those of the lengths that the store accepts.
fn within(cx: &Context, lengths: &[usize]) -> Vec<usize> {
    let max = cx.store.max_data_len();
    lengths.iter().copied().filter(|len| *len <= max).collect()
}

cases! {
    promise Bytes;

    /// Every byte value comes back, alone, doubled, and in a sequence of all.
    async fn every_byte_value_comes_back(cx) {
        let row: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        let mut values = vec![Bytes::from(row)];
        for byte in 0..=255_u8 {
            values.push(Bytes::from(vec![byte]));
            values.push(Bytes::from(vec![byte, byte]));
        }
        let items: Vec<_> = values
            .iter()
            .map(|data| WriteItem { key: cx.key(), write: write(data.clone()), when: When::Absent })
            .collect();
        for outcome in cx.store.write_many(&items).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
        }
        let keys: Vec<_> = items.iter().map(|item| item.key).collect();
        for (found, data) in cx.store.read_many(&keys).await.into_iter().zip(&values) {
            ensure_eq!(found?.map(|record| record.data).as_ref(), Some(data), "the bytes must come back");
        }
        for (key, data) in keys.iter().zip(&values).take(40) {
            ensure_eq!(live(&cx.store, key).await?.data, data, "the bytes must come back");
        }
    }

    /// Values that an engine or a codec could misinterpret come back unchanged.
    async fn lookalikes_come_back(cx) {
        for data in [
            "", " ", "\0", "a\0b", "\0\0\0\0", "nil", "null", "NULL", "0", "-1", "1e9", "{}", "{\"a\":1}", "'; DROP TABLE s;--",
            "\\x00", "\\", "\r\n", "$5\r\n", "é", "\u{feff}bom", "%s%n", "\u{1F36A}",
        ] {
            let key = cx.key();
            let version = create(&cx.store, &key, data).await?;
            ensure_live(&cx.store, &key, data, version).await?;
            let carried = ensure_conflict(cx.store.write(&key, write("x"), When::Absent).await?)?;
            ensure_eq!(carried.map(|record| record.data), Some(Bytes::from(data)), "the conflict carries other bytes");
        }
    }

    /// Every length comes back, around the powers of two and up to the configured maximum.
    async fn every_length_comes_back(cx) {
        let max = cx.store.max_data_len();
        let powers = (0..=20).map(|power| 1_usize << power).flat_map(|size| [size - 1, size, size + 1]);
        let lengths: std::collections::BTreeSet<usize> = powers.chain([max - 1, max]).filter(|len| *len <= max).collect();
        for len in lengths {
            let (key, data) = (cx.key(), noise(len, 7));
            put(&cx.store, &key, write(data.clone()), When::Absent).await?;
            let record = live(&cx.store, &key).await?;
            ensure_eq!(record.data.len(), len, "the length of what comes back");
            ensure_eq!(record.data == data, true, "{len} bytes came back changed");
        }
    }

    /// Replacements can grow and shrink a value, to zero and to the maximum.
    async fn a_value_can_grow_and_shrink(cx) {
        let (key, max) = (cx.key(), cx.store.max_data_len());
        let mut when = When::Absent;
        for (seed, len) in [0, 1, max, 5, 70_000, 0, 300].into_iter().enumerate() {
            let data = noise(len.min(max), seed as u64);
            when = When::Version(put(&cx.store, &key, write(data.clone()), when).await?);
            ensure_eq!(live(&cx.store, &key).await?.data == data, true, "{len} bytes came back changed");
        }
    }

    /// Data longer than the maximum is `TooLarge`, whatever the condition, and changes nothing.
    async fn too_much_is_refused(cx) {
        for store in cx.handles().await? {
            let (key, free, max) = (cx.key(), cx.key(), store.max_data_len());
            let kind = ErrorKind::TooLarge { len: max + 1, max };
            let too_much = || write(noise(max + 1, 1));
            let version = create(&store, &key, "before").await?;
            let mut items = Vec::new();
            for when in [When::Version(version), When::Any, When::Absent, When::Version(Version::random())] {
                for key in [key, free] {
                    ensure_error(store.write(&key, too_much(), when).await, kind, Operation::Write)?;
                    items.push(WriteItem { key, write: too_much(), when });
                }
            }
            ensure_error(store.rename(&key, &free, too_much(), version).await, kind, Operation::Rename)?;
            let outcomes = store.write_many(&items).await;
            ensure_eq!(outcomes.len(), items.len(), "one result for each item");
            for outcome in outcomes {
                ensure_error(outcome, kind, Operation::Write)?;
            }
            ensure_live(&store, &key, "before", version).await?;
            ensure_absent(&store, &free).await?;
        }
    }

    /// The `{:?}` output of a store and of its answers contains neither data nor owners.
    async fn debug_shows_neither_data_nor_owners(cx) {
        let (data, name) = ("correct horse battery staple", "alice@example.org");
        let key = cx.key();
        put(&cx.store, &key, owned(data, name), When::Absent).await?;
        let record = live(&cx.store, &key).await?;
        if let Some(owners) = cx.store.owners() {
            let _ = owners.list(&owner(name)).await?;
            let _ = owners.count(&owner(name)).await?;
        }
        let refused = cx.store.write(&key, owned(data, name), When::Absent).await?;
        let shown = format!("{:?} {:#?} {record:?} {refused:?}", cx.store, cx.store);
        // As text, and as a list of numbers.
        let numbers = format!("{:?}", data.as_bytes());
        for secret in [data, name, numbers.trim_matches(['[', ']'])] {
            ensure!(!shown.contains(secret), "the Debug of a store or an outcome shows {secret:?}");
        }
    }

    /// No error shows data or owners, whatever was rejected.
    async fn errors_show_neither_data_nor_owners(cx) {
        let (secret, name) = ("correct horse battery staple", "alice@example.org");
        let (key, new, max) = (cx.key(), cx.key(), cx.store.max_data_len());
        let version = put(&cx.store, &key, owned(secret, name), When::Absent).await?;
        let mut text = secret.repeat(max / secret.len() + 1);
        text.truncate(max + 1);
        text.push_str(&secret[..(max + 1).saturating_sub(text.len())]);
        let too_much = || owned(text.clone(), name);
        let mut errors = Vec::new();
        for when in [When::Any, When::Absent, When::Version(version)] {
            errors.extend(cx.store.write(&key, too_much(), when).await.err());
            let outcomes = cx.store.write_many(&[WriteItem { key, write: too_much(), when }]).await;
            errors.extend(outcomes.into_iter().filter_map(Result::err));
        }
        errors.extend(cx.store.rename(&key, &new, too_much(), version).await.err());
        ensure_eq!(errors.len(), 7, "how many of seven ways of writing too much are refused");
        for error in errors {
            let mut shown = format!("{error} {error:?} {error:#?}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                shown = format!("{shown} {error} {error:?}");
                source = error.source();
            }
            for secret in [&secret[..12], name] {
                ensure!(!shown.contains(secret), "an error shows {secret:?}");
            }
        }
    }

    /// Short data of each length comes back by each way of writing and of seeing it.
    async fn each_short_length_is_kept_by_each_way_of_writing_it(cx) {
        each_is_seen_everywhere(&cx, lengths(&within(&cx, &[0, 1, 255, 256, 4_095]))).await?;
    }

    /// Data around 64 KiB comes back by each way of writing and of seeing it.
    async fn each_length_around_64_kib_is_kept_by_each_way_of_writing_it(cx) {
        each_is_seen_everywhere(&cx, lengths(&within(&cx, &[65_535, 65_536, 65_537]))).await?;
    }

    /// The longest data comes back by each way of writing and of seeing it.
    async fn the_longest_data_is_kept_by_each_way_of_writing_it(cx) {
        each_is_seen_everywhere(&cx, lengths(&[cx.store.max_data_len()])).await?;
    }
}
