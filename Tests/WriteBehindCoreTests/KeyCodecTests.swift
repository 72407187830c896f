import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore

extension SeededRandom {
    /// A value that is more often than not at an edge of its type.
    mutating func value(_ type: ColumnType) -> StoredValue {
        switch type {
        case .integer:
            let edges: [Int64] = [.min, .min + 1, -256, -1, 0, 1, 255, 256, .max - 1, .max]
            return .integer(
                Bool.random(using: &self)
                    ? edges.randomElement(using: &self)! : Int64(bitPattern: next()))
        case .real:
            let edges: [Double] = [
                -.infinity, -.greatestFiniteMagnitude, -1.5, -.leastNonzeroMagnitude, -0.0, 0,
                .leastNonzeroMagnitude, 1, 1.5, .greatestFiniteMagnitude, .infinity,
            ]
            let value = Double(bitPattern: next())
            return .real(
                Bool.random(using: &self) || value.isNaN
                    ? edges.randomElement(using: &self)! : value)
        case .text:
            let letters = ["", "\0", "\u{1}", "a", "b", "é", "\u{FFFF}", "😀", "\u{7F}"]
            return .text(
                (0..<next() % 5).map { _ in letters.randomElement(using: &self)! }.joined())
        case .blob:
            let bytes: [UInt8] = [0, 0, 1, 127, 128, 254, 255]
            return .blob((0..<next() % 5).map { _ in bytes.randomElement(using: &self)! })
        }
    }
}

@Suite struct KeyCodecTests {
    static func schema(_ types: [ColumnType]) -> TableSchema {
        TableSchema("t", types.enumerated().map { .key("k\($0)", $1) } + [.column("v", .blob)])
    }

    static let shapes: [[ColumnType]] =
        ColumnType.allCases.map { [$0] } + [
            [.text, .text], [.blob, .integer], [.text, .real], [.integer, .text],
            [.text, .blob, .text], [.real, .blob],
        ]

    static let seed = UInt64.random(in: 0...UInt64.max)

    @Test(arguments: shapes)
    func keysSortAsTheDatabaseSortsThem(types: [ColumnType]) throws {
        var random = SeededRandom(seed: Self.seed)
        let schema = Self.schema(types)
        let keys = (0..<300).map { _ in types.map { random.value($0) } }
        let encoded = Set(try keys.map { try KeyCodec.encode($0, schema) })
        let sorted = encoded.sorted { $0.lexicographicallyPrecedes($1) }
        #expect(try Self.sortedBySQLite(keys, types) == sorted, "seed \(Self.seed)")
    }

    @Test(arguments: shapes)
    func aKeyDecodesToItsValues(types: [ColumnType]) throws {
        var random = SeededRandom(seed: Self.seed)
        let schema = Self.schema(types)
        for _ in 0..<300 {
            let values = types.map { random.value($0) }
            let key = try KeyCodec.encode(values, schema)
            #expect(try KeyCodec.decode(key.span, schema) == values, "seed \(Self.seed)")
        }
    }

    @Test(arguments: shapes)
    func damagedKeysAreErrorsAndNeverTrap(types: [ColumnType]) throws {
        var random = SeededRandom(seed: Self.seed)
        let schema = Self.schema(types)
        for _ in 0..<2_000 {
            let key = (0..<Int(random.next() % 40)).map { _ in
                [0, 0xFF, UInt8(truncatingIfNeeded: random.next())].randomElement(using: &random)!
            }
            guard let values = try? KeyCodec.decode(key.span, schema) else { continue }
            #expect(try KeyCodec.encode(values, schema) == key, "seed \(Self.seed)")
        }
    }

    /// Bytes of keys as they are on disk.
    @Test(
        arguments: [
            ([.integer], [.integer(-1)], [0x7F, 255, 255, 255, 255, 255, 255, 255]),
            ([.real], [.real(-0.0)], [0x80, 0, 0, 0, 0, 0, 0, 0]),
            ([.real], [.real(-2)], [0x3F, 255, 255, 255, 255, 255, 255, 255]),
            ([.text], [.text("a\0")], [97, 0]),
            ([.text], [.text("")], []),
            ([.text, .text], [.text("a\0"), .text("\0")], [97, 0, 255, 0, 0, 0]),
            ([.blob, .blob], [.blob([]), .blob([7])], [0, 0, 7]),
        ] as [([ColumnType], [StoredValue], [UInt8])])
    func aKeyIsTheseBytes(types: [ColumnType], values: [StoredValue], bytes: [UInt8])
        throws
    {
        #expect(try KeyCodec.encode(values, Self.schema(types)) == bytes)
    }

    @Test(
        arguments: [
            ("a value too few", [.text("a")], nil, .wrongColumnCount(expected: 2, got: 1)),
            ("null", [.text("a"), .null], "k1", .unexpectedNull),
            (
                "another type", [.text("a"), .integer(1)], "k1",
                .wrongType(expected: .real, got: .integer)
            ),
            ("NaN", [.text("a"), .real(.nan)], "k1", .notANumber),
            (
                "too long", [.text(String(repeating: "x", count: 65_526)), .real(1)], nil,
                .keyTooLong(bytes: 65_536, limit: 65_535)
            ),
        ] as [(String, [StoredValue], String?, RowError.Problem)])
    func whatIsNoKeyIsRefused(
        what: String, values: [StoredValue], column: String?, problem: RowError.Problem
    ) {
        #expect(throws: RowError(table: "t", column: column, problem)) {
            try KeyCodec.encode(values, Self.schema([.text, .real]))
        }
    }

    @Test func theLongestKeyIsAccepted() throws {
        let values = [StoredValue.text(String(repeating: "x", count: Record.keyLimit))]
        #expect(try KeyCodec.encode(values, Self.schema([.text])).count == Record.keyLimit)
    }

    /// The keys, encoded, in the order in which SQLite's primary key holds them.
    static func sortedBySQLite(
        _ keys: [[StoredValue]], _ types: [ColumnType]
    ) throws -> [[UInt8]] {
        let names = types.indices.map { "k\($0)" }.joined(separator: ", ")
        let columns = zip(types.indices, types).map {
            "k\($0) \($1.rawValue.uppercased()) NOT NULL"
        }
        // GRDB binds texts up to their first NUL, so they arrive as blobs.
        let marks = types.map { $0 == .text ? "CAST(? AS TEXT)" : "?" }.joined(separator: ", ")
        let reads = zip(types.indices, types).map {
            $1 == .text ? "CAST(k\($0) AS BLOB)" : "k\($0)"
        }
        return try DatabaseQueue().write { db in
            try db.execute(
                sql: """
                    CREATE TABLE t(\(columns.joined(separator: ", ")), PRIMARY KEY(\(names)))
                    STRICT, WITHOUT ROWID
                    """)
            for key in keys {
                try db.execute(
                    sql: "INSERT OR IGNORE INTO t VALUES (\(marks))",
                    arguments: StatementArguments(key.map(argument)))
            }
            let rows = try Row.fetchAll(
                db, sql: "SELECT \(reads.joined(separator: ", ")) FROM t ORDER BY \(names)")
            return try rows.map { row in
                let values = zip(types.indices, types).map { value(row, $0, $1) }
                return try KeyCodec.encode(values, schema(types))
            }
        }
    }

    private static func argument(_ value: StoredValue) -> any DatabaseValueConvertible {
        switch value {
        case .null: DatabaseValue.null
        case .integer(let value): value
        case .real(let value): value
        case .text(let value): Data(value.utf8)
        case .blob(let value): Data(value)
        }
    }

    private static func value(_ row: Row, _ index: Int, _ type: ColumnType) -> StoredValue {
        switch type {
        case .integer: .integer(row[index])
        case .real: .real(row[index])
        case .text: .text(String(decoding: row[index] as Data, as: UTF8.self))
        case .blob: .blob([UInt8](row[index] as Data))
        }
    }
}
