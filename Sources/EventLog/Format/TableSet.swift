/// The tables that records belong to, in 64 bits: table n is the bit n modulo 64. So it is exact for tables with numbers
/// below 64. A set without any bit says nothing.
///
/// It is in a block's header, because only the header can be read if the block's content is damaged.
package struct TableSet: Equatable, Sendable {
    package private(set) var bits: UInt64 = 0

    package init() {}

    package init(bits: UInt64) {
        self.bits = bits
    }

    package var isEmpty: Bool { bits == 0 }

    package func contains(_ table: UInt32) -> Bool { bits & Self.bit(table) != 0 }

    package mutating func insert(_ table: UInt32) { bits |= Self.bit(table) }

    /// Whether a table may be in both. A set that says nothing may hold any.
    package func mayMeet(_ other: TableSet) -> Bool { isEmpty || bits & other.bits != 0 }

    package mutating func formUnion(_ other: TableSet) { bits |= other.bits }

    /// How many bits there are.
    package var count: Int { bits.nonzeroBitCount }

    private static func bit(_ table: UInt32) -> UInt64 { 1 << UInt64(table & 63) }

    /// Inserts the tables of a commit's records. If all belong to one table, only the beginning of the first record is read,
    /// because parsing all records would take the flusher as long as packing them.
    package mutating func insert(
        tablesOf records: Span<UInt8>, areSeveral: Bool
    ) throws(MalformedRecord) {
        var reader = ByteReader(0..<records.count)
        guard areSeveral else {
            _ = try reader.byte(records)
            return insert(try reader.table(records))
        }
        while !reader.isAtEnd { insert(try reader.record(records).table) }
    }
}
