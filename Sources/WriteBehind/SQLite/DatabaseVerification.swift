import EventLog
import Foundation
import GRDB

/// The database compared with what snapshot and log say it must hold at its watermark, row by row.
///
/// Rows that quarantined commits touch are left out: the database has them as they were before.
package struct DatabaseVerification {
    package enum Difference: Equatable, Sendable {
        /// The log has the row, the database does not.
        case missing
        /// The database has a row that the log does not.
        case extra
        /// Both have it, and these columns differ.
        case columns([Column])
        /// The database's row is none that the table can hold.
        case malformed(String)

        package struct Column: Equatable, Sendable {
            package var name: String
            package var log: Value
            package var database: Value
        }
    }

    package private(set) var watermark: UInt64 = 0
    package private(set) var rowCount: UInt64 = 0
    package private(set) var tableCount = 0
    package private(set) var skipped: UInt64 = 0
    package private(set) var differenceCount: UInt64 = 0
    /// What is wrong with the database as a whole.
    package private(set) var fault: String?

    private var held: Set<QuarantinedKey> = []

    /// - Parameters:
    ///   - progress: told how many rows were compared.
    ///   - report: told each row that differs, as `table[key]`.
    package init(
        _ store: StoreInspection, progress: (UInt64) -> Void = { _ in },
        report: (String, Difference) -> Void
    ) throws {
        let queue = try DatabaseInspection.open(store.layout.database)
        defer { try? queue.close() }
        // One transaction: the database stays at one watermark while it is read.
        try queue.read { db in
            try compare(store, db, progress, report)
        }
    }

    private mutating func compare(
        _ store: StoreInspection, _ db: Database, _ progress: (UInt64) -> Void,
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
        held = Set(try QuarantineTable.load(db).all.flatMap(\.keys))
        let rows = try store.history().fold(to: .sequence(watermark))
        guard rows.position.sequence == watermark,
            rows.position.chain == UInt64(bitPattern: row[1] as Int64)
        else {
            fault = "its watermark #\(watermark) belongs to another history than the log"
            return
        }
        try compare(rows, db, progress, report)
    }

    private mutating func compare(
        _ rows: MergedRows, _ db: Database, _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        var expected = try rows.next()
        for definition in rows.catalog.tables {
            tableCount += 1
            guard try db.tableExists(definition.schema.name) else {
                fault = "table \(Value.text(definition.schema.name)) is missing"
                return
            }
            let stored = try StoredRows(definition, db)
            var found = try stored.next()
            while true {
                if let row = expected, row.table == definition.id {
                    if let there = found, !row.key.span.precedes(there.key.span) {
                        if there.key == row.key {
                            check(row.key, definition, row.body, there, report)
                            expected = try rows.next()
                        } else {
                            tell(there.key, definition, .extra, report)
                        }
                        found = try stored.next()
                    } else {
                        tell(row.key, definition, .missing, report)
                        expected = try rows.next()
                    }
                } else if let there = found {
                    tell(there.key, definition, .extra, report)
                    found = try stored.next()
                } else {
                    break
                }
                rowCount += 1
                if rowCount.isMultiple(of: 4096) { progress(rowCount) }
            }
        }
    }

    private mutating func tell(
        _ key: [UInt8], _ definition: TableDefinition, _ difference: Difference,
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
        _ key: [UInt8], _ definition: TableDefinition, _ body: [UInt8], _ found: StoredRows.Row,
        _ report: (String, Difference) -> Void
    ) {
        let schema = definition.schema
        do throws(RowError) {
            let whole = try RowCodec.completed(body.span, schema) ?? body
            if let fault = found.fault {
                return tell(key, definition, .malformed(fault), report)
            }
            guard whole != found.body else { return }
            let (log, database) = (
                try RowCodec.decodeRow(whole.span, schema),
                try RowCodec.decodeRow(found.body.span, schema)
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

/// The rows of one table as the database has them, in the order of their keys.
private final class StoredRows {
    struct Row {
        var key: [UInt8]
        var body: [UInt8]
        /// Why the row cannot be encoded.
        var fault: String?
    }

    private let schema: TableSchema
    private let statement: PreparedStatement

    init(_ definition: TableDefinition, _ db: Database) throws {
        schema = definition.schema
        let columns = schema.columns.map { quoted($0.name) }.joined(separator: ", ")
        let keys = schema.keyColumns.map { quoted($0.name) }.joined(separator: ", ")
        statement = try PreparedStatement(
            cached: "SELECT \(columns) FROM \(quoted(schema.name)) ORDER BY \(keys)", in: db)
    }

    func next() throws(SinkError) -> Row? {
        guard try statement.step() else { return nil }
        let values = schema.columns.indices.map { statement.value(Int32($0)) }
        do throws(RowError) {
            let (key, body) = try RowCodec.encode(values, schema)
            return Row(key: key, body: body)
        } catch {
            let keys = zip(schema.columns, values).filter(\.0.isKey).map(\.1)
            let key = try? KeyCodec.encode(keys, schema)
            return Row(key: key ?? [], body: [], fault: "\(error)")
        }
    }
}
