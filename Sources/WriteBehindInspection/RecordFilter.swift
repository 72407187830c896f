package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Conditions for records. A condition that is nil or empty lets every record pass.
package struct RecordFilter: Sendable {
    /// A condition on a column that a record must set: `delay>=60`.
    package struct Condition: Sendable {
        package var column: String
        package var comparison: Comparison
        package var text: String

        package init(column: String, _ comparison: Comparison, text: String) {
            self.column = column
            self.comparison = comparison
            self.text = text
        }
    }

    package var from: UInt64?
    package var through: UInt64?
    /// Milliseconds since 1970; both ends are included.
    package var since: UInt64?
    package var until: UInt64?
    /// Table names; case is ignored.
    package var tables: [String] = []
    package var operations: Set<UInt8> = []
    /// All components of a key, or the first ones, as text.
    package var key: [String]?
    package var conditions: [Condition] = []
    /// Only records that change this column are wanted.
    package var changed: String?

    package init() {}

    /// Decides only by the record's place and operation.
    package func admits(
        _ operation: Operation, sequence: UInt64, time: UInt64
    ) -> Bool {
        if let from, sequence < from { return false }
        if let through, sequence > through { return false }
        if let since, time < since { return false }
        if let until, time > until { return false }
        return operations.isEmpty || operations.contains(operation.rawValue)
    }

    package func admits(_ record: LoggedRecord) -> Bool {
        admits(record.operation, sequence: record.sequence, time: record.time)
    }

    /// Whether a block may hold a wanted record, by its header.
    package func admits(_ block: BlockHeader) -> Bool {
        if let from, block.nextSequence <= from { return false }
        if let through, block.firstSequence > through { return false }
        if let since, block.time / 1000 < since { return false }
        if let until, let start = block.startTime, start > until { return false }
        guard !operations.isEmpty else { return true }
        if operations.isSubset(of: [Operation.define.rawValue]) {
            return block.flags.contains(.define)
        }
        guard operations.isSubset(of: [Operation.mark.rawValue, Operation.settle.rawValue]) else {
            return true
        }
        return block.flags.contains(.mark)
    }

    /// Whether no record behind this block can be wanted.
    package func isPast(_ block: BlockHeader) -> Bool {
        if let through, block.firstSequence > through { return true }
        if let until, let start = block.startTime, start > until { return true }
        return false
    }

    /// Whether no record before this block can be wanted.
    package func isBefore(_ block: BlockHeader) -> Bool {
        if let from, block.nextSequence <= from { return true }
        if let since, block.time / 1000 < since { return true }
        return false
    }

    /// Whether no later record can be wanted.
    package func isPast(_ record: LoggedRecord) -> Bool {
        if let through, record.sequence > through { return true }
        if let until, record.time > until { return true }
        return false
    }
}

extension BlockHeader {
    /// The time of the first commit, milliseconds since 1970; nil if the header does not say it.
    package var startTime: UInt64? {
        span == .max ? nil : time / 1000 - min(time / 1000, UInt64(span))
    }
}
