/// An index of a table in the database, for queries in SQL, or a unique constraint.
///
/// ```swift
/// TableSchema("user", [
///     .key("id", .integer), .column("email", .text), .column("city", .text),
/// ], sqlIndices: [SQLIndexDefinition("city"), SQLIndexDefinition("email", unique: true)])
/// ```
///
/// It is part of the table's definition in the log, so every database of the store has it. The store's own reads do not
/// use it; they use ``IndexDefinition``s.
public struct SQLIndexDefinition: Sendable, Hashable {
    /// The columns in the order of the index. Some may be part of the key.
    public let columns: [String]
    /// Whether no two rows may have the same values in all of these columns. Two nulls are never the same value.
    public let isUnique: Bool

    /// An index over some columns.
    public init(_ columns: String..., unique: Bool = false) {
        self.init(columns: columns, unique: unique)
    }

    package init(columns: [String], unique: Bool) {
        self.columns = columns
        isUnique = unique
    }
}

extension SQLIndexDefinition {
    /// The unique constraints that are left out because rows break them, in words; nil if there are none.
    ///
    /// - Parameter name: of a table.
    package static func concern(
        _ leftOut: [UInt32: [SQLIndexDefinition]], _ name: (UInt32) -> String
    ) -> String? {
        let all = leftOut.sorted { $0.key < $1.key }.flatMap { id, indices in
            indices.map { (table: name(id), columns: $0.columns) }
        }
        guard let first = all.first else { return nil }
        let others = all.count == 1 ? "" : ", nor are \(all.count - 1) others"
        return """
            rows of table \(StoredValue.text(first.table)) have the same \
            \(first.columns.joined(separator: ", ")), so the unique constraint on it is not in force\(others); \
            change these rows, then retry quarantine
            """
    }
}

extension TableSchema {
    /// The most indices in SQL that a table may have.
    public static let sqlIndexLimit = 64

    /// Checks the indices in SQL by themselves.
    func checkSQLIndices() throws(SchemaError) {
        func refuse(_ index: SQLIndexDefinition, _ reason: String) -> SchemaError {
            let name =
                (index.isUnique ? "unique " : "") + "in SQL on "
                + index.columns.joined(separator: ", ")
            return SchemaError(table: self.name, .unfitIndex(name: name, reason: reason))
        }
        var known: Set<[[UInt8]]> = []
        for index in sqlIndices {
            guard sqlIndices.count <= Self.sqlIndexLimit else {
                throw refuse(index, "a table may have \(Self.sqlIndexLimit) of them at most")
            }
            guard !index.columns.isEmpty else {
                throw refuse(index, "it names no column: name those that it is over")
            }
            for column in index.columns where place(of: column) == nil {
                throw refuse(index, "the table has no column \(StoredValue.text(column))")
            }
            let names = index.columns.map(foldedName)
            guard Set(names).count == names.count else {
                throw refuse(index, "it names a column twice")
            }
            guard known.insert(names + [[index.isUnique ? 1 : 0]]).inserted else {
                throw refuse(index, "it is declared twice")
            }
        }
    }

    /// The place of a column among all columns.
    package func place(of name: String) -> Int? {
        columns.firstIndex { !$0.isDropped && isSameName($0.name, name) }
    }
}
