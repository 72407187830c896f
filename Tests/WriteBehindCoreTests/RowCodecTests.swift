import EventLog
import TestSupport
import Testing
import WriteBehindCore

@Suite struct RowCodecTests {
    static let schema = TableSchema(
        "t",
        [
            .column("first", .text), .key("k", .text), .column("i", .integer, nullable: true),
            .key("n", .integer), .column("r", .real, nullable: true),
            .column("b", .blob, default: .blob([1])),
        ])
    static let seed = UInt64.random(in: 0...UInt64.max)

    static func randomRow(_ random: inout SeededRandom) -> [StoredValue] {
        schema.columns.map { column in
            column.isNullable && random.next() % 3 == 0 ? .null : random.value(column.type)
        }
    }

    @Test func aRowDecodesToItsValues() throws {
        var random = SeededRandom(seed: Self.seed)
        for _ in 0..<500 {
            let values = Self.randomRow(&random)
            let (key, row) = try RowCodec.encode(values, Self.schema)
            let decoded = try RowCodec.decode(key: key.span, row: row.span, Self.schema)
            #expect(decoded == values, "seed \(Self.seed)")
        }
    }

    /// Bytes of a row as they are on disk.
    @Test func aRowIsTheseBytes() throws {
        let (key, row) = try RowCodec.encode(
            [.text("é"), .text("a"), .integer(-2), .integer(1), .real(-0.0), .blob([9])],
            Self.schema)
        #expect(key == [97, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 1])
        #expect(row == [4, 3, 2, 0xC3, 0xA9, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 9])
    }

    @Test func valuesThatARowLacksAreDefaults() throws {
        let row: [UInt8] = [1, 3, 0]
        #expect(
            try RowCodec.decodeRow(row.span, Self.schema)
                == [.text(""), .null, .null, .blob([1])])
        #expect(try RowCodec.completed(row.span, Self.schema) == [4, 3, 0, 0, 0, 4, 1, 1])
        #expect(RowCodec.defaults(Self.schema) == [[0], [0], [0], [4, 1, 1]])
    }

    @Test func aRowWithoutAValueThatMustBeIsDamaged() {
        let row: [UInt8] = [0]
        #expect(throws: RowError(table: "t", column: "first", .unexpectedNull)) {
            try RowCodec.decodeRow(row.span, Self.schema)
        }
    }

    @Test(
        arguments: [
            ("a value too few", [.null], nil, .wrongColumnCount(expected: 4, got: 1)),
            ("null", [.null, .null, .null, .blob([])], "first", .unexpectedNull),
            ("NaN", [.text(""), .null, .real(.nan), .blob([])], "r", .notANumber),
            (
                "an integer for a real", [.text(""), .null, .integer(1), .blob([])], "r",
                .wrongType(expected: .real, got: .integer)
            ),
        ] as [(String, [StoredValue], String?, RowError.Problem)])
    func whatTheSchemaForbidsIsRefused(
        what: String, values: [StoredValue], column: String?, problem: RowError.Problem
    ) {
        #expect(throws: RowError(table: "t", column: column, problem)) {
            try RowCodec.encodeRow(values, Self.schema)
        }
    }

    @Test(
        arguments: [
            ("nothing", [], nil),
            ("more values than columns", [5, 0, 0, 0, 0, 0], nil),
            ("more values than bytes", [4, 3, 1], nil), ("ends early", [2, 3, 1], "first"),
            ("an unknown tag", [4, 9, 0, 0, 0], "first"),
            ("an integer for a text", [4, 1, 0, 0, 0], "first"),
            ("no UTF-8", [4, 3, 1, 0xFF, 0, 0, 0], "first"),
            ("a surrogate", [4, 3, 3, 0xED, 0xA0, 0x80, 0, 0], "first"),
            ("NaN", [3, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F], "r"),
            ("-0.0", [3, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x80], "r"),
            ("bytes behind it", [1, 3, 0, 0], nil),
        ] as [(String, [UInt8], String?)])
    func aDamagedRowIsAnErrorThatNamesTheColumn(what: String, row: [UInt8], column: String?) throws
    {
        let error = try #require(throws: RowError.self) {
            try RowCodec.decodeRow(row.span, Self.schema)
        }
        #expect(error.column == column)
        #expect(error.table == "t")
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom(seed: Self.seed)
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.next() % 24)).map { _ in
                UInt8(truncatingIfNeeded: random.next() % (random.next() % 2 == 0 ? 6 : 256))
            }
            let row = try? RowCodec.decodeRow(bytes.span, Self.schema)
            if let row { #expect(row.count == 4, "seed \(Self.seed)") }
            _ = try? RowCodec.decodePatch(bytes.span, Self.schema)
            _ = try? RowCodec.diff(old: bytes.span, new: bytes.span, Self.schema)
        }
    }

    // MARK: Patches

    @Test func aPatchDecodesToItsChanges() throws {
        let changes = [
            ColumnChange(column: 0, value: .text("x")), ColumnChange(column: 2, value: .null),
        ]
        let patch = try RowCodec.encodePatch(changes, Self.schema)
        #expect(patch == [2, 0, 3, 1, 120, 2, 0])
        #expect(try RowCodec.decodePatch(patch.span, Self.schema) == changes)
    }

    @Test(
        arguments: [
            ("a column that is not there", [1, 4, 0]), ("twice", [2, 1, 0, 1, 0]),
            ("descending", [2, 2, 0, 1, 0]), ("null in a column that has none", [1, 0, 0]),
            ("another type", [1, 0, 1, 0]), ("bytes behind it", [1, 1, 0, 0]), ("ends early", [1]),
        ] as [(String, [UInt8])])
    func aDamagedPatchIsAnError(what: String, patch: [UInt8]) {
        #expect(throws: RowError.self) { try RowCodec.decodePatch(patch.span, Self.schema) }
    }

    @Test func columnsOutOfOrderMakeNoPatch() {
        for columns in [[1, 1], [2, 1], [-1], [4]] {
            let changes = columns.map { ColumnChange(column: $0, value: .null) }
            #expect(throws: RowError(table: "t", .noSuchColumn)) {
                try RowCodec.encodePatch(changes, Self.schema)
            }
        }
    }

    @Test func aDifferenceIsThePatchThatMakesIt() throws {
        var random = SeededRandom(seed: Self.seed)
        for _ in 0..<500 {
            let one = Self.randomRow(&random)
            var other = Self.randomRow(&random)
            for index in one.indices where random.next() % 2 == 0 { other[index] = one[index] }
            let old = try RowCodec.encode(one, Self.schema).row
            let new = try RowCodec.encode(other, Self.schema).row
            var values = try RowCodec.decodeRow(old.span, Self.schema)
            let after = try RowCodec.decodeRow(new.span, Self.schema)
            let patch = try RowCodec.diff(old: old.span, new: new.span, Self.schema)
            #expect((patch == nil) == (values == after), "seed \(Self.seed)")
            for change in try patch.map({ try RowCodec.decodePatch($0.span, Self.schema) }) ?? [] {
                #expect(values[change.column] != change.value)
                values[change.column] = change.value
            }
            #expect(values == after, "seed \(Self.seed)")
        }
    }

    @Test func aShorterRowDiffersByItsDefaults() throws {
        let short: [UInt8] = [1, 3, 0]
        let same: [UInt8] = [4, 3, 0, 0, 0, 4, 1, 1]
        let other: [UInt8] = [4, 3, 0, 1, 2, 0, 4, 1, 7]
        #expect(try RowCodec.diff(old: short.span, new: same.span, Self.schema) == nil)
        #expect(try RowCodec.diff(old: same.span, new: short.span, Self.schema) == nil)
        #expect(
            try RowCodec.diff(old: short.span, new: other.span, Self.schema)
                == [2, 1, 1, 2, 3, 4, 1, 7])
    }
}
