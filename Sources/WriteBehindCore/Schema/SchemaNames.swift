// Where columns are known by their names: those of a struct's properties, whose order says nothing.

extension TableSchema {
    /// This declaration as its table has it: known columns in their places and with the defaults that older rows have,
    /// new ones behind them.
    ///
    /// A declaration that only lacks the last columns is an older program's.
    ///
    /// - Throws: where another column is missing, or where the columns of the key have another order: rows are sorted and
    ///   found by it.
    package func following(_ known: TableSchema) throws(SchemaError) -> TableSchema {
        let keys = keyColumns.map(\.name)
        let knownKeys = known.keyColumns.map(\.name)
        if keys != knownKeys, keys.sorted() == knownKeys.sorted() {
            throw SchemaError(table: name, column: keys[0], .keyReordered(was: knownKeys))
        }
        let added = columns.filter { known.column($0.name) == nil }
        let missing = known.columns.filter { column($0.name) == nil }
        let isOlder =
            added.isEmpty && missing.elementsEqual(known.valueColumns.suffix(missing.count))
        if let first = missing.first, !isOlder {
            throw SchemaError(table: name, column: first.name, .removed(first.type))
        }
        let kept = known.columns.compactMap { was in column(was.name)?.following(was) }
        return TableSchema(name, kept + added, expiry: expiry)
    }

    /// This declaration with what the table's columns mean, where it says nothing of it: an older program's, or one that
    /// is coded by hand.
    func keepingLogicalTypes(of known: TableSchema) -> TableSchema {
        let kept = columns.map { column in
            column.keepingLogicalType(of: known.column(column.name))
        }
        return TableSchema(name, kept, expiry: expiry)
    }

    private func column(_ name: String) -> ColumnSchema? {
        columns.first { isSameName($0.name, name) }
    }
}

extension ColumnSchema {
    /// This column with what it keeps of the one that the table has.
    fileprivate func following(_ was: ColumnSchema) -> ColumnSchema {
        guard !isKey, !was.isKey, type == was.type else { return self }
        var column = ColumnSchema.column(
            was.name, type, as: logicalType, nullable: isNullable, default: was.defaultValue)
        column.unfitDefault = unfitDefault
        return column
    }
}
