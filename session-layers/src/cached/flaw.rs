/// A deliberate mistake of the cache. The tests inject one at a time and require that it is
/// detected. Outside of the tests there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The cache keeps what a read returned, even if the record changed meanwhile.
    FillWithoutGuard,
    /// The cache does not keep what a read returned, but keeps an older entry.
    KeepsLessThanWasSeen,
    /// A reader may share a read that began before a change which the reader must see.
    JoinsOldReadings,
    /// The cache ignores change events.
    DropsInvalidations,
    /// The cache stays in use while it is not subscribed.
    ForgetsBypass,
    /// Missed events do not empty the cache.
    IgnoresMissed,
    /// The entry is dropped before a change is sent, and not after it.
    DropsBeforeChange,
    /// An entry outlives its record.
    IgnoresExpiry,
    /// An entry is used for longer than `max_staleness`.
    IgnoresStaleness,
    /// The cache treats its own writes as changes by others.
    FlushesOnEcho,
    /// Any event with the version of the entry is taken for an echo, even that of a touch.
    TakesTouchesForEchoes,
    /// The entry stays although the outcome of a change is unknown.
    KeepsWhatIsInDoubt,
    /// The TTL of a repeated write is counted from the repetition.
    CountsTtlAnew,
    /// Of overlapping changes, the one that returns last is taken for the last one.
    TrustsOverlaps,
    /// Sessions that were deleted through their owner stay in the cache.
    ForgetsOwners,
}
