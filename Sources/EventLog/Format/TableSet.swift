/// Which tables records belong to, in 64 bits: table n is the bit n modulo 64. So of tables with numbers below 64 it
/// is exact. No bit says nothing.
///
/// It is in a block's header, since only the header is left of a block whose content is damaged.
package struct TableSet: Equatable, Sendable {
    package private(set) var bits: UInt64 = 0

    package init() {}

    package init(bits: UInt64) {
        self.bits = bits
    }

    package var isEmpty: Bool { bits == 0 }

    package func contains(_ table: UInt32) -> Bool { bits & Self.bit(table) != 0 }

    package mutating func insert(_ table: UInt32) { bits |= Self.bit(table) }

    package mutating func formUnion(_ other: TableSet) { bits |= other.bits }

    private static func bit(_ table: UInt32) -> UInt64 { 1 << UInt64(table & 63) }

    /// Inserts the tables of a commit's records. If they all belong to one, only the first record's beginning is read:
    /// walking records takes the flusher as long as packing them.
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

/// Which tables lost records belong to, as far as the headers of the blocks that held them say.
package struct LostTables: Equatable, Sendable {
    package private(set) var tables: TableSet
    /// Whether a header says it of every lost record.
    package private(set) var isComplete: Bool
    /// Whether each of these tables lost a record: all records of the blocks are lost.
    package private(set) var isExact: Bool

    package static let unknown = LostTables(
        tables: TableSet(), isComplete: false, isExact: true)

    private init(tables: TableSet, isComplete: Bool, isExact: Bool) {
        self.tables = tables
        self.isComplete = isComplete
        self.isExact = isExact
    }

    /// Of a block that is lost as a whole.
    package init(of block: BlockHeader) {
        self.init(tables: block.tables, isComplete: !block.tables.isEmpty, isExact: true)
    }

    /// Of two losses together.
    package func union(_ other: LostTables) -> LostTables {
        var all = tables
        all.formUnion(other.tables)
        return LostTables(
            tables: all, isComplete: isComplete && other.isComplete,
            isExact: isExact && other.isExact)
    }

    /// If only a part of these records is lost.
    package var ofAPart: LostTables {
        LostTables(tables: tables, isComplete: isComplete, isExact: false)
    }
}

/// Sequences that cannot be read, and what is known of them.
package struct Loss: Equatable, Sendable {
    package var sequences: ClosedRange<UInt64>
    package var tables: LostTables

    package init(_ sequences: ClosedRange<UInt64>, _ tables: LostTables = .unknown) {
        self.sequences = sequences
        self.tables = tables
    }
}
