import EventLog

/// Writes what can still be read of a damaged store into a new one.
///
/// From the newest good snapshot on, if there is one, else from the log's beginning, every commit
/// that can be read is written again, in order and with its time, under new sequence numbers: the
/// old ones would have gaps, and a log has none. The damaged store is not touched.
package final class Salvage {
    package struct Result: Sendable {
        package var snapshot: UInt64 = 0
        package var rows: UInt64 = 0
        package var records: UInt64 = 0
        /// The sequences that no segment holds any more and no snapshot stands for.
        package var lost: [ClosedRange<UInt64>] = []
        /// Changes of rows whose earlier versions are lost, and which therefore could not be kept.
        package var orphans: UInt64 = 0
        /// Segments whose headers are damaged: nothing in them can be trusted.
        package var unreadable: [String] = []
    }

    private let store: StoreInspection
    private let target: NewStore
    private var result = Result()
    private var numbers: [UInt32: UInt32] = [:]
    private var catalog = Catalog()
    /// The rows that the new store has: a change of any other has nothing to change.
    private var rows: RowTable

    package static func run(
        _ store: StoreInspection, into target: NewStore, progress: (Int) -> Void
    ) throws -> Result {
        let salvage = try Salvage(store, target)
        try salvage.readSnapshot()
        try salvage.readSegments(progress)
        try salvage.readStaging()
        return salvage.result
    }

    private init(_ store: StoreInspection, _ target: NewStore) throws {
        self.store = store
        self.target = target
        rows = try RowTable()
    }

    // MARK: the snapshot

    private func readSnapshot() throws {
        let environment = store.environment
        for sequence in try SnapshotReader.sequences(environment).reversed() {
            guard (try? SnapshotReader.verify(sequence, in: environment)) != nil else { continue }
            let reader = try SnapshotReader(of: sequence, in: environment)
            result.snapshot = sequence
            let records = reader.preamble.records
            try define(try Catalog(defineRecords: records.span))
            while try reader.next() {
                let row = HistoryRow(
                    row: reader.row, key: reader.withKey { [UInt8](copying: $0) },
                    body: reader.withBody { [UInt8](copying: $0) })
                try put(row)
            }
            return
        }
    }

    private func put(_ row: HistoryRow) throws {
        guard let table = numbers[row.table] else { return }
        let hash = rows.hash(table: UInt16(table), key: row.key.span)
        // Only that it is there matters.
        _ = rows.put(
            hash, UInt16(table), row.key.span, Span(), sequence: max(1, row.row.sequence))
        try target.put(table, key: row.key, body: row.body, time: row.row.time)
        result.rows += 1
    }

    private func define(_ new: Catalog) throws {
        for definition in new.tables where catalog[definition.id] != definition {
            numbers[definition.id] = try target.define(definition.schema)
        }
        if new.tables.count >= catalog.tables.count { catalog = new }
    }

    // MARK: the log

    private func readSegments(_ progress: (Int) -> Void) throws {
        var next = try store.first
        for base in try LogReader.segmentBases(store.environment) {
            let check = try SegmentCheck(store.environment, base: base)
            if base > next { lose(next...base - 1) }
            next = max(next, base)
            if check.header == nil { result.unreadable.append(check.path) }
            try read(check, &next)
            if check.nextSequence > next { lose(next...check.nextSequence - 1) }
            next = max(next, check.nextSequence)
            progress(check.byteCount)
        }
    }

    private func lose(_ range: ClosedRange<UInt64>) {
        guard range.upperBound > result.snapshot else { return }
        result.lost.append(max(range.lowerBound, result.snapshot + 1)...range.upperBound)
    }

    private func read(_ check: SegmentCheck, _ next: inout UInt64) throws {
        guard
            case .opened(let segment) = try SegmentReader.open(
                check.path, on: store.environment.disk)
        else { return }
        var loader = BlockLoader()
        for (header, offset) in check.good {
            if header.firstSequence > next { lose(next...header.firstSequence - 1) }
            next = max(next, header.nextSequence)
            guard
                header.nextSequence > result.snapshot + 1
                    || !header.flags.isDisjoint(with: [.preamble, .define])
            else { continue }
            let fault = try loader.load(header, at: offset, of: segment, chainBefore: nil)
            guard fault == nil else { continue }
            var known = catalog
            try known.note(header, loader.payload.span)
            try define(known)
            let payload = loader.payload
            var commits = try CommitCursor(header, payload.span)
            while let commit = try commits.next(payload.span) {
                guard commit.firstSequence > result.snapshot else { continue }
                try write(commit, payload)
            }
        }
    }

    private func readStaging() throws {
        for staged in store.log?.staged ?? [] where staged.firstSequence > result.snapshot {
            var known = catalog
            try forEachRecord(of: staged.commit, in: staged.records.span) { record in
                if record.operation == .define {
                    try known.apply(define: record.table, body: record.body.span)
                }
                return true
            }
            try define(known)
            try write(staged.commit, staged.records)
        }
    }

    private func write(_ commit: Commit, _ payload: [UInt8]) throws {
        var changes: [LoggedRecord] = []
        try forEachRecord(of: commit, in: payload.span) { record in
            changes.append(record)
            return true
        }
        changes = changes.filter { fits($0) }
        for index in changes.indices {
            changes[index].table = numbers[changes[index].table] ?? changes[index].table
        }
        try target.commit(changes, time: commit.time)
        result.records += UInt64(changes.count)
    }

    /// Notes what a record makes of its row; false for a change of a row that is not there.
    private func fits(_ record: LoggedRecord) -> Bool {
        guard let table = numbers[record.table].map({ UInt16($0) }) else {
            return record.operation == .mark
        }
        let key = record.key.span
        switch record.operation {
        case .put:
            let hash = rows.hash(table: table, key: key)
            _ = rows.put(hash, table, key, Span(), sequence: record.sequence)
        case .patch:
            guard rows.reference(table: table, key: key) != nil else {
                result.orphans += 1
                return false
            }
        case .delete: rows.remove(table: table, key: key)
        case .clear: rows.clear(table, sequence: record.sequence)
        case .define, .settle, .preamble: return false
        case .mark: break
        }
        return true
    }
}
