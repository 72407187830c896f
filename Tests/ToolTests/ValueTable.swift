import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// A table of a schema that a test makes up, written with plain values.
struct ValueTable {
    private let store: NewStore
    private let definition: TableDefinition

    init(_ store: NewStore, _ schema: WriteBehind.TableSchema) throws {
        self.store = store
        definition = TableDefinition(
            id: try store.define(schema, time: Self.now), schema: schema)
    }

    private static var now: UInt64 { UInt64(Date().timeIntervalSince1970 * 1000) }

    /// The changes of a commit.
    struct Changes {
        fileprivate let definition: TableDefinition
        fileprivate var records: [LoggedRecord] = []

        private mutating func append(
            _ operation: EventLog.Operation, _ key: [UInt8], _ body: [UInt8]
        ) {
            records.append(
                LoggedRecord(
                    sequence: 0, time: 0, commit: 0, commitCount: 0, operation: operation,
                    table: definition.id, key: key, body: body, byteCount: 0))
        }

        mutating func put(_ values: [StoredValue]) throws {
            let (key, row) = try RowCodec.encode(values, definition.schema)
            append(.put, key, row)
        }

        /// - Parameter changes: by the column's place outside the key.
        mutating func update(_ key: [StoredValue], _ changes: [Int: StoredValue]) throws {
            let sorted = changes.sorted { $0.key < $1.key }
            append(
                .patch, try KeyCodec.encode(key, definition.schema),
                try RowCodec.encodePatch(
                    sorted.map { ColumnChange(column: $0, value: $1) }, definition.schema))
        }

        /// - Parameter amounts: by the column's place outside the key.
        mutating func add(_ key: [StoredValue], _ amounts: [Int: Int64]) throws {
            let sorted = amounts.sorted { $0.key < $1.key }
            append(
                .add, try KeyCodec.encode(key, definition.schema),
                RowCodec.encodeAdd(
                    sorted.map { ColumnAmount(column: $0, amount: $1) },
                    makesRow: RowCodec.addsMakeRows(definition.schema)))
        }

        mutating func delete(_ key: [StoredValue]) throws {
            append(.delete, try KeyCodec.encode(key, definition.schema), [])
        }

        mutating func clear() { append(.clear, [], []) }
    }

    func commit(_ body: (inout Changes) throws -> Void) throws {
        var changes = Changes(definition: definition)
        try body(&changes)
        try store.commit(changes.records, time: Self.now)
    }
}

extension Fixture {
    /// The rows of all tables by what the log says, as of a sequence; by table and key.
    func fold(to point: LogPoint = .end) throws -> [String: [StoredValue]] {
        let rows = try StoreInspection(path: path).history().fold(to: point)
        var found: [String: [StoredValue]] = [:]
        while let row = try rows.next() {
            guard let schema = rows.catalog[row.table]?.schema else { continue }
            let values = try RowCodec.decode(key: row.key.span, row: row.body.span, schema)
            found["\(row.table) \(hexadecimal(row.key))"] = values
        }
        return found
    }
}
