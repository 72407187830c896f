import EventLog
import Testing
import WriteBehindCore

/// Columns that are added between changes of rows, wherever blocks and snapshots begin.
@Suite struct DefinitionFoldTests {
    enum Step {
        /// The table has so many columns beside its key from here on.
        case define(Int)
        case put(String, [Int64])
        case patch(String, [Int: Int64])
        /// A block ends.
        case flush
        case snapshot
    }

    struct Life: CustomTestStringConvertible {
        let testDescription: String
        let steps: [Step]
        /// The values of each row at the end.
        let rows: [String: [Int64]]

        init(_ name: String, _ steps: [Step], _ rows: [String: [Int64]]) {
            (testDescription, self.steps, self.rows) = (name, steps, rows)
        }
    }

    /// Column n has n as its default, the first excepted.
    static func definition(_ count: Int) -> TableDefinition {
        let columns: [ColumnSchema] = (0..<count).map {
            $0 == 0
                ? .column("v0", .integer)
                : .column("v\($0)", .integer, default: .integer(Int64($0)))
        }
        return TableDefinition(id: 1, schema: TableSchema("thing", [.key("id", .blob)] + columns))
    }

    static let lives = [
        Life(
            "the block that adds columns changes an older row",
            [.define(1), .put("a", [10]), .flush, .define(3), .patch("a", [2: 20]), .flush],
            ["a": [10, 1, 20]]),
        Life(
            "the row, the columns and the change stand in one block",
            [.define(1), .put("a", [10]), .define(3), .patch("a", [2: 20]), .flush],
            ["a": [10, 1, 20]]),
        Life(
            "one block adds columns twice, with changes in between",
            [
                .define(1), .put("a", [10]), .put("b", [11]), .flush,
                .define(3), .patch("a", [2: 20]), .define(5), .patch("b", [4: 21]),
                .patch("a", [4: 22]), .flush,
            ],
            ["a": [10, 1, 20, 3, 22], "b": [11, 1, 2, 3, 21]]),
        Life(
            "a snapshot has the row, and the block behind it the columns and the change",
            [
                .define(1), .put("a", [10]), .put("b", [11]), .snapshot,
                .define(3), .patch("a", [2: 20]), .put("c", [12, 5, 6]), .flush,
            ],
            ["a": [10, 1, 20], "b": [11, 1, 2], "c": [12, 5, 6]]),
        Life(
            "a change of the older columns stands before the new ones",
            [
                .define(1), .put("a", [10]), .snapshot, .patch("a", [0: 9]), .define(2),
                .define(3), .patch("a", [2: 20]), .snapshot, .define(4), .patch("a", [3: 30]),
                .flush,
            ],
            ["a": [9, 1, 20, 30]]),
    ]

    @Test(arguments: lives, [64 << 20, 1])
    func everyFoldSetsTheDefaultsThatHoldWhereAChangeStands(life: Life, memory: Int) throws {
        let harness = PastHarness(seed: 5)
        harness.memory = memory
        try harness.open()
        var columns = 0
        for step in life.steps { try take(step, harness, &columns) }
        harness.makeDurable()
        let expected = life.rows.mapValues { $0.map { StoredValue.integer($0) } }
        let schema = Self.definition(columns).schema
        #expect(try rows(harness.history, schema) == expected, "snapshot and log")
        for (name, values) in expected {
            let found = try harness.history.row(
                of: Array(name.utf8), in: Self.definition(columns), asOf: .end)
            let row = try #require(found)
            #expect(try RowCodec.decodeRow(row.body.span, schema) == values, "the past of a row")
        }
        try harness.snapshot()
        #expect(try rows(harness.history, schema) == expected, "a snapshot of all")
        try harness.close()
    }

    private func take(_ step: Step, _ harness: PastHarness, _ columns: inout Int) throws {
        func bytes(_ value: Int64) -> [UInt8] { Bodies.integer(value) }
        switch step {
        case .define(let count):
            columns = count
            try harness.append(
                Catalog.defineRecord(Self.definition(count)), count: 1, flags: .define)
        case .put(let key, let values):
            let row = Bodies.row(values.map(bytes))
            try harness.append(PastHarness.record(.put, Array(key.utf8), row), count: 1, flags: [])
        case .patch(let key, let values):
            let patch = Bodies.patch(values.mapValues(bytes))
            try harness.append(
                PastHarness.record(.patch, Array(key.utf8), patch), count: 1, flags: [])
        case .flush: harness.makeDurable()
        case .snapshot: try harness.snapshot()
        }
    }

    private func rows(
        _ history: StoreHistory, _ schema: TableSchema
    ) throws -> [String: [StoredValue]] {
        let merged = try history.fold(to: .end)
        var found: [String: [StoredValue]] = [:]
        while let row = try merged.next() {
            found[String(decoding: row.key, as: UTF8.self)] =
                try RowCodec.decodeRow(row.body.span, schema)
        }
        return found
    }
}
