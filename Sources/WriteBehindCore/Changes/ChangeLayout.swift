import EventLog

/// Reads the changes of a table as a row's type: maps the columns of the type to the stored ones.
final class ChangeLayout: Sendable {
    /// The schema with all columns of the table. The type may have fewer.
    private let schema: TableSchema
    private let layout: RowLayout
    private let keyLayout: RowLayout
    /// For each column outside the key, in the order of the type: its place in a row body, and among all columns.
    private let places: [(stored: Int, column: Int)]
    /// See ``RowLayout/names(in:)``.
    private let names: [String?]

    init(_ layout: RowLayout, _ schema: TableSchema) {
        self.layout = layout
        self.schema = schema
        keyLayout = RowLayout(TableSchema(schema.name, schema.keyColumns))
        let columns = layout.columns.indices.filter { !layout.columns[$0].isKey }
        places = zip(layout.places, columns).map { (stored: $0, column: $1) }
        names = layout.names(in: schema)
    }

    func key<Key: RowKey>(_ type: Key.Type, _ key: Span<UInt8>) throws(RowError) -> Key {
        try RowDecoder.decode(type, key: key, keyLayout)
    }

    func row<Row: TableRow>(
        _ type: Row.Type, key: Span<UInt8>, body: Span<UInt8>
    ) throws(RowError) -> Row {
        try RowDecoder.decode(type, key: key, row: body, layout)
    }

    /// The row that a patch makes of the row before it.
    private func row(
        _ before: Span<UInt8>, patch: Span<UInt8>
    ) throws(RowError) -> [UInt8] {
        var after: [UInt8] = []
        do throws(MalformedRecord) {
            try RowMerge.row(
                before, patch: patch, defaults: RowCodec.defaults(schema), into: &after)
        } catch {
            throw RowError(table: schema.name, .malformed(error.reason))
        }
        return after
    }

    /// The whole row after a change; nil if there is none, or the log does not have it.
    func row(after change: LoggedChange) throws(RowError) -> [UInt8]? {
        let bytes = change.bytes.span
        switch change.operation {
        case .put: return Array(copying: bytes.extracting(change.body))
        case .patch:
            guard let before = change.before else { return nil }
            return try row(bytes.extracting(before), patch: bytes.extracting(change.body))
        default: return nil
        }
    }

    /// The values that a change wrote, by their names.
    func columns(of change: LoggedChange) throws(RowError) -> [String: StoredValue] {
        let body = change.bytes.span.extracting(change.body)
        return switch change.operation {
        case .put: try columns(ofRow: body)
        case .patch: try columns(ofPatch: body)
        case .add: columns(try RowCodec.decodeAdd(body, schema).row ?? [])
        default: [:]
        }
    }

    /// The place of the values that an add puts if there is no row; nil if it adds amounts.
    func rowIfAbsent(_ change: LoggedChange) throws(RowError) -> Range<Int>? {
        do throws(MalformedRecord) {
            let parts = try RowMerge.parts(change.bytes.span.extracting(change.body))
            guard parts.origin == .either, let missing = parts.missing else { return nil }
            let start = change.body.lowerBound
            return start + missing.lowerBound..<start + missing.upperBound
        } catch {
            throw RowError(table: schema.name, .malformed(error.reason))
        }
    }

    /// What a change added to columns, by their names.
    func amounts(of change: LoggedChange) throws(RowError) -> [String: Int] {
        guard change.operation == .add else { return [:] }
        let body = change.bytes.span.extracting(change.body)
        var amounts: [String: Int] = [:]
        for amount in try RowCodec.decodeAdd(body, schema).amounts {
            if let name = names[amount.column] { amounts[name] = Int(amount.amount) }
        }
        return amounts
    }

    /// The values of a key, by their names.
    func columns(ofKey key: Span<UInt8>) throws(RowError) -> [String: StoredValue] {
        let values = try KeyCodec.decode(key, schema)
        return Dictionary(
            zip(schema.keyColumns.map(\.name), values), uniquingKeysWith: { first, _ in first })
    }

    /// The values of a row body, by their names.
    func columns(ofRow body: Span<UInt8>) throws(RowError) -> [String: StoredValue] {
        var columns: [String: StoredValue] = [:]
        for (name, value) in zip(names, try RowCodec.decodeRow(body, schema)) {
            if let name { columns[name] = value }
        }
        return columns
    }

    /// The values of a patch, by their names.
    private func columns(ofPatch body: Span<UInt8>) throws(RowError) -> [String: StoredValue] {
        columns(try RowCodec.decodePatch(body, schema))
    }

    private func columns(_ changes: [ColumnChange]) -> [String: StoredValue] {
        var columns: [String: StoredValue] = [:]
        for change in changes {
            if let name = names[change.column] { columns[name] = change.value }
        }
        return columns
    }

    /// Reads one value of a row body, or of a patch; nil if a patch does not have it.
    ///
    /// - Parameter index: the column's place among those outside the key, in the order of the type.
    func value<V>(
        at index: Int, in body: Span<UInt8>, isPatch: Bool,
        _ decode: (inout RowDecoder) throws(RowError) -> V
    ) throws(RowError) -> V? {
        let (stored, column) = places[index]
        guard let place = try place(of: stored, in: body, isPatch: isPatch) else {
            if isPatch { return nil }
            var missing: [UInt8] = []
            missing.append(row: schema.valueColumns[stored].missingValue)
            return try RowDecoder.decode(valueOf: column, missing.span, layout, decode)
        }
        return try RowDecoder.decode(valueOf: column, body.extracting(place), layout, decode)
    }

    private func place(
        of stored: Int, in body: Span<UInt8>, isPatch: Bool
    ) throws(RowError) -> Range<Int>? {
        var reader = ByteReader(0..<body.count)
        var column = -1
        for _ in 0..<(try schema.valueCount(&reader, body)) {
            column =
                isPatch ? try schema.patchColumn(&reader, body, atLeast: column + 1) : column + 1
            let place = try schema.skipValue(&reader, body)
            if column == stored { return place }
        }
        return nil
    }
}
