import Testing
import WriteBehindCore

/// Indices in SQL and unique constraints, as a declaration has them and as the log does.
@Suite struct SQLIndexTests {
    private static let columns: [ColumnSchema] = [
        .key("id", .integer), .column("author", .text), .column("created", .integer),
        .column("late", .text, nullable: true),
    ]

    private func schema(
        _ indices: SQLIndexDefinition..., columns: [ColumnSchema] = columns, dropping: [String] = []
    ) -> TableSchema {
        TableSchema("post", columns, dropping: dropping, sqlIndices: indices)
    }

    @Test func theLogHasThem() throws {
        var catalog = Catalog()
        let declared = schema(
            SQLIndexDefinition("Author", "created"), SQLIndexDefinition("late", unique: true))
        let definition = try #require(try catalog.definition(for: declared))
        try catalog.define(definition)
        #expect(try TableDefinition(json: definition.json().span) == definition)
        #expect(try catalog.definition(for: declared) == nil)
        let other = try #require(
            try catalog.definition(for: schema(SQLIndexDefinition("late", unique: true))))
        #expect(other.schema.sqlIndices == [SQLIndexDefinition("late", unique: true)])
        #expect(try catalog.definition(for: schema())?.schema.sqlIndices == [])
    }

    @Test func theyFollowTheirColumns() throws {
        var catalog = Catalog()
        let first = schema(
            SQLIndexDefinition("author", "created"), SQLIndexDefinition("late", unique: true))
        try catalog.define(#require(try catalog.definition(for: first)))
        var columns = Self.columns
        columns[1] = .column("writer", .text, formerly: "author")
        let renamed = schema(
            SQLIndexDefinition("writer", "created"), SQLIndexDefinition("late", unique: true),
            columns: columns)
        let second = try #require(try catalog.definition(for: renamed))
        try catalog.define(second)
        #expect(second.schema.sqlIndices.first?.columns == ["writer", "created"])
        // A program from before the rename says the same, and one that lacks the last column changes nothing.
        #expect(try catalog.definition(for: first) == nil)
        let older = schema(columns: Array(Self.columns.dropLast()))
        #expect(try catalog.definition(for: older) == nil)
    }

    @Test func mistakesAreNamed() {
        func problem(_ indices: SQLIndexDefinition..., dropping: [String] = []) -> String? {
            do throws(SchemaError) {
                try TableSchema("post", Self.columns, dropping: dropping, sqlIndices: indices)
                    .validate()
                return nil
            } catch {
                return error.description
            }
        }
        #expect(problem(SQLIndexDefinition("id", "author")) == nil)
        #expect(problem(SQLIndexDefinition("none"))?.contains(#"no column "none""#) == true)
        #expect(problem(SQLIndexDefinition("late", "Late"))?.contains("twice") == true)
        #expect(problem(SQLIndexDefinition())?.contains("names no column") == true)
        let late = SQLIndexDefinition("late")
        #expect(problem(late, late)?.contains("declared twice") == true)
        #expect(problem(late, SQLIndexDefinition("late", unique: true)) == nil)
    }
}
