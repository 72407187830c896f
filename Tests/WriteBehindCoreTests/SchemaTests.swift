import Testing
import WriteBehindCore

@Suite struct SchemaTests {
    static let flight = TableSchema(
        "flight",
        [
            .key("day", .text), .key("number", .integer),
            .column("delay", .integer, nullable: true),
            .column("carrier", .text, default: .text("?")),
            .column("until", .integer, nullable: true),
        ], expiry: "until")

    @Test func aWellFormedSchemaIsValid() throws {
        try Self.flight.validate()
        #expect(Self.flight.keyColumns.map(\.name) == ["day", "number"])
        #expect(Self.flight.valueColumns.map(\.name) == ["delay", "carrier", "until"])
        #expect(Self.flight.valueIndex(of: "CARRIER") == 1)
        #expect(Self.flight.valueIndex(of: "day") == nil)
        #expect(Self.flight.expiryIndex == 2)
    }

    static let key = ColumnSchema.key("id", .integer)

    @Test(arguments: [
        ("no name", TableSchema("", [key]), nil, SchemaError.Problem.emptyName),
        ("NUL in a name", TableSchema("a\0b", [key]), nil, .nameContainsNUL),
        (
            "a name of 256 bytes", TableSchema(String(repeating: "é", count: 128), [key]), nil,
            .nameTooLong(bytes: 256)
        ),
        ("SQLite's names", TableSchema("SQLite_x", [key]), nil, .reservedName),
        ("the store's names", TableSchema("_writebehind_x", [key]), nil, .reservedName),
        ("no column", TableSchema("t", []), nil, .noKeyColumn),
        ("no key", TableSchema("t", [.column("a", .text)]), nil, .noKeyColumn),
        ("no column name", TableSchema("t", [key, .column("", .text)]), "", .emptyName),
        (
            "a name twice", TableSchema("t", [key, .column("ID", .text)]), "ID",
            .duplicateName
        ),
        (
            "a default of another type",
            TableSchema("t", [key, .column("a", .real, default: .integer(1))]), "a",
            .wrongDefaultType(expected: .real, got: .integer)
        ),
        (
            "an infinite default",
            TableSchema("t", [key, .column("a", .real, default: .real(.infinity))]), "a",
            .defaultNotFinite
        ),
        (
            "a NaN default", TableSchema("t", [key, .column("a", .real, default: .real(.nan))]),
            "a", .defaultNotFinite
        ),
        (
            "1,001 columns",
            TableSchema("t", [key] + (1...1000).map { .column("c\($0)", .text) }), nil,
            .tooManyColumns(1001)
        ),
        ("a missing expiry", TableSchema("t", [key], expiry: "x"), "x", .noSuchExpiryColumn),
        ("a key as expiry", TableSchema("t", [key], expiry: "id"), "id", .unfitExpiryColumn),
        (
            "a text as expiry", TableSchema("t", [key, .column("a", .text)], expiry: "a"), "a",
            .unfitExpiryColumn
        ),
    ])
    func anInvalidSchemaIsRefusedByName(
        what: String, schema: TableSchema, column: String?, problem: SchemaError.Problem
    ) throws {
        let error = try #require(throws: SchemaError.self) { try schema.validate() }
        #expect(error.table == schema.name)
        #expect(error.column == column)
        #expect(error.problem == problem)
        #expect(!error.description.contains("\0"))
    }

    @Test func namesAreTheSameWhereSQLiteSaysSo() {
        #expect(isSameName("Flight", "fLIGHT"))
        #expect(!isSameName("É", "é"))  // SQLite folds ASCII only
        #expect(!isSameName("\u{E9}", "e\u{301}"))  // equal for Swift, two names for SQLite
    }

    @Test(arguments: [
        (SchemaError.Problem.typeChanged(from: .integer, to: .text), "keep the old type"),
        (.nullabilityChanged(.text, nowNullable: true), "keep the old type"),
        (.nullabilityChanged(.text, nowNullable: false), "keep the old type"),
        (.keyChanged(.integer, nowKey: true), "keep the old key"),
        (.keyChanged(.integer, nowKey: false), "keep the old key"),
        (.addedToKey, "make a new table and copy the rows"),
        (.defaultChanged(.text), "keep the old one"),
        (.addedWithoutDefault, "make its property optional"),
        (.removed(.text), "declare it again"),
        (.keyReordered(was: ["a", "b"]), #"declare them as "a", "b""#),
        (.unfitDefault("too wide"), "give another: too wide"),
    ])
    func aRefusalSaysWhatToDo(problem: SchemaError.Problem, advice: String) {
        #expect(SchemaError(table: "t", column: "a", problem).description.contains(advice))
    }

    // MARK: Which schema may follow which

    static let old = TableSchema(
        "t", [key, .column("a", .text), .column("b", .integer, nullable: true)])

    @Test(arguments: [
        ("nothing", old, SchemaChange.equal),
        (
            "a nullable column",
            TableSchema("t", old.columns + [.column("c", .real, nullable: true)]),
            .extended(addedColumns: 1)
        ),
        (
            "a defaulted column",
            TableSchema("t", old.columns + [.column("c", .real, default: .real(1))]),
            .extended(addedColumns: 1)
        ),
        ("the expiry", TableSchema("t", old.columns, expiry: "b"), .extended(addedColumns: 0)),
    ])
    func whatOldRowsAllowMayChange(what: String, new: TableSchema, change: SchemaChange) throws {
        #expect(try new.change(from: Self.old) == change)
    }

    @Test(arguments: [
        (
            "removed", TableSchema("t", [key, .column("a", .text)]), "b",
            SchemaError.Problem.removed(.integer)
        ),
        (
            "renamed",
            TableSchema("t", [key, .column("x", .text), .column("b", .integer, nullable: true)]),
            "x", .renamedOrReordered(was: "a", .text, now: .text)
        ),
        (
            "reordered",
            TableSchema("t", [key, .column("b", .integer, nullable: true), .column("a", .text)]),
            "b", .renamedOrReordered(was: "a", .text, now: .integer)
        ),
        (
            "another type",
            TableSchema("t", [key, .column("a", .blob), .column("b", .integer, nullable: true)]),
            "a", .typeChanged(from: .text, to: .blob)
        ),
        (
            "no longer nullable",
            TableSchema("t", [key, .column("a", .text), .column("b", .integer)]),
            "b", .nullabilityChanged(.integer, nowNullable: false)
        ),
        (
            "joined the key",
            TableSchema("t", [key, .key("a", .text), .column("b", .integer, nullable: true)]),
            "a", .keyChanged(.text, nowKey: true)
        ),
        (
            "another default",
            TableSchema(
                "t",
                [
                    key, .column("a", .text, default: .text("")),
                    .column("b", .integer, nullable: true),
                ]), "a", .defaultChanged(.text)
        ),
        (
            "a bare column added", TableSchema("t", old.columns + [.column("c", .text)]), "c",
            .addedWithoutDefault
        ),
        (
            "a key column added", TableSchema("t", old.columns + [.key("c", .text)]), "c",
            .addedToKey
        ),
    ])
    func whatOldRowsForbidIsRefused(
        what: String, new: TableSchema, column: String, problem: SchemaError.Problem
    ) throws {
        let error = try #require(throws: SchemaError.self) { try new.change(from: Self.old) }
        #expect(error == SchemaError(table: "t", column: column, problem))
        #expect(error.description.contains("column \"\(column)\""))
    }
}
