/// An order in which rows of a table can be read: by some of its columns, and then by key.
///
/// ```swift
/// TableSchema("post", [
///     .key("id", .integer), .column("author", .text), .column("created", .integer),
/// ], indices: [IndexDefinition("byAuthor", on: "author", "created")])
/// ```
///
/// The index is kept in memory and is built after each opening. It is neither in the log nor in the database, so a table
/// may be declared with other indices at every opening. <doc:LeaderboardsAndFeeds> says what they cost.
public struct IndexDefinition: Sendable, Hashable {
    /// The name that reads use. Unlike names in SQL, it is compared with its case.
    public let name: String
    /// The columns: rows are ordered by the first one, then by the second, and so on. None of them is part of the key.
    public let columns: [String]

    /// An index over some columns.
    public init(_ name: String, on columns: String...) {
        self.init(name, columns: columns)
    }

    /// An index over one column, with the column's name.
    public init(_ column: String) { self.init(column, columns: [column]) }

    package init(_ name: String, columns: [String]) {
        self.name = name
        self.columns = columns
    }
}

extension TableSchema {
    /// The most indices that a table may have.
    public static let indexLimit = 64

    /// Checks the indices by themselves.
    func checkIndices() throws(SchemaError) {
        func refuse(_ index: IndexDefinition, _ reason: String) -> SchemaError {
            SchemaError(table: name, .unfitIndex(name: index.name, reason: reason))
        }
        var names: Set<String> = []
        for index in indices {
            guard names.insert(index.name).inserted else {
                throw refuse(index, "another index of the table has the name: give it another one")
            }
            guard indices.count <= Self.indexLimit else {
                throw refuse(index, "a table may have \(Self.indexLimit) indices at most")
            }
            guard !index.columns.isEmpty else {
                throw refuse(index, "it names no column: name those that rows are ordered by")
            }
            var columns: Set<[UInt8]> = []
            for column in index.columns {
                guard columns.insert(foldedName(column)).inserted else {
                    throw refuse(index, "it names the column \(StoredValue.text(column)) twice")
                }
                if valueIndex(of: column) != nil { continue }
                let isKey = keyColumns.contains { isSameName($0.name, column) }
                throw refuse(
                    index,
                    isKey
                        ? "the column \(StoredValue.text(column)) is of the key, and rows whose other columns are "
                            + "equal are in the order of their keys: leave it out"
                        : "the table has no column \(StoredValue.text(column))")
            }
        }
    }
}
