/// The chain: a running checksum over history, not layout.
///
/// It starts as the low half of the store's UUID. After each commit it becomes XXH3-64, seeded with the
/// previous chain, of the commit's absolute time (u64, milliseconds since 1970) and its record bytes.
/// Rewriting segments therefore does not change it, and two logs with the same chain at a sequence are
/// the same up to there. It shows removed, swapped, duplicated, stale and foreign blocks, which no
/// checksum of a single block can show.
package struct Chain: Sendable {
    package var value: UInt64
    private var scratch: [UInt8] = []

    package init(_ value: UInt64) {
        self.value = value
    }

    package init(startOf store: StoreID) {
        value = store.low
    }

    /// Continues the chain with one commit.
    package mutating func append(time: UInt64, records: Span<UInt8>) {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(integer: time)
        unsafe records.withUnsafeBufferPointer { unsafe scratch.append(contentsOf: $0) }
        value = Checksum.of(scratch.span, seed: value)
    }

    /// Continues the chain with one commit. Its time, as eight little-endian bytes, must be directly before its records.
    @unsafe mutating func append(timeAndRecords: UnsafeRawBufferPointer) {
        value = unsafe Checksum.of(timeAndRecords, seed: value)
    }
}
