package import EventLog

/// One version of a row.
package struct RowVersionBytes: Equatable, Sendable {
    /// The operation that made it: put, patch, delete or clear.
    package var operation: Operation
    package var sequence: UInt64
    /// Milliseconds since 1970.
    package var time: UInt64
    /// The record's own body. A patch has the changed columns.
    package var change: [UInt8]
    /// The whole row after the change; nil if there is none, or if the log no longer holds the row that the
    /// patch was applied to (``isComplete``).
    package var row: [UInt8]?
    /// Whether ``row`` is known.
    package var isComplete: Bool
    /// Whether the version is known from a snapshot: the log no longer holds the record that made it.
    package var isFromSnapshot: Bool

    package init(
        operation: Operation, sequence: UInt64, time: UInt64, change: [UInt8], row: [UInt8]?,
        isComplete: Bool, isFromSnapshot: Bool
    ) {
        self.operation = operation
        self.sequence = sequence
        self.time = time
        self.change = change
        self.row = row
        self.isComplete = isComplete
        self.isFromSnapshot = isFromSnapshot
    }
}

/// Follows one row through the log.
struct RowHistory {
    private let table: UInt32
    private let key: [UInt8]
    private let defaults: [[UInt8]]
    private(set) var versions: [RowVersionBytes] = []
    /// The row as of the last record; nil if there is none.
    private(set) var row: [UInt8]?
    /// Whether ``row`` is known. At the start of a log whose beginning was deleted it is not.
    private(set) var isKnown: Bool

    init(table: UInt32, key: [UInt8], defaults: [[UInt8]], isKnown: Bool) {
        self.table = table
        self.key = key
        self.defaults = defaults
        self.isKnown = isKnown
    }

    /// Takes the row from a snapshot, if the log does not show it.
    mutating func settle(_ found: HistoryRow?) {
        guard !isKnown else { return }
        isKnown = true
        row = found?.body
        guard let found else { return }
        if let last = versions.indices.last, versions[last].sequence == found.row.sequence {
            versions[last].row = found.body
            versions[last].isComplete = true
            return
        }
        versions.append(
            RowVersionBytes(
                operation: .put, sequence: found.row.sequence, time: found.row.time,
                change: found.body, row: found.body, isComplete: true, isFromSnapshot: true))
    }

    mutating func append(_ commit: Commit, _ payload: Span<UInt8>) throws(MalformedRecord) {
        var reader = ByteReader(commit.records)
        var sequence = commit.firstSequence
        while !reader.isAtEnd {
            let record = try reader.record(payload)
            defer { sequence += 1 }
            guard record.table == table, concerns(record, payload) else { continue }
            let body = payload.extracting(record.body)
            if !isKnown, !record.before.isEmpty {
                row = Array(copying: payload.extracting(record.before))
                isKnown = true
            }
            try apply(record.operation, body)
            versions.append(
                RowVersionBytes(
                    operation: record.operation, sequence: sequence, time: commit.time,
                    change: Array(copying: body), row: row, isComplete: isKnown,
                    isFromSnapshot: false))
        }
    }

    private func concerns(_ record: Record, _ payload: Span<UInt8>) -> Bool {
        switch record.operation {
        case .clear: return row != nil || !isKnown
        case .put, .patch, .add, .delete:
            guard record.key.count == key.count else { return false }
            let other = payload.extracting(record.key)
            for index in key.indices where key[index] != other[index] { return false }
            return true
        case .define, .mark, .settle, .preamble: return false
        }
    }

    private mutating func apply(
        _ operation: Operation, _ body: Span<UInt8>
    ) throws(MalformedRecord) {
        switch operation {
        case .put:
            row = Array(copying: body)
            isKnown = true
        case .patch:
            guard let base = row ?? (isKnown ? RowCodec.noValues : nil) else { return }
            var merged: [UInt8] = []
            try RowMerge.row(base.span, patch: body, defaults: defaults, into: &merged)
            row = merged
        case .add:
            let parts = try RowMerge.parts(body)
            let missing = isKnown ? parts.missing : nil
            guard let patch = row == nil ? missing : parts.there else { return }
            let base = row ?? RowCodec.noValues
            var sum: [UInt8] = []
            try RowMerge.row(
                base.span, patch: body.extracting(patch), defaults: defaults, into: &sum)
            row = sum
        default:
            row = nil
            isKnown = true
        }
    }
}

extension StoreHistory {
    /// Every version of one row that log and snapshots still hold, oldest first.
    ///
    /// - Parameter definition: the table, as it is today.
    package func history(
        of key: [UInt8], in definition: TableDefinition, through limit: UInt64 = .max
    ) throws(HistoryError) -> [RowVersionBytes] {
        let oldest = try logErrors { () throws(LogError) in
            try LogReader.segmentBases(environment).first
        }
        guard let oldest else { return [] }
        var history = RowHistory(
            table: definition.id, key: key, defaults: RowCodec.defaults(definition.schema),
            isKnown: oldest == 1)
        let base = oldest == 1 ? nil : try firstSnapshot(behind: oldest)
        let needles = RecordNeedles(changesOf: key, in: definition.id)
        try walk(from: oldest, through: min(limit, readable), holding: needles) { commit, payload in
            if let base, commit.firstSequence > base.head.sequence, !history.isKnown {
                history.settle(try Self.row(of: key, definition.id, in: base))
            }
            try history.append(commit, payload)
        }
        if let base, !history.isKnown, base.head.sequence <= limit {
            history.settle(try Self.row(of: key, definition.id, in: base))
        }
        return history.versions
    }

    /// The row as of a point; nil if there was none.
    package func row(
        of key: [UInt8], in definition: TableDefinition, asOf point: LogPoint
    ) throws(HistoryError) -> HistoryRow? {
        let limit = try limit(of: point)
        return try withBase(limit, point) { (base) throws(HistoryError) in
            let start = base?.head.sequence ?? 0
            var row =
                try base.map { (base) throws(HistoryError) in
                    try Self.row(of: key, definition.id, in: base)
                } ?? nil
            var history = RowHistory(
                table: definition.id, key: key, defaults: RowCodec.defaults(definition.schema),
                isKnown: false)
            history.settle(row)
            let known = history.versions.count
            if start < min(limit.sequence, readable) {
                let needles = RecordNeedles(changesOf: key, in: definition.id)
                let end = min(limit.sequence, readable)
                try walk(from: start + 1, through: end, holding: needles) { commit, payload in
                    guard commit.firstSequence > start, limit.admits(commit) else { return }
                    try history.append(commit, payload)
                }
            }
            guard history.versions.count > known, let last = history.versions.last else {
                return row
            }
            row = history.row.map {
                HistoryRow(
                    row: SnapshotRow(
                        operation: .put, table: definition.id, sequence: last.sequence,
                        time: last.time), key: key, body: $0)
            }
            return row
        }
    }

    /// The oldest good snapshot that the log, starting at `oldest`, continues.
    private func firstSnapshot(behind oldest: UInt64) throws(HistoryError) -> SnapshotReader? {
        let sequences = try snapshotErrors { () throws(SnapshotError) in
            try SnapshotReader.sequences(environment)
        }
        for sequence in sequences where sequence + 1 >= oldest && sequence <= readable {
            if let reader = try? SnapshotReader(of: sequence, in: environment) { return reader }
        }
        return nil
    }

    private static func row(
        of key: [UInt8], _ table: UInt32, in snapshot: SnapshotReader
    ) throws(HistoryError) -> HistoryRow? {
        try snapshotErrors { () throws(SnapshotError) in
            guard try snapshot.find(table, key.span) else { return nil }
            return HistoryRow(
                row: snapshot.row, key: key, body: snapshot.withBody { Array(copying: $0) })
        }
    }

    /// Calls `body` for each commit of the blocks that hold these sequences and these bytes.
    private func walk(
        from first: UInt64, through last: UInt64, holding needles: RecordNeedles,
        _ body: (Commit, Span<UInt8>) throws -> Void
    ) throws(HistoryError) {
        guard first <= last else { return }
        let reader = try reader(from: first)
        while try logErrors({ () throws(LogError) in try reader.next(through: last) }),
            let block = reader.block
        {
            let payload = reader.payload
            guard needles.mayOccur(in: payload.span) else { continue }
            do {
                var commits = try CommitCursor(block, payload.span)
                while let commit = try commits.next(payload.span) {
                    if commit.lastSequence <= last { try body(commit, payload.span) }
                }
            } catch let error as HistoryError {
                throw error
            } catch {
                throw .malformed(sequence: block.nextSequence - 1, reason: "\(error)")
            }
        }
    }
}
