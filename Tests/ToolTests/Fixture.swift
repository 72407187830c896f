import EventLog
import Foundation
import GRDB
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

struct Flight: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "flight",
        [
            .key("number", .integer), .column("carrier", .text),
            .column("delay", .integer, nullable: true), .column("note", .text, nullable: true),
        ])
    var number: Int
    var carrier: String
    var delay: Int?
    var note: String?

    init(_ number: Int, _ carrier: String, delay: Int? = nil, note: String? = nil) {
        (self.number, self.carrier, self.delay, self.note) = (number, carrier, delay, note)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(number)
        encoder.encode(carrier)
        encoder.encode(delay)
        encoder.encode(note)
    }

    init(from decoder: inout RowDecoder) throws {
        number = try decoder.decode()
        carrier = try decoder.decode()
        delay = try decoder.decode()
        note = try decoder.decode()
    }
}

/// A store in a directory of its own, gone after the test, in any state that an operator may meet.
final class Fixture {
    let path: String
    private(set) var store: Store?

    init() {
        path = FileManager.default.temporaryDirectory.path + "/wbtool-" + UUID().uuidString
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// - Parameter secondary: where the secondary database `reports` is.
    func open(
        secondary: String? = nil, _ configure: (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> Store {
        var configuration = StoreConfiguration()
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        configure(&configuration)
        var environment = StoreEnvironment.machine(configuration)
        if let secondary {
            environment.secondaries = [
                SecondaryDatabase.Place("reports", SQLiteOpener(SQLiteOptions(), path: secondary))
            ]
        }
        let store = try Store(
            at: path, configuration: configuration, environment: environment)
        self.store = store
        return store
    }

    /// #1 defines the table; #2 to #11 put flights 0 to 9; #12 updates 3; #13 deletes 4.
    static func fill(_ store: Store) async throws {
        let flights = try store.table(Flight.self)
        for number in 0..<10 {
            try flights.put(Flight(number, number % 2 == 0 ? "UA" : "B6", delay: number))
        }
        try await flights.update(3) { $0.delay = 100 }
        try flights.delete(4)
        try await store.waitForAll(.materialized, timeout: .seconds(300))
    }

    /// Written and closed.
    static func closed() async throws -> Fixture {
        let fixture = Fixture()
        let store = try fixture.open()
        try await fill(store)
        try await store.close()
        fixture.store = nil
        return fixture
    }

    /// Being written, by this process.
    static func live() async throws -> Fixture {
        let fixture = Fixture()
        try await fill(try fixture.open())
        return fixture
    }

    func close() async throws {
        try await store?.close()
        store = nil
    }

    /// As a killed writer leaves it: a copy taken while the store is open.
    static func killed() async throws -> Fixture {
        let live = try await live()
        let fixture = Fixture()
        try FileManager.default.copyItem(atPath: live.path, toPath: fixture.path)
        try await live.close()
        return fixture
    }

    /// As power loss may leave it: half a block at the end of the log.
    static func torn() async throws -> Fixture {
        let fixture = try await killed()
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: fixture.segments[0]))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(repeating: 0x57, count: 100))
        try handle.close()
        return fixture
    }

    /// Closed, of two segments, with one byte of the first segment's first block flipped.
    static func corrupt() async throws -> Fixture {
        let fixture = try await closed()
        let store = try fixture.open()
        try store.table(Flight.self).put(Flight(50, "AA"))
        try await store.close()
        try fixture.flip(byte: 250, of: fixture.segments[0])
        return fixture
    }

    /// Runs `body` while a transaction of another connection has the database locked.
    func whileLocked(_ body: () throws -> Void) throws {
        let queue = try DatabaseQueue(path: path + "/database.sqlite")
        try queue.inDatabase { db in
            try db.execute(sql: "BEGIN IMMEDIATE")
            try body()
            try db.execute(sql: "COMMIT")
        }
        try queue.close()
    }

    /// Waits until the writer has written down why it is not well.
    func hasReport() -> Bool {
        let end = ContinuousClock.now + .seconds(300)
        while ContinuousClock.now < end {
            if FileManager.default.fileExists(atPath: path + "/health.json") { return true }
            Thread.sleep(forTimeInterval: 0.01)
        }
        return false
    }

    /// A copy of a store that is open. Its writer replaces its report once a second, so a file may be gone while the
    /// directory is copied.
    func copyWhileReporting(to copy: Fixture) throws {
        for _ in 0..<20 {
            try? FileManager.default.removeItem(atPath: copy.path)
            let isWhole: Void? = try? FileManager.default.copyItem(atPath: path, toPath: copy.path)
            if isWhole != nil { return }
        }
        try FileManager.default.copyItem(atPath: path, toPath: copy.path)
    }

    var segments: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/log")) ?? []
        return names.sorted().map { path + "/log/" + $0 }
    }

    /// Deletes the oldest segment, as retention does.
    func deleteOldestSegment() throws {
        let environment = try StoreInspection(path: path).environment
        guard let oldest = try SegmentList(environment).segments.first else { return }
        try SegmentList.delete(oldest, environment)
    }

    func flip(byte offset: Int, of file: String) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
        try handle.seek(toOffset: UInt64(offset))
        let byte = try handle.read(upToCount: 1)?.first ?? 0
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data([byte ^ 0x10]))
        try handle.close()
    }

    /// The store's files with their bytes, to see that nothing changed them. SQLite's shared
    /// memory is left out: readers write to it.
    func contents() throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: path)
        where !name.hasSuffix("-shm") && !name.hasSuffix("-wal") {
            found[name] = FileManager.default.contents(atPath: path + "/" + name)
        }
        return found
    }
}
