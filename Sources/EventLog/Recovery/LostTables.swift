/// How many records each table has lost, as far as the headers of the lost blocks show it.
///
/// A block's header has the number of its records and the set of their tables. So if n records belong to k tables, each
/// table has at least one and at most n - k + 1 of them. For a single table the number is exact.
package struct LostTables: Equatable, Sendable {
    /// The least and the most for each bit of ``TableSet``.
    private var counts: [UInt32: ClosedRange<UInt64>]
    /// Whether headers cover every lost record.
    package private(set) var isComplete: Bool

    package static let unknown = LostTables(counts: [:], isComplete: false)

    private init(counts: [UInt32: ClosedRange<UInt64>], isComplete: Bool) {
        self.counts = counts
        self.isComplete = isComplete
    }

    /// The losses if a whole block is lost.
    package init(of block: BlockHeader) {
        let others = UInt64(max(block.tables.count, 1) - 1)
        // The writer never names more tables than records, but a file is not trusted to keep that rule.
        let most = max(UInt64(block.count), others + 1) - others
        let least = others == 0 ? most : 1
        counts = [:]
        for bit: UInt32 in 0..<64 where block.tables.contains(bit) { counts[bit] = least...most }
        isComplete = !block.tables.isEmpty
    }

    package var isEmpty: Bool { counts.isEmpty }

    /// Whether each of these tables certainly lost a record.
    package var areCertain: Bool { counts.values.allSatisfy { $0.lowerBound > 0 } }

    /// The least and the most records that the tables of this bit have lost; nil if no header names them. If ``isComplete``
    /// is false, they may have lost more.
    package func count(ofBit bit: UInt32) -> ClosedRange<UInt64>? { counts[bit] }

    /// The sum of two losses.
    package func union(_ other: LostTables) -> LostTables {
        LostTables(
            counts: counts.merging(other.counts) {
                $0.lowerBound + $1.lowerBound...$0.upperBound + $1.upperBound
            }, isComplete: isComplete && other.isComplete)
    }

    /// The loss if only `left` of all these records are lost.
    package func part(_ left: UInt64, of all: UInt64) -> LostTables {
        guard left < all else { return self }
        let others = all - left
        return LostTables(
            counts: counts.mapValues {
                $0.lowerBound - min(others, $0.lowerBound)...min($0.upperBound, left)
            }, isComplete: isComplete)
    }
}

/// Sequences that cannot be read, and what is known about their tables.
package struct Loss: Equatable, Sendable {
    package var sequences: ClosedRange<UInt64>
    package var tables: LostTables

    package init(_ sequences: ClosedRange<UInt64>, _ tables: LostTables = .unknown) {
        self.sequences = sequences
        self.tables = tables
    }

    package var count: UInt64 { sequences.upperBound - sequences.lowerBound + 1 }
}

extension Finding {
    /// Leaves only these sequences lost, of those that were.
    package mutating func keepLost(_ left: ClosedRange<UInt64>?) {
        let all = loss?.count ?? 0
        lost = left
        tables = tables.part(loss?.count ?? 0, of: all)
    }
}
