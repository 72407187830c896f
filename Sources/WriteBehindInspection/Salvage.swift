package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Writes everything that can still be read of a damaged store into a new one.
///
/// It starts at the newest good snapshot, or else at the log's beginning. Every commit that can be read
/// is written again, in order and with its time, under new sequence numbers, because the old ones would have gaps, and a
/// log has none. If the database can be read, the rows are corrected by it at its watermark
/// (SalvageDatabase.swift). The damaged store is not touched. Memory holds all rows of the new store.
package final class Salvage {
    package struct Result: Sendable {
        /// The snapshot that it started from; 0 for none.
        package var snapshot: UInt64 = 0
        /// Rows of that snapshot.
        package var rows: UInt64 = 0
        package var records: UInt64 = 0
        /// The records that no file holds any more and no snapshot covers.
        package var lost: [Loss] = []
        package var tableNames = TableNames()
        /// Changes that could not be kept.
        package var orphans: [Orphans] = []
        /// Segments with damaged headers. Nothing in them can be trusted.
        package var unreadable: [String] = []
        /// Damaged snapshots that were not used, and what is wrong with them.
        package var badSnapshots: [String] = []
        /// How the database was used.
        package var database = DatabaseUse.none
        /// The tables that the database does not have as the store made them: their rows are the log's.
        package var leftOut: [(table: String, reason: String)] = []

        package var losesAnything: Bool {
            !lost.isEmpty || !orphans.isEmpty || !unreadable.isEmpty || !badSnapshots.isEmpty
        }

        /// Whether the database shows the rows as they are after these sequences.
        package func knowsRows(of range: ClosedRange<UInt64>) -> Bool {
            if case .used(let watermark, _, _) = database, leftOut.isEmpty {
                range.upperBound <= watermark
            } else {
                false
            }
        }
    }

    /// Changes of a table's rows whose earlier versions are lost.
    package struct Orphans: Sendable, Equatable {
        package var table: String
        package var changes: UInt64
        package var rows: UInt64
        /// Whether the database shows the rows as they are after these changes.
        package var rowsAreKnown: Bool
    }

    package enum DatabaseUse: Sendable, Equatable {
        /// There is none.
        case none
        case unusable(reason: String)
        /// Its rows are as old as the snapshot, or older.
        case older(watermark: UInt64)
        /// At its watermark, the rows were made equal to the database's: `restored` were corrected, and `removed` were
        /// deleted.
        case used(watermark: UInt64, restored: UInt64, removed: UInt64)
    }

    let store: StoreInspection
    let target: NewStore
    var result = Result()
    /// The numbers of the tables in the new store.
    private(set) var numbers: [UInt32: UInt32] = [:]
    private(set) var tables = SalvagedTables()
    /// The rows that the new store has.
    var rows: RowTable
    /// The time of the last write, milliseconds since 1970.
    private(set) var lastTime: UInt64 = 0
    private var orphans: [UInt32: (changes: UInt64, keys: Set<[UInt8]>)] = [:]
    /// Whether a row that ``rows`` lacks does not exist. False behind lost records.
    private(set) var isComplete = true
    /// The rows that were deleted since then, and the tables that were cleared.
    private var gone: Set<QuarantinedKey> = []
    /// The rows of which neither the log nor the database says what they are, because they are in quarantine.
    var unknown: Set<QuarantinedKey> = []
    /// The database's watermark, until the rows are corrected by the database.
    private var database: UInt64?

    package static func run(
        _ store: StoreInspection, into target: NewStore, progress: (Int) -> Void
    ) throws -> Result {
        let salvage = try Salvage(store, target)
        try salvage.run(progress)
        return salvage.result
    }

    private init(_ store: StoreInspection, _ target: NewStore) throws {
        self.store = store
        self.target = target
        rows = try RowTable()
    }

    private func run(_ progress: (Int) -> Void) throws {
        let log = try SalvagedLog(store, progress: progress)
        result.unreadable = log.segments.filter { $0.header == nil }.map(\.path)
        let snapshot = try newestSnapshot()
        try defineTables(log, snapshot)
        if let snapshot { try write(snapshot) }
        database = usableDatabase()
        try log.forEachCommit(after: result.snapshot) { commit, payload in
            if let watermark = database, commit.firstSequence > watermark { try putRight() }
            try write(commit, payload)
            return true
        } lost: { range in
            result.lost += log.findings(of: range).compactMap(\.loss)
            (isComplete, gone) = (false, [])
            return true
        }
        if let watermark = database {
            if watermark > max(log.end, result.snapshot) {
                result.lost.append(Loss(max(log.end, result.snapshot) + 1...watermark))
            }
            try putRight()
        }
        giveUpOrphans(rowsAreKnown: false)
    }

    /// Notes the changes that were left out so far.
    private func giveUpOrphans(rowsAreKnown: Bool) {
        for (table, lost) in orphans.sorted(by: { $0.key < $1.key }) {
            let name = tables.definitions[table]?.schema.name ?? "\(table)"
            result.orphans.append(
                Orphans(
                    table: name, changes: lost.changes, rows: UInt64(lost.keys.count),
                    rowsAreKnown: rowsAreKnown && !result.leftOut.contains { $0.table == name }))
        }
        orphans = [:]
    }

    // MARK: tables

    /// Defines all tables in their last form. Rows from before a column was added lack it, as in any store.
    private func defineTables(_ log: SalvagedLog, _ snapshot: SnapshotReader?) throws {
        var found = try log.definitions()
        if let snapshot { found.append((snapshot.head.sequence, snapshot.preamble.records)) }
        for definition in store.database.contents?.tables ?? [] { tables.note(definition) }
        // At the same sequence, the log's own records come after those that a preamble repeats.
        for (_, records) in found.enumerated().sorted(by: {
            ($0.element.sequence, $0.offset) < ($1.element.sequence, $1.offset)
        }).map(\.element) {
            tables.note(records: records)
        }
        result.tableNames = TableNames(tables)
        for definition in tables.definitions.values.sorted(by: { $0.id < $1.id }) {
            // Times never decrease, so a later time would become the time of everything behind it.
            numbers[definition.id] = try target.define(
                definition.schema, time: store.identity.createdMilliseconds)
            rows.setDefaults(
                table: UInt16(definition.id), RowCodec.defaults(definition.schema))
        }
    }

    // MARK: the snapshot

    private func newestSnapshot() throws -> SnapshotReader? {
        let environment = store.environment
        for sequence in try SnapshotReader.sequences(environment).reversed() {
            do throws(SnapshotError) {
                try SnapshotReader.verify(sequence, in: environment)
                return try SnapshotReader(of: sequence, in: environment)
            } catch {
                if case .system = error { throw error }
                result.badSnapshots.append("\(error)")
            }
        }
        return nil
    }

    private func write(_ snapshot: SnapshotReader) throws {
        result.snapshot = snapshot.head.sequence
        while try snapshot.next() {
            let row = snapshot.row
            let key = snapshot.withKey { [UInt8](copying: $0) }
            let body = snapshot.withBody { [UInt8](copying: $0) }
            try put(row.table, key, body, sequence: row.sequence, time: row.time)
            result.rows += 1
        }
        lastTime = snapshot.head.time
    }

    /// Writes a row into the new store; false if its table is not known.
    @discardableResult
    func put(
        _ table: UInt32, _ key: [UInt8], _ body: [UInt8], sequence: UInt64, time: UInt64
    ) throws -> Bool {
        guard let number = numbers[table] else { return false }
        let hash = rows.hash(table: UInt16(table), key: key.span)
        // The fold does not accept sequence 0.
        _ = rows.put(hash, UInt16(table), key.span, body.span, sequence: max(1, sequence))
        try target.put(number, key: key, body: body, time: time)
        return true
    }

    /// Deletes a row of the new store.
    func delete(_ table: UInt32, _ key: [UInt8], time: UInt64) throws {
        guard let number = numbers[table] else { return }
        rows.remove(table: UInt16(table), key: key.span)
        try target.delete(number, key: key, time: time)
    }

    // MARK: the log

    private func write(_ commit: Commit, _ payload: [UInt8]) throws {
        var kept: [LoggedRecord] = []
        try forEachRecord(of: commit, in: payload.span) { record in
            if try fits(record) { kept.append(record) }
            return true
        }
        for index in kept.indices {
            kept[index].table = numbers[kept[index].table] ?? kept[index].table
        }
        try target.commit(kept, time: commit.time)
        result.records += UInt64(kept.count)
        lastTime = commit.time
    }

    /// Folds a record in; false for a change of a row that does not exist, or of an unknown table.
    private func fits(_ record: LoggedRecord) throws -> Bool {
        switch record.operation {
        case .mark: return true
        case .define, .settle, .preamble: return false
        case .put, .patch, .add, .delete, .clear: break
        }
        guard numbers[record.table] != nil, let table = UInt16(exactly: record.table) else {
            return lose(record)
        }
        let key = record.key.span
        let hash = rows.hash(table: table, key: key)
        switch record.operation {
        case .put: _ = rows.put(hash, table, key, record.body.span, sequence: record.sequence)
        case .patch:
            guard rows.reference(table: table, key: key) != nil else { return lose(record) }
            _ = try rows.patch(hash, table, key, record.body.span, sequence: record.sequence)
        case .add:
            let isThere = rows.reference(table: table, key: key) != nil
            // Otherwise the amounts would be added to defaults instead of the row that was lost.
            guard isThere || isGone(record.table, record.key) else { return lose(record) }
            _ = try rows.add(
                hash, table, key, record.body.span, sequence: record.sequence, isGone: true)
        case .delete:
            rows.remove(table: table, key: key)
            note(gone: .row(table: record.table, key: record.key))
        default:
            rows.clear(table, sequence: record.sequence)
            note(gone: .table(record.table))
        }
        return true
    }

    private func note(gone key: QuarantinedKey) {
        if !isComplete || !unknown.isEmpty { gone.insert(key) }
    }

    /// Whether it is certain that a row which ``rows`` lacks does not exist.
    private func isGone(_ table: UInt32, _ key: [UInt8]) -> Bool {
        let names: Set<QuarantinedKey> = [.row(table: table, key: key), .table(table)]
        return isComplete && names.isDisjoint(with: unknown) || !names.isDisjoint(with: gone)
    }

    private func lose(_ record: LoggedRecord) -> Bool {
        orphans[record.table, default: (0, [])].changes += 1
        orphans[record.table, default: (0, [])].keys.insert(record.key)
        return false
    }

    // MARK: the database

    private func usableDatabase() -> UInt64? {
        switch store.database.state {
        case .missing: return nil
        case .empty: result.database = .unusable(reason: "it has nothing of the store")
        case .elsewhere(let place):
            result.database = .unusable(
                reason: "it is \(place); give its address with --postgresql")
        case .foreign: result.database = .unusable(reason: "it belongs to another store")
        case .unreadable(let error): result.database = .unusable(reason: error.message)
        case .readable(let contents):
            let watermark = contents.watermark.sequence
            if watermark > result.snapshot { return watermark }
            result.database = .older(watermark: watermark)
        }
        return nil
    }

    private func putRight() throws {
        database = nil
        try putRightByDatabase()
        // The rows that were missing are now those of the database.
        guard case .used = result.database else { return }
        giveUpOrphans(rowsAreKnown: true)
        isComplete = true
    }
}
