import EventLog
import Foundation
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// Schemas and values at their edges are refused by name when they are written, or they are there after a kill, in
/// memory, log and database alike.
///
/// In the normal run 40 seeds; with `EXHAUSTIVE` set in the environment, 2,000.
@Suite struct AcceptedSchemaTests {
    private static let seedCount =
        ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil ? 2000 : repeats(40)

    @Test func whatASchemaAcceptsIsReadBack() async {
        let faults = await onThreadOfItsOwn {
            (0..<UInt64(Self.seedCount)).compactMap { seed -> String? in
                do {
                    let life = AcceptedRows(seed: seed)
                    try life.run()
                    return life.fault.map { "seed \(seed): \($0)" }
                } catch {
                    return "seed \(seed): \(error)"
                }
            }
        }
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    /// GRDB asks SQLite for the columns of such a table, in its own way.
    @Test(arguments: HostileNameTests.names)
    func aTableOfNothingButItsKeyIsFilledWhateverItsName(name: String) throws {
        let store = try SteppedStore(TemporaryStore())
        let schema = TableSchema(name, [.key(name, .integer)])
        let definition = try store.engine.declare(schema)
        let key = try KeyCodec.encode([.integer(1)], schema)
        let body = try RowCodec.encodeRow([], schema)
        let table = UInt16(definition.id)
        _ = try store.engine.write(.put, table: table, key: key.span, body: body.span)
        #expect(store.materialize())
        _ = try store.engine.write(.delete, table: table, key: key.span, body: Span())
        #expect(store.materialize())
        try store.close()
    }

    /// Names go through SQL in ways of their own where a table changes.
    @Test(arguments: HostileNameTests.names)
    func aTableAndColumnsOfAnyNameAreExtended(name: String) throws {
        let store = try SteppedStore(TemporaryStore())
        let key = ColumnSchema.key("id", .integer)
        for other in ["first", name + "2"] {
            _ = try store.engine.declare(TableSchema(other, [key, .column(name, .text)]))
        }
        let old = TableSchema(name, [key, .column("a", .text)])
        let definition = try store.engine.declare(old)
        let bytes = try KeyCodec.encode([.integer(1)], old)
        let body = try RowCodec.encodeRow([.text("a")], old)
        let table = UInt16(definition.id)
        _ = try store.engine.write(.put, table: table, key: bytes.span, body: body.span)
        try #require(store.materialize())
        let new = TableSchema(
            name,
            old.columns + [
                .column(name, .text, default: .text(name)),
                .column(name + "3", .integer, nullable: true),
            ])
        _ = try store.engine.declare(new)
        let patch = try RowCodec.encodePatch([ColumnChange(column: 2, value: .integer(3))], new)
        _ = try store.engine.write(.patch, table: table, key: bytes.span, body: patch.span)
        try #require(store.materialize())
        let isOut = store.engine.evict(table, bytes.span)
        #expect(isOut)
        let found = try #require(try store.engine.fetchBlocking(table, bytes).body)
        let values = try RowCodec.decodeRow(found.span, new)
        #expect(values == [.text("a"), .text(name), .integer(3)])
    }
}

/// Tables of one store through three lives, the first two of which are killed, and what they must hold.
private final class AcceptedRows {
    private struct Table {
        var definition: TableDefinition
        /// By key; columns outside the key, with defaults for columns that were added since.
        var rows: [[UInt8]: [StoredValue]] = [:]

        var schema: TableSchema { definition.schema }
    }

    private var edges: EdgeSchemas
    private var tables: [Table] = []
    private(set) var fault: String?
    /// The stores' log lines.
    private let heard = Locked<[String]>([])

    init(seed: UInt64) { edges = EdgeSchemas(seed: seed) }

    func run() throws {
        var store = try opened(TemporaryStore())
        for _ in 0..<edges.number(1...3) {
            if let definition = try declared(edges.schema(), store) {
                tables.append(Table(definition: definition))
            }
        }
        if tables.isEmpty {
            guard let definition = try declared(Player.schema, store) else { return }
            tables = [Table(definition: definition)]
        }
        try write(store)
        if edges.chance(50) { materialize(store) } else { store.flush() }
        try write(store)
        store = try opened(store.killed())
        try check(store)
        // A column is added, and older rows are changed, within one block.
        try write(store)
        for index in tables.indices { try extend(index, store) }
        try write(store)
        try patch(store)
        store = try opened(store.killed())
        try check(store)
        materialize(store)
        try checkStored(store)
    }

    private func opened(_ directory: TemporaryStore) throws -> SteppedStore {
        try SteppedStore(directory) { [heard] in
            $0.logger = Logger(label: "test") { _ in CapturingLog(heard) }
        }
    }

    private func fail(_ reason: String) {
        if fault == nil { fault = reason }
    }

    // MARK: writing

    /// The store's table for a schema; nil if it refused it.
    private func declared(_ schema: TableSchema, _ store: SteppedStore) throws -> TableDefinition? {
        do {
            return try store.engine.declare(schema)
        } catch {
            switch error {
            case .schema, .commitTooLarge: return nil
            default: throw error
            }
        }
    }

    private func write(_ store: SteppedStore) throws {
        for index in tables.indices {
            for _ in 0..<edges.number(1...6) {
                let schema = tables[index].schema
                let row = edges.row(schema)
                do {
                    try put(row, index, store)
                } catch is RowError {
                    // NaN, or a key that is too long.
                } catch StoreError.commitTooLarge {
                }
            }
        }
    }

    private func put(_ row: [StoredValue], _ index: Int, _ store: SteppedStore) throws {
        let schema = tables[index].schema
        let columns = zip(schema.columns, row)
        let key = try KeyCodec.encode(columns.filter { $0.0.isKey }.map(\.1), schema)
        let values = columns.filter { !$0.0.isKey }.map(\.1)
        let body = try RowCodec.encodeRow(values, schema)
        _ = try store.engine.write(
            .put, table: UInt16(tables[index].definition.id), key: key.span, body: body.span)
        tables[index].rows[key] = values
    }

    private func extend(_ index: Int, _ store: SteppedStore) throws {
        let schema = edges.extended(tables[index].schema)
        guard let definition = try declared(schema, store) else { return }
        let added = schema.columns[tables[index].schema.columns.count...].map(\.missingValue)
        tables[index].definition = definition
        tables[index].rows = tables[index].rows.mapValues { $0 + added }
    }

    /// Changes one column of each row, also of rows that are older than the newest column.
    private func patch(_ store: SteppedStore) throws {
        for index in tables.indices {
            let schema = tables[index].schema
            guard !schema.valueColumns.isEmpty else { continue }
            for key in tables[index].rows.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                let column = edges.number(0...schema.valueColumns.count - 1)
                let value = edges.value(schema.valueColumns[column])
                guard
                    let body = try? RowCodec.encodePatch(
                        [ColumnChange(column: column, value: value)], schema)
                else { continue }
                _ = try store.engine.write(
                    .patch, table: UInt16(tables[index].definition.id), key: key.span,
                    body: body.span)
                tables[index].rows[key]?[column] = value
            }
        }
    }

    private func materialize(_ store: SteppedStore) {
        if !store.materialize() {
            fail("the database does not catch up: \(heard.withLock { $0.last ?? "" })")
        }
        for commit in store.engine.sink.quarantine.all {
            fail("what was accepted is in quarantine: \(commit.error)")
        }
    }

    // MARK: checks

    /// Every row reads as it was written.
    private func check(_ store: SteppedStore) throws {
        for table in tables {
            for (key, values) in table.rows {
                let body = try store.engine.fetchBlocking(UInt16(table.definition.id), key).body
                compare(
                    try body.map { try RowCodec.decodeRow($0.span, table.schema) }, values, table)
            }
        }
    }

    private func compare(_ found: [StoredValue]?, _ right: [StoredValue], _ table: Table) {
        guard found != right else { return }
        fail("a row of \(StoredValue.text(table.schema.name)) is \(found as Any), not \(right)")
    }

    /// Out of the database, out of the log, and by verifying both.
    private func checkStored(_ store: SteppedStore) throws {
        for table in tables {
            for key in table.rows.keys {
                _ = store.engine.evict(UInt16(table.definition.id), key.span)
            }
        }
        try check(store)
        try store.close()
        let inspection = try StoreInspection(path: store.directory.path)
        let folded = try inspection.history().fold(to: .sequence(store.engine.log.lastSequence))
        var count = 0
        while let row = try folded.next() {
            guard let table = tables.first(where: { $0.definition.id == row.table }),
                let right = table.rows[row.key]
            else { return fail("the log has a row that nobody wrote") }
            compare(try RowCodec.decodeRow(row.body.span, table.schema), right, table)
            count += 1
        }
        let expected = tables.reduce(0) { $0 + $1.rows.count }
        if count != expected { fail("the log has \(count) rows, not \(expected)") }
        for finding in try LogVerification(inspection).findings { fail(finding.reason) }
        var differing: [String] = []
        let database = try DatabaseVerification(inspection) { differing.append("\($0): \($1)") }
        if let reason = database.fault ?? differing.first { fail("the database: \(reason)") }
    }
}
