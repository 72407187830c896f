import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore

/// The bytes of values against SQL's ORDER BY, and the fold of patches.
@Suite struct IndexColumnsTests {
    private func value(
        of values: [StoredValue], _ schema: TableSchema, _ columns: IndexColumns
    ) throws -> [UInt8] {
        let row = try RowCodec.encodeRow(values, schema)
        var value: [UInt8] = []
        try columns.append(row: row.span, to: &value)
        return value
    }

    private static let schema = TableSchema(
        "t",
        [
            .key("id", .integer), .column("i", .integer, nullable: true),
            .column("r", .real, nullable: true), .column("t", .text, nullable: true),
            .column("b", .blob, nullable: true), .column("n", .integer, default: .integer(5)),
            .column("late", .text, default: .text("l\0te")),
        ])

    private static func value(_ column: Int, _ random: inout SeededRandom) -> StoredValue {
        func pick<T>(_ values: [T]) -> T {
            values[Int.random(in: 0..<values.count, using: &random)]
        }
        if column < 4, Int.random(in: 0..<5, using: &random) == 0 { return .null }
        switch column {
        case 0, 4: return .integer(pick([.min, -256, -1, 0, 1, 2, 255, 256, .max]))
        case 1: return .real(pick([-.infinity, -1e300, -1.5, -0.0, 1e-300, 0.5, 1.5, .infinity]))
        case 2, 5:
            return .text(
                pick(["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "A", "é", "e\u{301}", "z", "日本"]))
        default: return .blob(pick([[], [0], [0, 0], [0, 255], [1], [255], [255, 0]]))
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func valuesAreInTheOrderOfSQL(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let schema = Self.schema
        let database = try DatabaseQueue()
        let names = ["i", "r", "t", "b", "n", "late"].shuffled(using: &random).prefix(
            Int(seed % 3) + 1)
        let columns = IndexColumns(
            IndexDefinition("x", columns: Array(names)), in: schema)
        var positions: [(bytes: [UInt8], id: Int64)] = []
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB,
                    n INTEGER NOT NULL, late TEXT NOT NULL) STRICT
                    """)
            for id in 0..<400 as Range<Int64> {
                let values = (0..<6).map { Self.value($0, &random) }
                try db.execute(
                    sql: """
                        INSERT INTO t
                        VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))
                        """,
                    arguments: StatementArguments(
                        [id.databaseValue] + values.map(\.databaseValue)))
                let (key, row) = try RowCodec.encode([.integer(id)] + values, schema)
                var bytes: [UInt8] = []
                try columns.append(row: row.span, to: &bytes)
                positions.append((bytes + key, id))
            }
            let order = names.joined(separator: ", ")
            let wanted = try Int64.fetchAll(db, sql: "SELECT id FROM t ORDER BY \(order), id")
            positions.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            #expect(positions.map(\.id) == wanted)
        }
    }

    @Test func aPatchGivesTheValueThatThePatchedRowHas() throws {
        var random = SeededRandom(seed: 5)
        let schema = Self.schema
        let columns = IndexColumns(IndexDefinition("x", on: "late", "t", "n", "b"), in: schema)
        for _ in 0..<2_000 {
            let before = (0..<6).map { Self.value($0, &random) }
            let old = try value(of: before, schema, columns)
            let changed = (0..<6).filter { _ in Bool.random(using: &random) }
            let changes = changed.map { ColumnChange(column: $0, value: Self.value($0, &random)) }
            guard !changes.isEmpty else { continue }
            let patch = try RowCodec.encodePatch(changes, schema)
            var after = before
            for change in changes { after[change.column] = change.value }
            let wanted = try value(of: after, schema, columns)
            var new: [UInt8] = []
            if try columns.append(patch: patch.span, over: old.span, to: &new) {
                #expect(new == wanted)
            } else {
                #expect(old == wanted)
            }
            // Where nothing is known, the other columns have their defaults.
            var made: [UInt8] = []
            _ = try columns.append(patch: patch.span, over: nil, to: &made)
            var row: [StoredValue] = [.null, .null, .null, .null, .integer(5), .text("l\0te")]
            for change in changes { row[change.column] = change.value }
            let ofRow = try value(of: row, schema, columns)
            #expect(made == ofRow)
        }
    }

    /// The builder has yet to look at the row: what the first patch made of it must be whole for the second.
    @Test(arguments: ColumnType.allCases)
    func aRowThatIsNotKnownYetMayBePatchedTwice(_ type: ColumnType) throws {
        let schema = TableSchema(
            "t", [.key("id", .integer), .column("must", type), .column("n", .integer)])
        let columns = IndexColumns(IndexDefinition("x", on: "n", "must", "n"), in: schema)
        let patch = try RowCodec.encodePatch([ColumnChange(column: 1, value: .integer(7))], schema)
        var (first, second): ([UInt8], [UInt8]) = ([], [])
        #expect(try columns.append(patch: patch.span, over: nil, to: &first))
        #expect(try columns.append(patch: patch.span, over: first.span, to: &second))
        #expect(first == second)
    }

    @Test func aRowFromBeforeAColumnHasItsDefault() throws {
        let columns = IndexColumns(IndexDefinition("late"), in: Self.schema)
        let older = TableSchema("t", Array(Self.schema.columns.dropLast()))
        let values: [StoredValue] = [.null, .null, .null, .null, .integer(1)]
        let short = try value(of: values, older, columns)
        let long = try value(of: values + [.text("l\0te")], Self.schema, columns)
        #expect(short == long)
    }
}

extension StoredValue {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let value): value.databaseValue
        case .real(let value): value.databaseValue
        // GRDB would end text at its first NUL.
        case .text(let value): Foundation.Data(value.utf8).databaseValue
        case .blob(let value): Foundation.Data(value).databaseValue
        }
    }
}

extension IndexColumns {
    /// The columns of an index that names them as the table does.
    fileprivate init(_ index: IndexDefinition, in schema: TableSchema) {
        self.init(index.columns.compactMap { schema.valueIndex(of: $0) }, in: schema)
    }
}
