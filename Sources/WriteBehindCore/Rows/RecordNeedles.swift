import EventLog

/// Byte strings to search blocks for. Every record that is wanted holds at least one of them. Searching for them is many
/// times faster than parsing records, so most blocks need not be parsed.
package struct RecordNeedles: Sendable {
    /// Empty if any record may be wanted.
    private let needles: [[UInt8]]

    private init(_ needles: [[UInt8]]) {
        // An empty string is found everywhere.
        self.needles = needles.contains([]) ? [] : needles
    }

    /// The needles of the records that change one row.
    package init(changesOf key: [UInt8], in table: UInt32) {
        self.init(keys: [(table: table, bytes: key, isWhole: true)], clears: true)
    }

    /// The needles of the records of some rows.
    ///
    /// - Parameters:
    ///   - keys: whole keys, or the first bytes of keys.
    ///   - clears: whether clears of their tables are wanted, too.
    package init(keys: [(table: UInt32, bytes: [UInt8], isWhole: Bool)], clears: Bool) {
        var needles = keys.map { $0.isWhole ? Self.needle($0.bytes, in: $0.table) : $0.bytes }
        if clears {
            needles += keys.map { [Operation.clear.rawValue] + Self.needle([], in: $0.table) }
        }
        self.init(needles)
    }

    private static func needle(_ key: [UInt8], in table: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: UInt64(table))
        bytes.append(varint: UInt64(key.count))
        return bytes + key
    }

    /// False only if the block holds no record that is wanted.
    package func mayOccur(in payload: Span<UInt8>) -> Bool {
        if needles.isEmpty { return true }
        for needle in needles where payload.holds(needle.span) { return true }
        return false
    }
}
