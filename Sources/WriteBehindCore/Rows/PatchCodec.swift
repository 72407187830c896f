import EventLog

// Patch bodies, in the grammar of RowCodec.swift. Their column numbers count among the columns
// outside the key.

/// The new value of one column.
package struct ColumnChange: Sendable, Hashable {
    package let column: Int
    package let value: StoredValue

    package init(column: Int, value: StoredValue) {
        self.column = column
        self.value = value
    }
}

extension RowCodec {
    /// The patch body of these changes, which are given in ascending order of their columns.
    package static func encodePatch(
        _ changes: [ColumnChange], _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        var patch: [UInt8] = []
        patch.append(varint: UInt64(changes.count))
        var next = 0
        for change in changes {
            guard change.column >= next, change.column < schema.valueColumns.count else {
                throw RowError(table: schema.name, .noSuchColumn)
            }
            next = change.column + 1
            try schema.check(change.value, schema.valueColumns[change.column])
            patch.append(varint: UInt64(change.column))
            patch.append(row: change.value)
        }
        return patch
    }

    /// A row body without values. A patch that makes its row is applied to it.
    package static let noValues: [UInt8] = [0]

    /// A patch that sets all columns of a row. It is the put of a program that may lack columns of the table. If there
    /// is no such row, the patch makes it: ``makesRow(_:_:)``.
    package static func patch(
        settingAllOf row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        var reader = ByteReader(0..<row.count)
        let count = try schema.valueCount(&reader, row)
        var patch: [UInt8] = []
        patch.append(varint: UInt64(count))
        for column in 0..<count {
            patch.append(varint: UInt64(column))
            patch += copy(row.extracting(try schema.skipValue(&reader, row)))
        }
        return patch
    }

    /// Whether a whole row lacks columns of its table, because it was encoded before the table had them.
    static func lacksColumns(_ row: Span<UInt8>, _ schema: TableSchema) throws(RowError) -> Bool {
        var reader = ByteReader(0..<row.count)
        let count = try schema.valueCount(&reader, row)
        return schema.valueColumns[count...].contains { !$0.isDropped }
    }

    /// Whether a patch of these columns makes its row if there is none. It does if it sets every column that needs a value,
    /// and the first column, or no column at all, because its program has only the key. Patches of updates mostly do not,
    /// so an update whose row is missing is still noticed.
    package static func makesRow(_ columns: [Int], _ schema: TableSchema) -> Bool {
        guard columns.first ?? 0 == 0 else { return false }
        var rest = columns[...]
        for (index, column) in schema.valueColumns.enumerated() {
            if rest.first == index {
                rest.removeFirst()
            } else if !column.isNullable, column.defaultValue == nil {
                return false
            }
        }
        return rest.isEmpty
    }

    package static func decodePatch(
        _ patch: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [ColumnChange] {
        var reader = ByteReader(0..<patch.count)
        var changes: [ColumnChange] = []
        for _ in 0..<(try schema.valueCount(&reader, patch)) {
            let next = (changes.last?.column ?? -1) + 1
            let column = try schema.patchColumn(&reader, patch, atLeast: next)
            let value = try schema.value(schema.valueColumns[column], &reader, patch)
            changes.append(ColumnChange(column: column, value: value))
        }
        try schema.checkEnd(reader)
        return changes
    }

    /// The patch that makes the row `old` into `new`, or nil if they hold the same values.
    ///
    /// Values are compared as bytes and never decoded. If one row is shorter, its missing
    /// values are the defaults.
    package static func diff(
        old: Span<UInt8>, new: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [UInt8]? {
        if let completed = try completed(old, schema) {
            return try diff(old: completed.span, new: new, schema)
        }
        if let completed = try completed(new, schema) {
            return try diff(old: old, new: completed.span, schema)
        }
        var changes: [UInt8] = []
        var changeCount = 0
        var oldReader = ByteReader(0..<old.count)
        var newReader = ByteReader(0..<new.count)
        for column
            in 0..<min(
                try schema.valueCount(&oldReader, old), try schema.valueCount(&newReader, new))
        {
            let was = old.extracting(try schema.skipValue(&oldReader, old))
            let now = new.extracting(try schema.skipValue(&newReader, new))
            if isEqual(was, now) { continue }
            changes.append(varint: UInt64(column))
            unsafe now.withUnsafeBufferPointer { unsafe changes.append(contentsOf: $0) }
            changeCount += 1
        }
        try schema.checkEnd(oldReader)
        try schema.checkEnd(newReader)
        guard changeCount > 0 else { return nil }
        var patch: [UInt8] = []
        patch.append(varint: UInt64(changeCount))
        return patch + changes
    }

    private static func isEqual(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
        guard one.count == other.count else { return false }
        for index in one.indices where one[index] != other[index] { return false }
        return true
    }
}

extension TableSchema {
    func patchColumn(
        _ reader: inout ByteReader, _ patch: Span<UInt8>, atLeast next: Int
    ) throws(RowError) -> Int {
        let column: UInt64
        do throws(MalformedRecord) {
            column = try reader.varint(patch)
        } catch {
            throw RowError(table: name, .malformed(error.reason))
        }
        guard column < UInt64(valueColumns.count) else {
            throw RowError(table: name, .noSuchColumn)
        }
        guard Int(column) >= next else {
            throw RowError(table: name, .malformed("the columns of a patch are out of order"))
        }
        return Int(column)
    }

    func skipValue(
        _ reader: inout ByteReader, _ body: Span<UInt8>
    ) throws(RowError) -> Range<Int> {
        let start = reader.offset
        do throws(MalformedRecord) {
            try reader.skipValue(body)
        } catch {
            throw RowError(table: name, .malformed(error.reason))
        }
        return start..<reader.offset
    }
}
