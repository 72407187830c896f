import EventLog
import Foundation
import WriteBehindCore

/// Keys, rows and patches of one table, made of given bytes.
enum FuzzRow {
    static let schema = TableSchema(
        "t",
        [
            .column("text", .text), .key("k", .text), .column("integer", .integer, nullable: true),
            .key("n", .integer), .column("real", .real, nullable: true),
            .column("blob", .blob, default: .blob([1])), .key("r", .real),
            .column("date", .text, nullable: true), .column("uuid", .blob, nullable: true),
            .key("z", .blob),
        ])
    private static let layout = RowLayout(schema)

    /// The same columns, read as a row type of a user's.
    private struct Typed: TableRow {
        struct Key: RowKey {
            func encode(to encoder: inout KeyEncoder) {}
            init(from decoder: inout RowDecoder) throws {}
        }
        static let schema = FuzzRow.schema
        var values: [StoredValue]

        func encode(to encoder: inout RowEncoder) {}

        init(from decoder: inout RowDecoder) throws {
            values = [.text(try decoder.decode()), .text(try decoder.decode())]
            values.append(try decoder.decode(Int64?.self).map { .integer($0) } ?? .null)
            values.append(.integer(try decoder.decode()))
            values.append(try decoder.decode(Double?.self).map { .real($0) } ?? .null)
            values += [.blob(try decoder.decode()), .real(try decoder.decode())]
            let date: Date? = try decoder.decode()
            let uuid: UUID? = try decoder.decode()
            values += [date == nil ? .null : .text(""), uuid == nil ? .null : .blob([])]
            values.append(.blob(try decoder.decode()))
        }
    }

    static func run(_ input: [UInt8]) throws -> Bool {
        var rest = input[...]
        func part() -> [UInt8] {
            guard let count = rest.popFirst() else { return [] }
            let part = Array(rest.prefix(Int(count)))
            rest = rest.dropFirst(Int(count))
            return part
        }
        let (key, row) = (part(), part())
        let patch = Array(rest)
        let keyValues = try self.key(key)
        let values = try self.row(row)
        let changes = try self.patch(patch)
        try merge(row, values, patch, changes)
        let isAdd = try add(patch, to: row, values)
        guard let keyValues, let values else { return false }
        try whole(key, keyValues, row, values)
        return changes != nil || isAdd
    }

    /// The sum of a row and an add, as bytes and as values, and of two adds that were merged before. Returns whether it is
    /// an add.
    private static func add(
        _ add: [UInt8], to row: [UInt8], _ values: [StoredValue]?
    ) throws -> Bool {
        let defaults = RowCodec.defaults(schema)
        let amounts = Array(add.dropFirst())
        var (once, twice, merged, atOnce): ([UInt8], [UInt8], [UInt8], [UInt8]) = ([], [], [], [])
        try? RowMerge.row(row.span, patch: amounts.span, defaults: defaults, into: &once)
        try? RowMerge.add(
            add.span, isAdd: true, add.span, isAdd: true, defaults: defaults, into: &merged)
        guard let values, let decoded = try? RowCodec.decodeAdd(add.span, schema) else {
            return false
        }
        try RowMerge.row(once.span, patch: amounts.span, defaults: defaults, into: &twice)
        let both = Array(merged.dropFirst())
        try RowMerge.row(row.span, patch: both.span, defaults: defaults, into: &atOnce)
        try require(atOnce == twice, "two adds that were merged make another row")
        for amount in decoded.amounts {
            var before: Int64 = 0
            if case .integer(let value) = values[amount.column] { before = value }
            let (sum, isWide) = before.addingReportingOverflow(amount.amount)
            let found = try? RowCodec.value(at: amount.column, in: once.span, schema)
            try require(found == (isWide ? nil : .integer(sum)), "an add makes another sum")
        }
        return true
    }

    private static func key(_ key: [UInt8]) throws -> [StoredValue]? {
        guard let values = try? KeyCodec.decode(key.span, schema) else { return nil }
        let encoded = try KeyCodec.encode(values, schema)
        try require(encoded == key, "two keys hold the same values")
        return values
    }

    private static func row(_ row: [UInt8]) throws -> [StoredValue]? {
        let completed = try? RowCodec.completed(row.span, schema)
        guard let values = try? RowCodec.decodeRow(row.span, schema) else { return nil }
        let encoded = try RowCodec.encodeRow(values, schema)
        let again = try RowCodec.decodeRow(encoded.span, schema)
        try require(again == values, "a row encoded again holds something else")
        if let completed = completed ?? nil {
            let same = try RowCodec.decodeRow(completed.span, schema)
            try require(same == values, "a completed row holds something else")
        }
        return values
    }

    private static func patch(_ patch: [UInt8]) throws -> [ColumnChange]? {
        guard let changes = try? RowCodec.decodePatch(patch.span, schema) else { return nil }
        let encoded = try RowCodec.encodePatch(changes, schema)
        let again = try RowCodec.decodePatch(encoded.span, schema)
        try require(again == changes, "a patch encoded again changes something else")
        return changes
    }

    /// The result of a patch on a row, as bytes and as values, and back.
    private static func merge(
        _ row: [UInt8], _ values: [StoredValue]?, _ patch: [UInt8], _ changes: [ColumnChange]?
    ) throws {
        var merged: [UInt8] = []
        var twice: [UInt8] = []
        let defaults = RowCodec.defaults(schema)
        try? RowMerge.patch(patch.span, patch.span, defaults: defaults, into: &twice)
        try? RowMerge.row(
            row.span, patch: patch.span, defaults: defaults, into: &merged)
        guard let values, let changes else { return }
        var expected = values
        for change in changes { expected[change.column] = change.value }
        let mergedValues = try RowCodec.decodeRow(merged.span, schema)
        try require(mergedValues == expected, "a patch makes another row of it")
        let same = try RowCodec.decodePatch(twice.span, schema)
        try require(same == changes, "a patch over itself is another patch")
        let difference = try RowCodec.diff(old: row.span, new: merged.span, schema)
        guard let difference else {
            return try require(expected == values, "a difference was not seen")
        }
        var again: [UInt8] = []
        try RowMerge.row(
            row.span, patch: difference.span, defaults: RowCodec.defaults(schema), into: &again)
        let againValues = try RowCodec.decodeRow(again.span, schema)
        try require(againValues == expected, "the difference makes another row")
    }

    /// The row as a user reads it.
    private static func whole(
        _ key: [UInt8], _ keyValues: [StoredValue], _ row: [UInt8], _ rowValues: [StoredValue]
    ) throws {
        let values = try RowCodec.decode(key: key.span, row: row.span, schema)
        let encoded = try RowCodec.encode(values, schema)
        try require(encoded.key == key, "a row encoded again has another key")
        guard let typed = try? RowDecoder.decode(Typed.self, key: key.span, row: row.span, layout)
        else { return }
        for (index, column) in schema.columns.enumerated() {
            let isSame =
                ["date", "uuid"].contains(column.name)
                ? (typed.values[index] == .null) == (values[index] == .null)
                : typed.values[index] == values[index]
            try require(isSame, "\(column.name) reads as something else by its type")
        }
    }
}

/// store.json, and the JSON of tables' definitions.
enum FuzzText {
    static func run(identity bytes: [UInt8]) throws -> Bool {
        guard var identity = try? StoreIdentity.decode(bytes, path: "store") else { return false }
        identity.created = "2013-01-01T10:00:00Z"  // told to people only
        let again = try StoreIdentity.decode(identity.encoded(), path: "store")
        try require(again == identity && again.storeID == identity.storeID, "another store")
        return true
    }

    static func run(definition bytes: [UInt8]) throws -> Bool {
        guard let definition = try? TableDefinition(json: bytes.span) else { return false }
        let json = definition.json()
        let again = try TableDefinition(json: json.span)
        try require(again == definition, "a definition written again is another")
        try require(again.json() == json, "a definition has two forms")
        return true
    }
}
