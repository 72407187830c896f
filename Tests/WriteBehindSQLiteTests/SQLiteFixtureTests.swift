import EventLog
import Foundation
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

// GRDB and Foundation have types of these names too.
typealias TableDefinition = WriteBehindCore.TableDefinition
typealias TableSchema = WriteBehindCore.TableSchema
typealias Operation = EventLog.Operation

/// A database in a directory of its own, and short words for what tests give it.
final class SinkFixture {
    static let storeID = [UInt8](0..<16)
    static let origin = Watermark(sequence: 0, chain: 99)
    static let person = TableDefinition(
        id: 1,
        schema: TableSchema(
            "person",
            [
                .key("id", .integer), .column("name", .text, nullable: true),
                .column("age", .integer, default: .integer(7)),
            ]))
    static let visit = TableDefinition(
        id: 2,
        schema: TableSchema(
            "visit",
            [
                .key("day", .text), .key("number", .integer),
                .column("person", .integer, nullable: true),
                .column("until", .integer, nullable: true),
            ], expiry: "until"))

    let directory: String
    let path: String
    let sink: SQLiteSink
    var sequence: UInt64 = 0
    /// All that were made, in order.
    var commits: [OrderedCommit] = []

    init(
        tables: [TableDefinition] = [person, visit], storeID: [UInt8] = storeID,
        now: @escaping @Sendable () -> Int64 = { 1_700_000_000_000_000 }
    ) throws {
        directory = NSTemporaryDirectory() + "/sink-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        path = directory + "/database.sqlite"
        sink = try Self.open(path, now: now)
        for table in tables { try sink.define(table, through: next()) }
    }

    deinit {
        try? sink.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func open(
        _ path: String, storeID: [UInt8] = storeID,
        now: @escaping @Sendable () -> Int64 = { 1_700_000_000_000_000 },
        disk: any Disk = PosixDisk()
    ) throws(SinkError) -> SQLiteSink {
        try SQLiteSink(
            path: path, storeID: storeID, origin: origin, disk: disk,
            options: SQLiteOptions(now: now))
    }

    func next() -> Watermark {
        sequence += 1
        return at(sequence)
    }

    func at(_ sequence: UInt64) -> Watermark {
        Watermark(sequence: sequence, chain: sequence &* 31)
    }

    /// A user's SQL in the database, behind the sink's back.
    func user(_ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }

    func rows(_ sql: String) throws -> [Row] {
        try sink.reader.read { try Row.fetchAll($0, sql: sql) }
    }

    func strings(_ sql: String) throws -> [String] {
        try sink.reader.read { try String.fetchAll($0, sql: sql) }
    }

    func apply(_ changes: [Change], cleared: [UInt32] = []) throws {
        try sink.apply(TestBatch(through: next(), cleared: cleared, changes: changes.sorted()))
    }

    /// Applies commits, each given as its changes, with the next sequences.
    @discardableResult
    func applyInOrder(_ commits: [[Change]]) throws -> [QuarantinedCommit] {
        let ordered = commits.map { commit($0) }
        return try sink.applyInOrder(ordered, through: at(sequence)).added
    }

    /// Which of all commits so far are in quarantine.
    func quarantined() throws -> [UInt64] {
        let quarantine = sink.quarantine
        return try commits.filter { quarantine.contains($0.firstSequence, try $0.contents().keys) }
            .map(\.firstSequence)
    }

    /// Tries quarantine again, some commits a transaction. Returns how many left it.
    @discardableResult
    func retry(
        atOnce count: Int = .max, between: (_ tried: Int) throws -> Void = { _ in }
    ) throws -> Int {
        var pass = RetryPass()
        var tried = 0
        repeat {
            let some = commits[tried...].prefix(count)
            tried += some.count
            _ = try sink.retry(Array(some), in: &pass, isLast: tried == commits.count)
            try between(tried)
        } while tried < commits.count
        return pass.applied
    }

    func commit(_ changes: [Change]) -> OrderedCommit {
        let first = sequence + 1
        sequence += UInt64(changes.count)
        let commit = OrderedCommit(
            firstSequence: first, recordCount: changes.count, records: changes.flatMap(\.record))
        commits.append(commit)
        return commit
    }
}

extension SinkFixture {
    // Outside of #expect: a span inside the macro crashes the compiler.
    func isQuarantined(_ id: Int64) throws -> Bool {
        let key = try Self.key(id)
        return sink.isQuarantined(1, key: key.span)
    }
}

struct Change: Comparable {
    var operation: Operation
    var table: UInt32
    var key: [UInt8]
    var body: [UInt8]

    static func < (one: Change, other: Change) -> Bool {
        one.table != other.table
            ? one.table < other.table : one.key.lexicographicallyPrecedes(other.key)
    }

    var kind: ChangeKind {
        switch operation {
        case .put: .put
        case .patch: .patch
        case .add: .add
        default: .delete
        }
    }

    var record: [UInt8] {
        var bytes = [operation.rawValue]
        bytes.append(varint: UInt64(table))
        bytes.append(varint: UInt64(key.count))
        return bytes + key + body
    }

    static func put(_ table: TableDefinition, _ values: [StoredValue]) throws -> Change {
        let (key, row): ([UInt8], [UInt8]) = try RowCodec.encode(values, table.schema)
        return Change(operation: .put, table: table.id, key: key, body: row)
    }

    static func person(_ id: Int64, _ name: String?, _ age: Int64 = 1) throws -> Change {
        let name = name.map { StoredValue.text($0) } ?? .null
        return try put(SinkFixture.person, [.integer(id), name, .integer(age)])
    }

    static func visit(_ day: String, _ number: Int64, person: Int64?) throws -> Change {
        let person = person.map { StoredValue.integer($0) } ?? .null
        return try put(SinkFixture.visit, [.text(day), .integer(number), person, .null])
    }

    static func patch(_ id: Int64, _ changes: [ColumnChange]) throws -> Change {
        Change(
            operation: .patch, table: 1, key: try SinkFixture.key(id),
            body: try RowCodec.encodePatch(changes, SinkFixture.person.schema))
    }

    /// An add of amounts to columns outside the key, by their places.
    static func add(
        _ table: TableDefinition = SinkFixture.person, _ key: [StoredValue],
        _ amounts: [(column: Int, amount: Int64)]
    ) throws -> Change {
        let amounts = amounts.map { ColumnAmount(column: $0.column, amount: $0.amount) }
        let makesRow = RowCodec.addsMakeRows(table.schema)
        return Change(
            operation: .add, table: table.id, key: try KeyCodec.encode(key, table.schema),
            body: RowCodec.encodeAdd(amounts, makesRow: makesRow))
    }

    /// An add to a person's age.
    static func add(_ id: Int64, _ age: Int64) throws -> Change {
        try add(SinkFixture.person, [.integer(id)], [(1, age)])
    }

    static func delete(_ id: Int64) throws -> Change {
        Change(operation: .delete, table: 1, key: try SinkFixture.key(id), body: [])
    }

    static func clear(_ table: UInt32) -> Change {
        Change(operation: .clear, table: table, key: [], body: [])
    }

    static func settle(_ sequence: UInt64, left: UInt64 = 0) -> Change {
        var body: [UInt8] = []
        for number in [sequence, sequence, left, 0] { body.append(varint: number) }
        return Change(operation: .settle, table: 0, key: [], body: body)
    }
}

extension SinkFixture {
    static func key(_ id: Int64) throws -> [UInt8] {
        try KeyCodec.encode([.integer(id)], person.schema)
    }
}

struct TestBatch: SortedChanges {
    var through: Watermark
    var cleared: [UInt32] = []
    var changes: [Change]

    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        for change in changes {
            try body(change.table, change.kind, change.key.span, change.body.span)
        }
    }
}

/// Runs `body` and returns the kind of the error that it must throw.
func refusal(_ body: () throws -> Void) -> SinkError.Kind? {
    do {
        try body()
        return nil
    } catch {
        return (error as? SinkError)?.kind
    }
}
