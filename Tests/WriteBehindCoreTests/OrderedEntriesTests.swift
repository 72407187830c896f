import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore

/// The entries of an index against an array that is sorted, and their order against SQL's.
@Suite struct OrderedEntriesTests {
    /// An index beside a dictionary of what it must hold.
    final class Pair {
        private var entries: OrderedEntries
        var model: [[UInt8]: [UInt8]] = [:]
        private let hashes: UInt64

        /// - Parameter hashes: how many different ones keys have.
        init(hashes: UInt64 = .max) throws {
            entries = try OrderedEntries(limit: 64 << 20)
            self.hashes = hashes
        }

        init(reserving byteCount: Int) throws {
            entries = try OrderedEntries(reserving: byteCount)
            hashes = .max
        }

        private func hash(_ key: [UInt8]) -> UInt64 { Checksum.of(key.span, seed: 7) % hashes }

        func put(_ key: [UInt8], _ value: [UInt8]) {
            let hasRoom = entries.makeRoom(keyLength: key.count, valueLength: value.count)
            #expect(hasRoom)
            entries.put(hash(key), key.span, value.span)
            model[key] = value
        }

        /// False, with nothing put, if there is no room.
        func putIfThereIsRoom(_ key: [UInt8], _ value: [UInt8]) -> Bool {
            guard entries.makeRoom(keyLength: key.count, valueLength: value.count) else {
                return false
            }
            entries.put(hash(key), key.span, value.span)
            model[key] = value
            return true
        }

        func remove(_ key: [UInt8]) {
            entries.remove(hash(key), key.span)
            model[key] = nil
        }

        func rank(_ key: [UInt8]) -> Int? { entries.rank(hash(key), key.span) }

        var byteCount: Int { entries.byteCount }

        func rankCount(_ part: IndexPart) -> Int { entries.ranks(part).count }

        func keys(_ part: IndexPart = IndexPart(), limit: Int = .max) -> [[UInt8]] {
            let found = entries.entries(part, limit: limit)
            return (0..<found.count).map { found.key($0) }
        }

        /// The model in order: value, then key.
        var sorted: [(position: [UInt8], key: [UInt8])] {
            model.map { ($0.value + $0.key, $0.key) }
                .sorted { $0.position.lexicographicallyPrecedes($1.position) }
        }

        func check(ranks count: Int = 20, _ random: inout SeededRandom) throws {
            let (fault, size) = (entries.fault(), entries.count)
            try #require(fault == nil)
            let sorted = sorted
            try #require(size == sorted.count)
            #expect(keys() == sorted.map(\.key))
            var backwards = IndexPart()
            backwards.isDescending = true
            #expect(keys(backwards, limit: 300) == sorted.reversed().prefix(300).map(\.key))
            for _ in 0..<min(count, sorted.count) {
                let place = Int.random(in: 0..<sorted.count, using: &random)
                #expect(rank(sorted[place].key) == place)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func randomPutsAndRemovesKeepTheOrderOfASortedArray(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pair = try Pair()
        // Few values make ties, many keys make several levels.
        let (keys, values) = [(40, 5), (3_000, 40), (3_000, 1_000_000)][Int(seed) % 3]
        for step in 0..<12_000 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64.random(in: 0..<Int64(keys), using: &random))
            if Int.random(in: 0..<10, using: &random) < (step < 6_000 ? 2 : 6) {
                pair.remove(key)
            } else {
                var value: [UInt8] = []
                value.append(
                    keyInteger: Int64.random(
                        in: -Int64(values)...Int64(values), using: &random))
                pair.put(key, value)
            }
            if step % 3_000 == 2_999 { try pair.check(&random) }
        }
        for key in Array(pair.model.keys) { pair.remove(key) }
        try pair.check(&random)
    }

    @Test func keysThatBeginWithOthersStayApart() throws {
        var random = SeededRandom(seed: 9)
        let pair = try Pair()
        for length in 0..<200 {
            pair.put(Array(repeating: 97, count: length), [0, 0])
        }
        try pair.check(ranks: 200, &random)
        for length in stride(from: 0, to: 200, by: 3) {
            pair.remove(Array(repeating: 97, count: length))
        }
        try pair.check(ranks: 200, &random)
    }

    @Test func keysOfOneHashStayApart() throws {
        var random = SeededRandom(seed: 10)
        let pair = try Pair(hashes: 3)
        for number in 0..<300 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(number))
            pair.put(key, [UInt8(number % 7)])
            if number % 5 == 0 { pair.remove(key) }
        }
        try pair.check(ranks: 300, &random)
    }

    @Test func valuesMayGrowAndShrink() throws {
        var random = SeededRandom(seed: 11)
        let pair = try Pair()
        for step in 0..<3_000 {
            let key = [UInt8(Int.random(in: 0..<60, using: &random))]
            let length = [0, 3, 40, 5_000, 70_000][step % 5]
            let byte = UInt8.random(in: 1...3, using: &random)
            pair.put(key, Array(repeating: byte, count: length) + [0, 0])
        }
        try pair.check(&random)
    }

    @Test func ascendingEntriesFillTheirLeaves() throws {
        let pair = try Pair()
        var random = SeededRandom(seed: 12)
        for number in 0..<20_000 {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(number))
            pair.put(key, key)
        }
        try pair.check(&random)
        // 24 bytes of block, 12 of leaf and 9 to 14 of slot, and what pages round up to.
        #expect(pair.byteCount < 20_000 * 60)
    }

    @Test func memoryOfEntriesThatWentIsUsedAgain() throws {
        let pair = try Pair()
        var random = SeededRandom(seed: 13)
        func put(_ numbers: Range<Int>) -> [[UInt8]] {
            numbers.map { number in
                var key: [UInt8] = []
                key.append(keyInteger: Int64(number))
                pair.put(key, [UInt8(number % 251), UInt8(number % 241)])
                return key
            }
        }
        var keys = put(0..<50_000)
        let full = pair.byteCount
        // In any order, leaves are two thirds full.
        #expect(full < 50_000 * 60)
        for round in 1...3 {
            keys.shuffle(using: &random)
            for key in keys.dropLast(500) { pair.remove(key) }
            keys = keys.suffix(500) + put(round * 100_000..<round * 100_000 + 49_500)
        }
        try pair.check(&random)
        #expect(pair.byteCount < full + full / 8)
    }

    /// With 336 bytes, the tree needs a page for its 79th leaf when the last one has just been taken for entries, of which
    /// some are free.
    @Test(arguments: stride(from: 216, through: 376, by: 8).map(\.self))
    func thereIsNoRoomOnceANodeWouldHaveNone(valueLength: Int) throws {
        let pair = try Pair(reserving: 2 << 20)
        var random = SeededRandom(seed: 15)
        let value = [UInt8](repeating: 7, count: valueLength)
        func key() -> [UInt8] {
            var key: [UInt8] = []
            key.append(keyInteger: Int64(pair.model.count))
            return key
        }
        while pair.putIfThereIsRoom(key(), value) {}
        try pair.check(&random)
        #expect(pair.byteCount > (2 << 20) * 3 / 4)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func entriesOfManySizesMayUseUpTheAddressSpace(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pair = try Pair(reserving: 2 << 20)
        // The longest is more than a page.
        let lengths = [[0, 8, 20], [0, 30, 500], [8, 3_000], [0, 200, 70_000]][Int(seed) % 4]
        var keys: [[UInt8]] = []
        while true {
            var key: [UInt8] = []
            key.append(keyInteger: Int64.random(in: .min ... .max, using: &random))
            let length = lengths[Int.random(in: 0..<lengths.count, using: &random)]
            let value = [UInt8](
                repeating: .random(in: 0...255, using: &random), count: length)
            guard pair.putIfThereIsRoom(key, value) else { break }
            keys.append(key)
            if Int.random(in: 0..<5, using: &random) == 0 {
                pair.remove(keys[Int.random(in: 0..<keys.count, using: &random)])
            }
        }
        try pair.check(&random)
        #expect(pair.byteCount > 1 << 20)
    }

    @Test func partsAndCursorsAreThoseOfASortedArray() throws {
        var random = SeededRandom(seed: 14)
        let pair = try Pair()
        for number in 0..<2_000 {
            var (key, value): ([UInt8], [UInt8]) = ([], [])
            key.append(keyInteger: Int64(number))
            value.append(keyInteger: Int64.random(in: 0..<50, using: &random))
            pair.put(key, value)
        }
        let sorted = pair.sorted
        for _ in 0..<300 {
            var part = IndexPart()
            part.isDescending = Bool.random(using: &random)
            var bounds: [[UInt8]?] = []
            for _ in 0..<2 {
                var value: [UInt8] = []
                value.append(keyInteger: Int64.random(in: -1...50, using: &random))
                bounds.append(Int.random(in: 0..<4, using: &random) == 0 ? nil : value)
            }
            (part.lower, part.upper) = (bounds[0], bounds[1])
            if Bool.random(using: &random) {
                part.after = sorted.randomElement(using: &random)?.position
            }
            var wanted = sorted.filter { entry in
                let value = Array(entry.position.prefix(8))
                return part.lower.map { !value.lexicographicallyPrecedes($0) } ?? true
                    && part.upper.map { !$0.lexicographicallyPrecedes(value) } ?? true
            }
            if part.isDescending { wanted.reverse() }
            if let after = part.after {
                wanted.removeAll {
                    part.isDescending
                        ? !$0.position.lexicographicallyPrecedes(after)
                        : !after.lexicographicallyPrecedes($0.position)
                }
            }
            #expect(pair.rankCount(part) == wanted.count)
            #expect(pair.keys(part, limit: 30) == wanted.prefix(30).map(\.key))
        }
    }
}

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
