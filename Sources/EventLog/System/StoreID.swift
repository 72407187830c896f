/// The 16 bytes that identify a store, a random UUID made when it is created.
///
/// Every file of the store carries them, so that a file of another store is never mistaken for one of this.
package struct StoreID: Equatable, Hashable, Sendable {
    package let low: UInt64
    package let high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// From the bytes of a UUID, in their usual order; the low half are the first eight.
    package init(_ bytes: Span<UInt8>) {
        low = bytes.integer(UInt64.self, at: 0)
        high = bytes.integer(UInt64.self, at: 8)
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: low)
        bytes.append(integer: high)
        return bytes
    }
}
