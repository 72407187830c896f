import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// Defaults that SQL's text does not carry exactly.
@Suite struct SQLiteDefaultTests {
    /// Numbers that SQLite, up to some version, reads as others.
    private static func numbers() -> [Double] {
        var random = SeededRandom(seed: 7)
        let drawn = (0..<60_000).lazy.map { _ in Double(bitPattern: random.next()) }
        let misread = drawn.filter { number in
            guard number.isFinite, number != 0 else { return false }
            let read = try? DatabaseQueue.reader.read {
                try Double.fetchOne($0, sql: "SELECT \(number)")
            }
            return read != number
        }
        return [1e-300, .leastNonzeroMagnitude, -2.5e-308, 0.1, -1e15, 1.7976931348623157e308]
            + misread.prefix(60)
    }

    @Test func anOlderRowHoldsExactlyTheDefaultOfAnAddedColumn() throws {
        let numbers = Self.numbers()
        let key = ColumnSchema.key("id", .integer)
        let one = TableDefinition(id: 1, schema: TableSchema("number", [key]))
        let fixture = try SinkFixture(tables: [one])
        try fixture.apply([.put(one, [.integer(1)])])
        let added = numbers.enumerated().map { place, number in
            ColumnSchema.column("n\(place)", .real, default: .real(number))
        }
        let all = TableDefinition(id: 1, schema: TableSchema("number", [key] + added))
        try fixture.sink.define(all, through: fixture.next())
        try fixture.apply([.put(all, [.integer(2)] + numbers.map { .real($0) })])
        let rows = try fixture.rows("SELECT * FROM number ORDER BY id")
        for row in rows {
            #expect(numbers.indices.map { row["n\($0)"] as Double } == numbers)
        }
    }
}

extension DatabaseQueue {
    fileprivate static let reader = try! DatabaseQueue()
}
