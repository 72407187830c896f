import Foundation

/// The cost of memory alone: an index of tags and rows behind it, as in the store's view. It has no lock, no log and
/// no limit, and does not grow.
///
/// `@unchecked Sendable`: filled by one thread before others read.
final class BareMap: Peer, Session, @unchecked Sendable {
    private static let rowBytes = 136
    /// tag (32 bits) << 32 | row; 0 is empty.
    private let slots: UnsafeMutablePointer<UInt64>
    private let rows: UnsafeMutableRawPointer
    private let slotCount: Int
    private let capacity: Int
    private var count = 0

    init(keys: Int) {
        capacity = max(keys, 10_000)
        slotCount = capacity * 3 / 2
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: 0, count: slotCount)
        rows = .allocate(byteCount: (capacity + 1) * Self.rowBytes, alignment: 8)
    }

    deinit {
        slots.deallocate()
        rows.deallocate()
    }

    func session(durable: Bool) -> any Session { self }

    func put(_ key: Bytes, _ value: Bytes) throws {
        let (slot, found) = find(key)
        var row = found
        if row == 0 {
            guard count < capacity else { throw PeerError("map", "is full") }
            count += 1
            row = count
            slots[slot] = tag(key) << 32 | UInt64(row)
        }
        let target = rows + row * Self.rowBytes
        target.storeBytes(of: value.count, as: Int.self)
        let body = UnsafeMutableRawBufferPointer(
            start: target + 8, count: Self.rowBytes - 8)
        body.copyMemory(from: UnsafeRawBufferPointer(key))
        UnsafeMutableRawBufferPointer(rebasing: body[key.count...])
            .copyMemory(from: UnsafeRawBufferPointer(value))
    }

    func get(_ key: Bytes) -> Int? {
        let row = find(key).row
        return row == 0 ? nil : (rows + row * Self.rowBytes).load(as: Int.self)
    }

    func close() {}

    @inline(__always)
    private func tag(_ key: Bytes) -> UInt64 {
        let bytes = UnsafeRawBufferPointer(key)
        let low = bytes.loadUnaligned(as: UInt64.self)
        let high = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        return SplitMix.mix(low ^ high &* 0x9E37_79B9_7F4A_7C15) >> 32
    }

    @inline(__always)
    private func find(_ key: Bytes) -> (slot: Int, row: Int) {
        let tag = tag(key)
        var slot = Int((tag &* UInt64(slotCount)) >> 32)
        while slots[slot] != 0 {
            let row = Int(slots[slot] & 0xFFFF_FFFF)
            if slots[slot] >> 32 == tag, isKey(key, of: row) { return (slot, row) }
            slot = slot + 1 == slotCount ? 0 : slot + 1
        }
        return (slot, 0)
    }

    @inline(__always)
    private func isKey(_ key: Bytes, of row: Int) -> Bool {
        guard let bytes = key.baseAddress else { return false }
        return memcmp(rows + row * Self.rowBytes + 8, bytes, Dataset.keyLength) == 0
    }
}
