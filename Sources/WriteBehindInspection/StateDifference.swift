import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The rows that differ between two past states, found by reading both in the order of keys.
package struct StateDifference {
    package enum Change: Sendable, Equatable {
        case added([DecodedRecord.Field])
        case removed([DecodedRecord.Field])
        case changed([Column])
    }

    package struct Column: Sendable, Equatable {
        package var name: String
        package var before: ShownValue
        package var after: ShownValue
        package var logicalType: LogicalType?
    }

    package let before: LogPosition
    package let after: LogPosition
    private let old: MergedRows
    private let new: MergedRows
    private let catalog: Catalog
    private let matcher: RecordMatcher

    /// - Parameters:
    ///   - tables: nil for all.
    ///   - filter: selects rows that meet it before or after.
    package init(
        _ history: StoreHistory, from start: LogPoint, to end: LogPoint, tables: Set<UInt32>?,
        _ filter: RecordFilter
    ) throws {
        old = try history.fold(to: start, tables: tables)
        new = try history.fold(to: end, tables: tables)
        before = old.position
        after = new.position
        // Every row can be read with a later definition, so the later catalog fits both states.
        catalog = before.sequence > after.sequence ? old.catalog : new.catalog
        matcher = RecordMatcher(filter, catalog)
    }

    private func isWanted(_ row: HistoryRow) -> Bool {
        matcher.admits(table: row.table, key: row.key, row: row.body)
    }

    /// Calls `body` for each row that differs, with its table and key.
    package func read(_ body: (TableSchema, [UInt8], Change) throws -> Void) throws {
        var left = try old.next()
        var right = try new.next()
        while left != nil || right != nil {
            if let row = left, right.map({ row.isBefore($0) }) ?? true {
                let schema = try schema(row)
                if isWanted(row) { try body(schema, row.key, .removed(try fields(row, schema))) }
                left = try old.next()
            } else if let row = right, left.map({ row.isBefore($0) }) ?? true {
                let schema = try schema(row)
                if isWanted(row) { try body(schema, row.key, .added(try fields(row, schema))) }
                right = try new.next()
            } else if let one = left, let other = right {
                left = try old.next()
                right = try new.next()
                guard isWanted(one) || isWanted(other) else { continue }
                let schema = try schema(one)
                let columns = try zip(fields(one, schema), fields(other, schema)).compactMap {
                    $0.value == $1.value
                        ? nil
                        : Column(
                            name: $0.name, before: $0.value, after: $1.value,
                            logicalType: $0.logicalType)
                }
                let isWanted =
                    matcher.filter.changed.map { name in
                        columns.contains { isSameName($0.name, name) }
                    } ?? !columns.isEmpty
                if isWanted { try body(schema, one.key, .changed(columns)) }
            }
        }
    }

    private func schema(_ row: HistoryRow) throws -> TableSchema {
        guard let schema = catalog[row.table]?.schema else {
            throw HistoryError.malformed(
                sequence: row.row.sequence, reason: "table \(row.table) is not defined")
        }
        return schema
    }

    private func fields(
        _ row: HistoryRow, _ schema: TableSchema
    ) throws -> [DecodedRecord.Field] {
        zip(schema.valueColumns, try ShownValue.row(row.body, schema)).compactMap {
            $0.isDropped ? nil : DecodedRecord.Field($0, $1)
        }
    }
}
