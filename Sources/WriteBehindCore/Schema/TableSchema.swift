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
/// The table becomes an ordinary SQL table. A schema is checked when a store opens the table, not when the value
/// is made: see ``validate()``. Later versions of a program may add columns (nullable ones, or with a
/// default), rename and drop them, make them nullable, change integers to reals, and change ``expiry``;
/// any other change is refused. New columns come last, unless `@Table`
/// made the schema: its columns are matched by their names, so they may be in any order.
public struct TableSchema: Sendable, Hashable {
    /// The table's name in SQL.
    public let name: String
    /// All columns, in the order in which rows are encoded.
    public let columns: [ColumnSchema]
    /// The name of the integer column with the time at which a row expires, in seconds since 1970; null
    /// means never. The row is deleted by an ordinary logged delete within about
    /// ``StoreConfiguration/expiryInterval`` after that time. Until then, reads return it.
    public let expiry: String?
    /// The orders in which rows can be read. They are not part of the definition in the log.
    public let indices: [IndexDefinition]
    /// The table's indices and unique constraints in the database.
    public let sqlIndices: [SQLIndexDefinition]
    /// The names of columns to remove from the table. Their values are lost.
    public let droppedColumns: [String]
    /// What the log has of an update.
    public let changes: LoggedChanges
    /// Whether other stores count into the table as well: see ``SharedTable``.
    package let isShared: Bool

    /// The columns of the key, in schema order.
    package let keyColumns: [ColumnSchema]
    /// The other columns, in schema order, as a row body holds them.
    package let valueColumns: [ColumnSchema]

    /// Whether the table has neither a dropped column nor a column of reals in which older rows hold integers.
    package let isPlain: Bool

    /// Describes a table. Nothing is checked yet: see ``validate()``.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - columns: all columns.
    ///   - expiry: the column that says when a row expires.
    ///   - droppedColumns: columns to remove from the table. Their values are lost when the table is declared.
    ///   - indices: the orders in which rows can be read.
    ///   - sqlIndices: indices and unique constraints in the database.
    ///   - changes: what the log has of an update, for change streams.
    public init(
        _ name: String, _ columns: [ColumnSchema], expiry: String? = nil,
        dropping droppedColumns: [String] = [], indices: [IndexDefinition] = [],
        sqlIndices: [SQLIndexDefinition] = [], changes: LoggedChanges = .columns
    ) {
        self.init(
            name, columns, expiry: expiry, dropping: droppedColumns, indices: indices,
            sqlIndices: sqlIndices, changes: changes, isShared: false)
    }

    package init(
        _ name: String, _ columns: [ColumnSchema], expiry: String?,
        dropping droppedColumns: [String] = [], indices: [IndexDefinition] = [],
        sqlIndices: [SQLIndexDefinition], changes: LoggedChanges, isShared: Bool
    ) {
        self.isShared = isShared
        self.name = name
        self.columns = columns
        self.expiry = expiry
        self.indices = indices
        self.droppedColumns = droppedColumns
        self.changes = changes
        // Uses the columns' own spelling, so that equal declarations give equal definitions.
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

    /// The place of a column among those outside the key, by which patches refer to it.
    ///
    /// Names are compared as in SQLite, without the case of ASCII letters.
    package func valueIndex(of name: String) -> Int? {
        valueColumns.firstIndex { !$0.isDropped && isSameName($0.name, name) }
    }

    /// The table in the form in which the log has it.
    var withoutIndices: TableSchema {
        indices.isEmpty
            ? self
            : TableSchema(
                name, columns, expiry: expiry, dropping: droppedColumns, sqlIndices: sqlIndices,
                changes: changes, isShared: isShared)
    }

    /// The table as one that other stores count into, too.
    package var shared: TableSchema { withSharing(true) }
    /// The table as one of a store alone.
    package var unshared: TableSchema { withSharing(false) }

    private func withSharing(_ isShared: Bool) -> TableSchema {
        TableSchema(
            name, columns, expiry: expiry, dropping: droppedColumns, indices: indices,
            sqlIndices: sqlIndices, changes: changes, isShared: isShared)
    }

    /// The place of ``expiry`` among the columns outside the key.
    package var expiryIndex: Int? { expiry.flatMap(valueIndex(of:)) }
}
