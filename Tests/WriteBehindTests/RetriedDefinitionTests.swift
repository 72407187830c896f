import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A definition that comes out of quarantine counts for all that is applied after it.
@Suite struct RetriedDefinitionTests {
    private static let columns: [ColumnSchema] = [.key("id", .integer), .column("a", .text)]
    private static let before = TableSchema("badge", columns)
    private static let after = TableSchema(
        "badge",
        columns + [
            .column("b", .integer, nullable: true, default: .integer(7)),
            .column("c", .integer, nullable: true),
        ])

    /// A row that was encoded before its table got columns, and a patch of the last of them, in one batch: the batch was
    /// made while the definition was in quarantine, so it had the defaults of before.
    @Test func aBatchHasTheDefaultsOfADefinitionThatWasRetried() throws {
        let store = try SteppedStore(TemporaryStore())
        let table = UInt16(try store.engine.declare(Self.before).id)
        let other = UInt16(try store.engine.declare(KeyValue.schema).id)
        func put(_ table: UInt16, _ values: [StoredValue], _ schema: TableSchema) throws {
            let (key, row) = try RowCodec.encode(values, schema)
            _ = try store.engine.write(.put, table: table, key: key.span, body: row.span)
        }
        try put(table, [.integer(0), .text("x")], Self.before)
        #expect(store.materialize())
        try store.directory.user("ALTER TABLE badge ADD COLUMN b TEXT")
        _ = try store.engine.declare(Self.after)
        #expect(store.materialize())
        #expect(store.engine.sink.quarantine.commitCount == 1)
        // From here on there is a batch.
        try put(other, [.text("k"), .blob([1])], KeyValue.schema)
        #expect(store.materialize())

        try store.directory.user("ALTER TABLE badge DROP COLUMN b")
        let quarantine = Quarantine(
            engine: store.engine, materializer: store.store.materializer, pins: store.store.pins)
        #expect(try quarantine.retryBlocking().left == 0)

        let (key, row) = try RowCodec.encode([.integer(1), .text("y")], Self.before)
        let patch = try RowCodec.encodePatch(
            [ColumnChange(column: 2, value: .integer(9))], Self.after)
        var commit = CommitBuilder()
        commit.append(.put, table: table, key: key.span, body: row.span)
        commit.append(.patch, table: table, key: key.span, body: patch.span)
        try store.engine.commit(commit)
        #expect(store.materialize())
        let queue = try DatabaseQueue(path: store.directory.database)
        let found = try queue.read {
            try String.fetchAll(
                $0, sql: "SELECT id || a || ifnull(b, '-') || ifnull(c, '-') FROM badge")
        }
        #expect(found == ["0x7-", "1y79"])
        try queue.close()
        try store.close()
    }
}
