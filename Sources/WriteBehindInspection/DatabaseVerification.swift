import EventLog
import Foundation
import GRDB
package import WriteBehindCore
import WriteBehindSQLite

/// Compares every row of the database with the rows that result from snapshot and log at its watermark.
///
/// Rows that quarantined commits touch are left out, because the database has them as they were before.
package struct DatabaseVerification: Sendable {
    package enum Difference: Equatable, Sendable {
        /// The log has the row, the database does not.
        case missing
        /// The database has a row that the log does not.
        case extra
        /// Both have it, and these columns differ.
        case columns([Column])
        /// The table cannot hold such a row.
        case malformed(String)

        package struct Column: Equatable, Sendable {
            package var name: String
            package var log: StoredValue
            package var database: StoredValue
        }
    }

    package private(set) var watermark: UInt64 = 0
    package private(set) var rowCount: UInt64 = 0
    package private(set) var tableCount = 0
    package private(set) var skipped: UInt64 = 0
    package private(set) var differenceCount: UInt64 = 0
    /// The fault of the database as a whole.
    package private(set) var fault: String?
    /// Whether the fault is that it reflects another history than the log.
    package private(set) var isOfOtherHistory = false

    private var held: Set<QuarantinedKey> = []

    /// - Parameters:
    ///   - verified: the snapshots that were just read to their ends, and are not read twice.
    ///   - progress: gets the number of rows that were compared.
    ///   - report: gets each row that differs, as `table[key]`.
    package init(
        _ store: StoreInspection, verified: Set<UInt64> = [],
        progress: (UInt64) -> Void = { _ in },
        report: (String, Difference) -> Void
    ) throws {
        let access = try DatabaseAccess(store.layout.database, isLive: store.isLive)
        // In one transaction, so that the database stays at one watermark while it is read.
        try access.queue.read { db in
            try compare(store, verified, db, progress, report)
        }
    }

    private mutating func compare(
        _ store: StoreInspection, _ verified: Set<UInt64>, _ db: Database,
        _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        guard
            let row = try Row.fetchOne(
                db, sql: "SELECT sequence, chain FROM _writebehind_watermark")
        else {
            fault = "it has no watermark"
            return
        }
        watermark = UInt64(bitPattern: row[0] as Int64)
        held = Set(try QuarantineTable.load(db).held.keys)
        var store = store
        if case .live = store.state, watermark > store.readable {
            // The store was written since the log was read, and the database has followed.
            store = try StoreInspection(path: store.layout.root, disk: store.environment.disk)
        }
        let rows = try store.history(verified: verified).fold(to: .sequence(watermark))
        guard rows.position.sequence == watermark,
            rows.position.chain == UInt64(bitPattern: row[1] as Int64)
        else {
            isOfOtherHistory = true
            fault = "its watermark #\(watermark) belongs to another history than the log"
            return
        }
        try compare(rows, db, progress, report)
    }

    private mutating func compare(
        _ rows: MergedRows, _ db: Database, _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        var isExpected = try rows.advance()
        for definition in rows.catalog.tables {
            tableCount += 1
            guard try db.tableExists(definition.schema.name) else {
                if held.contains(.table(definition.id)) {
                    // The table's definition waits in quarantine, and all rows of the table with it.
                    while isExpected, rows.row.table == definition.id {
                        try tellMissing(rows, definition, report)
                        isExpected = try rows.advance()
                    }
                    continue
                }
                fault = "table \(StoredValue.text(definition.schema.name)) is missing"
                return
            }
            let stored = try StoredRows(definition, db)
            var (run, next) = (StoredRun(stored), StoredRun(stored))
            run.fill()
            while !run.isEmpty {
                var outcome = Result<Void, any Error>.success(())
                // The other thread must not hold the last reference to a statement, because releasing it would finalize
                // the statement while the connection is in use.
                let ahead = { @Sendable [unowned next] in next.fill() }
                Worker.alongside(ahead) {
                    outcome = Result {
                        try compare(run, rows, &isExpected, definition, report)
                    }
                }
                try outcome.get()
                progress(rowCount)
                swap(&run, &next)
            }
            while isExpected, rows.row.table == definition.id {
                try tellMissing(rows, definition, report)
                isExpected = try rows.advance()
            }
        }
    }

    /// Compares some of a table's rows, and those of the log that come before them.
    private mutating func compare(
        _ run: StoredRun, _ rows: MergedRows, _ isExpected: inout Bool,
        _ definition: WriteBehindCore.TableDefinition, _ report: (String, Difference) -> Void
    ) throws {
        let bytes = run.bytes
        for found in run.rows {
            let key = bytes.span.extracting(found.key)
            var isLogged = false
            while !isLogged, isExpected, rows.row.table == definition.id {
                let order = rows.keyCompared(with: key)
                if order > 0 { break }
                if order < 0 {
                    try tellMissing(rows, definition, report)
                } else {
                    let body = bytes.span.extracting(found.body)
                    try check(rows, definition, body, found.fault, report)
                    isLogged = true
                }
                isExpected = try rows.advance()
            }
            if !isLogged { tell(Array(copying: key), definition, .extra, report) }
            rowCount += 1
        }
        if let failure = run.failure { throw failure }
    }

    private mutating func tellMissing(
        _ rows: MergedRows, _ definition: WriteBehindCore.TableDefinition,
        _ report: (String, Difference) -> Void
    ) throws(HistoryError) {
        try rows.withRow { (key, _) throws(HistoryError) in
            tell(Array(copying: key), definition, .missing, report)
        }
        rowCount += 1
    }

    private mutating func tell(
        _ key: [UInt8], _ definition: WriteBehindCore.TableDefinition, _ difference: Difference,
        _ report: (String, Difference) -> Void
    ) {
        guard !isHeld(key, definition.id) else {
            skipped += 1
            return
        }
        differenceCount += 1
        report(RowName.text(definition.schema, key), difference)
    }

    private func isHeld(_ key: [UInt8], _ table: UInt32) -> Bool {
        guard !held.isEmpty else { return false }
        return held.contains(.table(table)) || held.contains(.row(table: table, key: key))
    }

    private mutating func check(
        _ rows: MergedRows, _ definition: WriteBehindCore.TableDefinition, _ found: Span<UInt8>,
        _ fault: String?, _ report: (String, Difference) -> Void
    ) throws(HistoryError) {
        try rows.withRow { (key, body) throws(HistoryError) in
            if fault == nil, body.compared(with: found) == 0 { return }
            explain(
                Array(copying: key), definition, Array(copying: body), Array(copying: found),
                fault, report)
        }
    }

    private mutating func explain(
        _ key: [UInt8], _ definition: WriteBehindCore.TableDefinition, _ body: [UInt8],
        _ found: [UInt8],
        _ fault: String?, _ report: (String, Difference) -> Void
    ) {
        let schema = definition.schema
        do throws(RowError) {
            let whole = try RowCodec.completed(body.span, schema) ?? body
            if let fault {
                return tell(key, definition, .malformed(fault), report)
            }
            guard whole != found else { return }
            let (log, database) = (
                try RowCodec.decodeRow(whole.span, schema),
                try RowCodec.decodeRow(found.span, schema)
            )
            let columns = schema.valueColumns.indices.filter { log[$0] != database[$0] }.map {
                Difference.Column(
                    name: schema.valueColumns[$0].name, log: log[$0], database: database[$0])
            }
            tell(key, definition, .columns(columns), report)
        } catch {
            tell(key, definition, .malformed("\(error)"), report)
        }
    }
}
