import EventLog
import Testing
import WriteBehindCore
import WriteBehindInspection

/// `verify` names everything that opening, a snapshot or a replay would refuse, though every checksum is right.
@Suite struct RecordCheckTests {
    struct Wrong: CustomTestStringConvertible {
        let testDescription: String
        let records: [UInt8]
        let count: UInt32
        let flags: LogFlags
        let reason: String

        init(
            _ name: String, _ records: [UInt8], count: UInt32 = 1, flags: LogFlags = [],
            _ reason: String
        ) {
            (testDescription, self.records, self.count) = (name, records, count)
            (self.flags, self.reason) = (flags, reason)
        }
    }

    private static let table = TableDefinition(
        id: 1,
        schema: TableSchema(
            "thing",
            [
                .key("id", .integer), .column("a", .integer), .column("b", .text, nullable: true),
            ]))
    private static let row = Bodies.row([Bodies.integer(1), Bodies.null])
    private static let key: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 1]
    private static let other: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 2]
    private static let later = Catalog.defineRecord(
        TableDefinition(
            id: 1,
            schema: TableSchema(
                "thing", table.schema.columns + [.column("c", .integer, nullable: true)])))

    static let all = [
        Wrong("an undefined table", [1, 9, 8] + key + row, "table 9 is not defined"),
        Wrong("a short key", PastHarness.record(.put, [1], row), "ends early"),
        Wrong("a key of no table", [4, 1, 1, 7], "a clear with a key"),
        Wrong(
            "columns that descend",
            PastHarness.record(.patch, key, [2, 1, 0, 0] + Bodies.integer(1)), "#3"),
        Wrong(
            "a column that the table has not",
            PastHarness.record(.patch, key, Bodies.patch([7: Bodies.null])), "#3"),
        Wrong(
            "a null where none may be",
            PastHarness.record(.put, key, Bodies.row([Bodies.null, Bodies.null])), "null"),
        Wrong(
            "a value of another type",
            PastHarness.record(.put, key, Bodies.row([Bodies.blob(3), Bodies.null])), "#3"),
        Wrong(
            "an amount for a column of texts", PastHarness.record(.add, key, [0, 1, 1, 5, 2]),
            "holds no integers"),
        Wrong(
            "an amount for a column that the table has not",
            PastHarness.record(.add, key, [1, 1, 7, 5, 2]), "#3"),
        Wrong(
            "a value in the place of an amount",
            PastHarness.record(.add, key, [0, 1, 0] + Bodies.integer(1)), "no amount"),
        Wrong(
            "an amount beyond 64 bits",
            PastHarness.record(
                .add, key, [0, 1, 0, 5] + [UInt8](repeating: 0xFF, count: 9) + [3]), "no amount"),
        Wrong(
            "an add of a merged change", PastHarness.record(.add, key, [2, 1, 0, 5, 2]),
            "merged"),
        Wrong(
            "a row that is put if there is none, and an amount",
            PastHarness.record(.add, key, [3, 1, 0, 1, 0, 5, 2]), "merged"),
        Wrong("an add of no origin", PastHarness.record(.add, key, [9, 1, 0, 5, 2]), "origin"),
        Wrong(
            "columns of an add that descend",
            PastHarness.record(.add, key, [0, 2, 1, 5, 2, 0, 5, 2]), "#3"),
        Wrong(
            "a sum in a row", PastHarness.record(.put, key, [2, 6, 2, 0]),
            "does not fit into 64 bits"),
        Wrong(
            "a row before a patch that does not fit",
            [0x82]
                + PastHarness.record(.patch, key, Bodies.patch([0: Bodies.integer(1)])).dropFirst()
                + Bodies.row([Bodies.blob(3), Bodies.null]), "#3"),
        Wrong(
            "more values than columns",
            PastHarness.record(
                .put, key, Bodies.row([Bodies.integer(1), Bodies.null, Bodies.null])), "#3"),
        Wrong(
            "a definition beside another record", later + PastHarness.record(.put, key, row),
            count: 2, flags: .define, "shares its commit"),
        Wrong(
            "a definition that takes a column away",
            Catalog.defineRecord(
                TableDefinition(id: 1, schema: TableSchema("thing", [.key("id", .integer)]))),
            flags: .define, "the definition"),
        Wrong("a mark of a table", [6, 1, 0, 1, 65], flags: .mark, "of a table or row"),
        Wrong(
            "fewer records than the commit says", PastHarness.record(.put, key, row), count: 2,
            "holds 1"),
        Wrong(
            "a change of no row",
            PastHarness.record(.patch, other, Bodies.patch([1: Bodies.null])),
            "changes a row that is not there"),
    ]

    @Test(arguments: all)
    func recordsThatNoStoreWritesAreNamed(wrong: Wrong) throws {
        let harness = PastHarness(seed: 3)
        try harness.open()
        try harness.append(Catalog.defineRecord(Self.table), count: 1, flags: .define)
        try harness.append(PastHarness.record(.put, Self.key, Self.row), count: 1, flags: [])
        #expect(try faults(harness) == [])
        try harness.append(wrong.records, count: wrong.count, flags: wrong.flags)
        let found = try faults(harness)
        #expect(found.count == 1)
        #expect(found.first?.contains(wrong.reason) == true, "\(found)")
        try harness.close()
    }

    /// The faults that `verify` names: of the segment, else of its rows.
    private func faults(_ harness: PastHarness) throws -> [String] {
        harness.makeDurable()
        let check = try SegmentCheck(harness.environment, base: 1)
        guard check.findings.isEmpty else { return check.findings.map(\.reason) }
        do throws(HistoryError) {
            let rows = try harness.history.fold(to: .end)
            while try rows.advance() {}
            return []
        } catch {
            return ["\(error)"]
        }
    }
}
