// The rules for a valid schema, and for a schema that follows another.

extension TableSchema {
    /// The most columns a table may have.
    public static let columnLimit = 1_000
    /// The longest name of a table or column, in bytes of UTF-8.
    public static let nameLimit = 255

    /// Checks the schema by itself; opening a table does it too.
    /// - Throws: the first fault found, naming table and column.
    public func validate() throws(SchemaError) {
        try check(name: name, column: nil)
        guard columns.count <= Self.columnLimit else {
            throw SchemaError(table: name, .tooManyColumns(columns.count))
        }
        for column in columns where column.isDropped {
            guard !column.isKey, column.isNullable, column.defaultValue == nil else {
                throw SchemaError(table: name, .unreadable("a dropped column that is one"))
            }
        }
        for name in droppedColumns where columns.contains(where: { isSameName($0.name, name) }) {
            throw SchemaError(table: self.name, column: name, .droppedButDeclared)
        }
        var names: Set<[UInt8]> = []
        for column in columns where !column.isDropped {
            try check(column)
            guard names.insert(foldedName(column.name)).inserted else {
                throw SchemaError(table: name, column: column.name, .duplicateName)
            }
        }
        guard !keyColumns.isEmpty else { throw SchemaError(table: name, .noKeyColumn) }
        try checkExpiry()
        try checkIndices()
        try checkSQLIndices()
        if isShared { try checkSharing() }
    }

    /// What several stores do to a row must not depend on whose change comes first.
    private func checkSharing() throws(SchemaError) {
        for column in valueColumns where !column.isNullable && column.defaultValue == nil {
            throw SchemaError(
                table: name, column: column.name,
                .unfitForSharing("each column outside the key must be nullable or have a default"))
        }
        let reason: String
        if expiry != nil {
            reason = "its rows cannot expire"
        } else if !indices.isEmpty || !sqlIndices.isEmpty {
            reason = "it has no indices; make an index for SQL in the database yourself"
        } else if changes != .columns {
            reason = "its log cannot have whole rows"
        } else if !droppedColumns.isEmpty || columns.contains(where: \.isDropped) {
            reason = "columns cannot be dropped"
        } else {
            return
        }
        throw SchemaError(table: name, .unfitForSharing(reason))
    }

    private func check(_ column: ColumnSchema) throws(SchemaError) {
        try check(name: column.name, column: column.name)
        func refuse(_ problem: SchemaError.Problem) -> SchemaError {
            SchemaError(table: name, column: column.name, problem)
        }
        if column.isKey && column.isNullable { throw refuse(.nullableKey) }
        if let logical = column.logicalType, !logical.fits(column.type) {
            throw refuse(.unfitLogicalType(logical, column.type))
        }
        if let reason = column.unfitDefault { throw refuse(.unfitDefault(reason)) }
        guard let value = column.defaultValue, let type = value.type else { return }
        if column.isKey { throw refuse(.keyWithDefault) }
        guard type == column.type else {
            throw refuse(.wrongDefaultType(expected: column.type, got: type))
        }
        // Neither JSON nor SQL has a literal for numbers that are not finite.
        if case .real(let number) = value, !number.isFinite { throw refuse(.defaultNotFinite) }
    }

    private func check(name: String, column: String?) throws(SchemaError) {
        let problem: SchemaError.Problem
        let folded = foldedName(name)
        if folded.isEmpty {
            problem = .emptyName
        } else if folded.count > Self.nameLimit {
            problem = .nameTooLong(bytes: folded.count)
        } else if folded.contains(0) {
            problem = .nameContainsNUL
        } else if folded.starts(with: "sqlite_".utf8) || folded.starts(with: "_writebehind".utf8) {
            problem = .reservedName
        } else {
            return
        }
        throw SchemaError(table: self.name, column: column, problem)
    }

    private func checkExpiry() throws(SchemaError) {
        guard let expiry else { return }
        let column = columns.first { !$0.isDropped && isSameName($0.name, expiry) }
        guard let column else {
            throw SchemaError(table: name, column: expiry, .noSuchExpiryColumn)
        }
        guard column.type == .integer, !column.isKey else {
            throw SchemaError(table: name, column: expiry, .unfitExpiryColumn)
        }
    }
}

/// How a schema differs from the one that a table has had so far.
package enum SchemaChange: Sendable, Equatable {
    case equal
    /// Stored rows stay as they are: columns were added at the end, or properties of columns changed.
    case extended(addedColumns: Int)
}

extension TableSchema {
    /// The change from `old` to this schema.
    /// - Throws: if rows written under `old` could not be read; the error names the column and both types.
    package func change(from old: TableSchema) throws(SchemaError) -> SchemaChange {
        guard isShared == old.isShared else {
            throw SchemaError(table: name, .sharingChanged(nowShared: isShared))
        }
        for (index, was) in old.columns.enumerated() {
            guard index < columns.count else {
                throw SchemaError(table: name, column: was.name, .removed(was.type))
            }
            try checkKept(columns[index], was: was)
            guard !isShared || columns[index].isStored(as: was) else {
                throw SchemaError(
                    table: name, column: was.name,
                    .unfitForSharing("columns can be added, and not be changed"))
            }
        }
        let added = columns[old.columns.count...]
        for column in added {
            let problem: SchemaError.Problem
            if column.isKey {
                problem = .addedToKey
            } else if !column.isNullable && column.defaultValue == nil {
                problem = .addedWithoutDefault
            } else {
                continue
            }
            throw SchemaError(table: name, column: column.name, problem)
        }
        let isEqual =
            expiryIndex == old.expiryIndex && columns == old.columns
            && sqlIndices == old.sqlIndices && changes == old.changes
        return isEqual ? .equal : .extended(addedColumns: added.count)
    }

    private func checkKept(_ column: ColumnSchema, was: ColumnSchema) throws(SchemaError) {
        guard !was.isDropped || column.isDropped else {
            throw SchemaError(
                table: name, column: column.name, .unreadable("a dropped column is back"))
        }
        func refuse(_ problem: SchemaError.Problem) -> SchemaError {
            SchemaError(table: name, column: column.name, problem)
        }
        if column.isDropped, column.isKey == was.isKey { return }
        guard
            column.name.utf8.elementsEqual(was.name.utf8)
                || column.formerNames.contains(where: { isSameName($0, was.name) })
        else {
            throw refuse(.renamedOrReordered(was: was.name, was.type, now: column.type))
        }
        let isWidened = column.wasInteger && was.type == .integer && column.type == .real
        guard column.type == was.type || isWidened else {
            throw refuse(.typeChanged(from: was.type, to: column.type))
        }
        guard column.isKey == was.isKey else {
            throw refuse(.keyChanged(column.type, nowKey: column.isKey))
        }
        guard column.isNullable || !was.isNullable else {
            throw refuse(.nullabilityChanged(column.type, nowNullable: column.isNullable))
        }
        guard column.defaultValue == (isWidened ? was.defaultValue?.asReal : was.defaultValue)
        else {
            throw refuse(.defaultChanged(column.type))
        }
    }
}

extension TableSchema {
    /// Why two stores cannot count into one table by these declarations; nil if they can.
    package func difference(fromShared other: TableSchema) -> String? {
        if name != other.name { return "its name is \(StoredValue.text(other.name)) there" }
        let keys = (keyColumns.map(\.name), other.keyColumns.map(\.name))
        if keys.0 != keys.1 {
            return "its key is (\(keys.1.joined(separator: ", "))) there"
        }
        for column in columns {
            let same = other.columns.first { isSameName($0.name, column.name) }
            guard let same, !column.isStored(as: same) || column.isKey != same.isKey else {
                continue
            }
            return
                "column \(StoredValue.text(column.name)) has another spelling, type, default or nullability there"
        }
        return nil
    }
}

extension ColumnSchema {
    /// Whether two declarations are of the same column in a database.
    fileprivate func isStored(as other: ColumnSchema) -> Bool {
        name == other.name && type == other.type && logicalType == other.logicalType
            && isNullable == other.isNullable && defaultValue == other.defaultValue
    }
}
