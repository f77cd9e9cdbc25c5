/// A mistake that a cache can make. The tests give the cache one at a time and demand that it is noticed; anywhere else, there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// What was read is kept, whatever has become of the record meanwhile.
    FillWithoutGuard,
    /// What was read is not kept, but what is older is.
    KeepsLessThanWasSeen,
    /// A reader may share a reading that began before a change which it must see.
    JoinsOldReadings,
    /// What is heard of a change is not acted upon.
    DropsInvalidations,
    /// The cache goes on while nobody listens.
    ForgetsBypass,
    /// A gap in what was heard does not empty the cache.
    IgnoresMissed,
    /// The entry is dropped before a change is sent, and not after it.
    DropsBeforeChange,
    /// An entry holds good for longer than the record.
    IgnoresExpiry,
    /// An entry holds good for longer than `max_staleness`.
    IgnoresStaleness,
    /// What this cache itself wrote is taken for a change by others.
    FlushesOnEcho,
    /// Any event with the version of the entry is taken for an echo, also of a touch.
    TakesTouchesForEchoes,
    /// The entry stays although nobody knows what came of a change.
    KeepsWhatIsInDoubt,
    /// A write that is delivered again is thought to live for its ttl from then on.
    CountsTtlAnew,
    /// Of changes that overlap, the one that returns last is thought to be the last one.
    TrustsOverlaps,
    /// Sessions that were ended by their owner stay.
    ForgetsOwners,
}
