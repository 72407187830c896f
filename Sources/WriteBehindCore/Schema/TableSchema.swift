/// The shape of a table: its name, its columns, and the column that says when a row expires.
///
/// ```swift
/// TableSchema("flight", [
///     .key("day", .text), .key("number", .integer),
///     .column("delay", .integer, nullable: true),
///     .column("until", .integer, nullable: true),
/// ], expiry: "until")
/// ```
///
/// It becomes a real SQL table. A schema is checked when a store opens the table, not when it is
/// written down: see ``validate()``. Later versions may add columns (nullable ones or with a
/// default), rename and drop them, let them be null, make integers reals, and change ``expiry``;
/// anything else is refused. New columns come last, unless `@Table`
/// made the schema: its columns are known by their names, so they may be in any order.
public struct TableSchema: Sendable, Hashable {
    /// The table's name in SQL.
    public let name: String
    /// All columns, in the order in which rows are encoded.
    public let columns: [ColumnSchema]
    /// The name of the integer column that holds when a row expires, in seconds since 1970; a null
    /// there means never. The row is deleted then, by an ordinary logged delete, within about
    /// ``StoreConfiguration/expiryInterval``; until that, reads return it.
    public let expiry: String?
    /// The orders in which rows can be read. They are no part of what the log has of the table.
    public let indices: [IndexDefinition]
    /// The indices that the database has for queries, and its unique constraints.
    public let sqlIndices: [SQLIndexDefinition]
    /// The names of columns that the table is to have no more.
    public let droppedColumns: [String]

    /// The columns of the key, in schema order.
    package let keyColumns: [ColumnSchema]
    /// The other columns, in schema order: what a row body holds.
    package let valueColumns: [ColumnSchema]

    /// Whether rows have no column that was dropped, nor one that holds integers where the table has reals by now.
    package let isPlain: Bool

    /// Describes a table; nothing is checked yet: see ``validate()``.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - columns: all of them.
    ///   - expiry: the column that says when a row expires.
    ///   - droppedColumns: columns that the table has no more: their values are lost when the table is declared.
    ///   - indices: the orders in which rows can be read.
    ///   - sqlIndices: indices that the database has for queries, and its unique constraints.
    public init(
        _ name: String, _ columns: [ColumnSchema], expiry: String? = nil,
        dropping droppedColumns: [String] = [], indices: [IndexDefinition] = [],
        sqlIndices: [SQLIndexDefinition] = []
    ) {
        self.name = name
        self.columns = columns
        self.expiry = expiry
        self.indices = indices
        self.droppedColumns = droppedColumns
        // With the columns' own spelling, so that one declaration is one definition.
        self.sqlIndices = sqlIndices.map { index in
            let names = index.columns.map { name in
                columns.first { !$0.isDropped && isSameName($0.name, name) }?.name ?? name
            }
            return SQLIndexDefinition(columns: names, unique: index.isUnique)
        }
        isPlain = columns.allSatisfy { !$0.isDropped && !$0.wasInteger }
        keyColumns = columns.filter(\.isKey)
        valueColumns = columns.filter { !$0.isKey }
    }

    /// The place of a column among those outside the key, which is how a patch names it.
    ///
    /// Names compare as in SQLite, without the case of ASCII letters.
    package func valueIndex(of name: String) -> Int? {
        valueColumns.firstIndex { !$0.isDropped && isSameName($0.name, name) }
    }

    /// The table as the log has it.
    var withoutIndices: TableSchema {
        indices.isEmpty
            ? self
            : TableSchema(
                name, columns, expiry: expiry, dropping: droppedColumns, sqlIndices: sqlIndices)
    }

    /// The place of ``expiry`` among the columns outside the key.
    package var expiryIndex: Int? { expiry.flatMap(valueIndex(of:)) }
}
