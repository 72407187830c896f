package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// A filter, resolved for the tables of a log. It reads records in place and decodes only the columns that it has
/// conditions for.
package struct RecordMatcher: Sendable {
    fileprivate struct Table {
        var schema: TableSchema
        var key: [UInt8] = []
        var isWholeKey = false
        var conditions: [Condition] = []
    }

    fileprivate struct Condition {
        enum Place {
            case key(Int)
            case value(Int)
        }
        var place: Place
        var comparison: Comparison
        var value: StoredValue
    }

    package let filter: RecordFilter
    private var tables: [UInt32: Table] = [:]
    private let needles: RecordNeedles

    package init(_ filter: RecordFilter, _ catalog: Catalog) {
        self.filter = filter
        for definition in catalog.tables where filter.names(definition.schema) {
            guard let key = filter.key(in: definition.schema),
                let conditions = Self.conditions(filter, definition.schema)
            else { continue }
            tables[definition.id] = Table(
                schema: definition.schema, key: key.bytes, isWholeKey: key.isWhole,
                conditions: conditions)
        }
        needles = RecordNeedles(
            keys: filter.key == nil
                ? [] : tables.map { (table: $0, bytes: $1.key, isWhole: $1.isWholeKey) },
            clears: filter.changed != nil)
    }

    private static func conditions(
        _ filter: RecordFilter, _ schema: TableSchema
    ) -> [Condition]? {
        var conditions: [Condition] = []
        for condition in filter.conditions {
            guard let (column, place) = schema.place(of: condition.column),
                let value = StoredValue(condition: condition.text, in: column)
            else { return nil }
            conditions.append(
                Condition(place: place, comparison: condition.comparison, value: value))
        }
        if let changed = filter.changed, schema.valueIndex(of: changed) == nil { return nil }
        return conditions
    }

    /// Whether only records of rows are wanted.
    private var isOfRows: Bool {
        filter.key != nil || !filter.conditions.isEmpty || filter.changed != nil
    }

    /// False only if none of a block's records is wanted.
    package func mayHold(_ payload: Span<UInt8>) -> Bool {
        if isOfRows, tables.isEmpty { return false }
        return needles.mayOccur(in: payload)
    }

    package func admits(
        _ record: Record, sequence: UInt64, time: UInt64, _ payload: Span<UInt8>
    ) -> Bool {
        filter.admits(record.operation, sequence: sequence, time: time)
            && admits(
                record.operation, record.table, payload.extracting(record.key),
                payload.extracting(record.body))
    }

    package func admits(_ record: LoggedRecord) -> Bool {
        filter.admits(record)
            && admits(record.operation, record.table, record.key.span, record.body.span)
    }

    /// Whether the record belongs to a wanted row, or to a wanted table.
    private func admits(
        _ operation: Operation, _ table: UInt32, _ key: Span<UInt8>, _ body: Span<UInt8>
    ) -> Bool {
        guard isOfRows else { return filter.tables.isEmpty || tables[table] != nil }
        guard let table = tables[table], concerns(table, operation, key) else { return false }
        for condition in table.conditions where !holds(condition, operation, key, body, table) {
            return false
        }
        return true
    }

    private func concerns(_ table: Table, _ operation: Operation, _ key: Span<UInt8>) -> Bool {
        switch operation {
        case .put, .patch, .add, .delete:
            table.isWholeKey
                ? key.count == table.key.count && key.compared(with: table.key.span) == 0
                : key.starts(with: table.key.span)
        // A clear changes all columns of all rows of the table.
        case .clear: filter.changed != nil && filter.conditions.isEmpty
        case .define, .mark, .settle, .preamble: false
        }
    }

    private func holds(
        _ condition: Condition, _ operation: Operation, _ key: Span<UInt8>, _ body: Span<UInt8>,
        _ table: Table
    ) -> Bool {
        let value =
            switch condition.place {
            case .key(let index): try? KeyCodec.decode(key, table.schema)[index]
            case .value(let index): try? RowCodec.given(index, by: operation, body, table.schema)
            }
        return value.map { condition.comparison.holds($0, condition.value) } ?? false
    }

    /// Whether a whole row is wanted.
    package func admits(table: UInt32, key: [UInt8], row: [UInt8]) -> Bool {
        guard isOfRows else { return filter.tables.isEmpty || tables[table] != nil }
        guard let table = tables[table], concerns(table, .put, key.span) else { return false }
        return table.conditions.allSatisfy { condition in
            switch condition.place {
            case .key: return holds(condition, .put, key.span, row.span, table)
            case .value(let index):
                let value = try? ShownValue.value(at: index, in: row, table.schema)
                return value.map { condition.comparison.holds($0, condition.value) } ?? false
            }
        }
    }
}

extension TableSchema {
    /// The column of this name, and its place.
    fileprivate func place(of name: String) -> (ColumnSchema, RecordMatcher.Condition.Place)? {
        if let index = valueIndex(of: name) { return (valueColumns[index], .value(index)) }
        guard let index = keyColumns.firstIndex(where: { isSameName($0.name, name) }) else {
            return nil
        }
        return (keyColumns[index], .key(index))
    }
}

extension RecordFilter {
    fileprivate func names(_ schema: TableSchema) -> Bool {
        tables.isEmpty || tables.contains { isSameName($0, schema.name) }
    }

    /// The key that was typed, encoded for a table; nil if it cannot be a key of this table.
    fileprivate func key(in schema: TableSchema) -> (bytes: [UInt8], isWhole: Bool)? {
        guard let key else { return ([], false) }
        let columns = schema.keyColumns
        guard key.count <= columns.count else { return nil }
        let values = zip(columns, key).compactMap { StoredValue($1, in: $0) }
        guard values.count == key.count else { return nil }
        if values.count < columns.count {
            return (try? KeyCodec.encode(prefix: values, schema)).map { ($0, false) }
        }
        return (try? KeyCodec.encode(values, schema)).map { ($0, true) }
    }

    /// Checks whether any record of these tables can match. If none can, the options are wrong, and an empty answer would
    /// hide that.
    ///
    /// - Returns: what is wrong, and which names exist; nil if nothing is wrong.
    package func problem(_ catalog: Catalog) -> String? {
        let known = catalog.tables.map(\.schema)
        for name in tables where catalog[name] == nil {
            return "There is no table \(StoredValue.text(name)); there are: "
                + known.map { RowName.plain($0.name) }.joined(separator: ", ") + "."
        }
        let schemas = known.filter(names)
        let columns = conditions.map(\.column) + [changed].compactMap(\.self)
        for name in columns where !schemas.contains(where: { $0.place(of: name) != nil }) {
            return "There is no column \(StoredValue.text(name)); there are: "
                + schemas.map(Self.columns).joined(separator: "; ") + "."
        }
        if let changed, !schemas.contains(where: { $0.valueIndex(of: changed) != nil }) {
            return "\(RowName.plain(changed)) is part of the key, which never changes."
        }
        for condition in conditions {
            let found = schemas.compactMap { $0.place(of: condition.column)?.0 }
            if found.allSatisfy({ StoredValue(condition: condition.text, in: $0) == nil }) {
                return Self.wrongType(condition.text, found)
            }
            let isNull = found.contains { StoredValue(condition: condition.text, in: $0) == .null }
            if isNull, condition.comparison != .equal, condition.comparison != .notEqual {
                return "Nothing is less or greater than null: write = or !=."
            }
        }
        guard let key, !schemas.contains(where: { self.key(in: $0) != nil }) else { return nil }
        return Self.noKey(key, schemas)
    }

    private static func columns(_ schema: TableSchema) -> String {
        RowName.plain(schema.name) + " has "
            + schema.columns.filter { !$0.isDropped }.map { RowName.plain($0.name) }
            .joined(separator: ", ")
    }

    private static func wrongType(_ text: String, _ columns: [ColumnSchema]) -> String {
        let types = columns.map { "\(RowName.plain($0.name)) is \($0.type.rawValue)" }
        return
            "\(StoredValue.text(text)) is no value of the column: \(types.joined(separator: ", "))."
    }

    private static func noKey(_ key: [String], _ schemas: [TableSchema]) -> String {
        let keys = schemas.map { schema in
            let columns = schema.keyColumns.map { "\(RowName.plain($0.name)) \($0.type.rawValue)" }
            return "\(RowName.plain(schema.name))[\(columns.joined(separator: ", "))]"
        }
        let typed = key.map { StoredValue.text($0).description }.joined(separator: ", ")
        return "No table has a key that begins with \(typed); there are: "
            + keys.joined(separator: "; ") + "."
    }
}
