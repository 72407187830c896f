import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// The store's files are safe from other users of the machine: these can neither read nor redirect them.
@Suite struct StoreSecurityTests {
    /// The umask is the process's, so this has one of its own.
    @Test func filesAreTheOwnersAloneWhateverTheUmask() async {
        await #expect(processExitsWith: .success) {
            umask(0)
            let directory = TemporaryStore()
            let store = try directory.open { $0.segmentSize = 64 << 10 }
            let players = try store.table(Player.self)
            for id in 0..<3000 { try players.put(Player(id: id, name: UUID().uuidString)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
            // A damaged database: the one that is put aside keeps its mode, and the new one has the same.
            try FileManager.default.removeItem(atPath: directory.database)
            try players.put(Player(id: 1, name: "again"))
            try await store.waitForAll(.materialized, timeout: .hang)
            var found: [String: Int] = [:]
            let files = FileManager.default
            for name in try files.subpathsOfDirectory(atPath: directory.path) + ["."] {
                let attributes = try files.attributesOfItem(atPath: directory.path + "/" + name)
                let isDirectory = attributes[.type] as? FileAttributeType == .typeDirectory
                let mode = attributes[.posixPermissions] as? Int
                precondition(mode == (isDirectory ? 0o700 : 0o600), "\(name): \(mode ?? -1)")
                found[isDirectory ? "directories" : "files", default: 0] += 1
            }
            // log, snapshots, quarantine and the store; two segments, a snapshot, the database with
            // its WAL and index, the lock, the identity and staging.
            precondition(found["directories"] == 4 && found["files"] ?? 0 >= 9, "\(found)")
            try await store.close()
        }
    }

    private static let names = [
        "LOCK", "store.json", "staging", "log", "snapshots", "aside", "database.sqlite",
        "database.sqlite-wal", "database.sqlite-shm", "segment", "snapshot",
    ]

    @Test(arguments: names)
    func aLinkInThePlaceOfAFileIsRefusedByName(name: String) async throws {
        let (directory, elsewhere) = (TemporaryStore(), TemporaryStore())
        let store = try directory.open()
        for id in 0..<50 { try store.table(Player.self).put(Player(id: id, name: "p")) }
        try await store.snapshot()
        try await store.close()
        let layout = StoreLayout(root: directory.path)
        let files = FileManager.default
        let snapshots = try files.contentsOfDirectory(atPath: layout.snapshots).sorted()
        let path =
            switch name {
            case "segment": layout.segment(1)
            case "snapshot": layout.snapshots + "/" + (try #require(snapshots.last))
            default: directory.path + "/" + name
            }
        try files.createDirectory(atPath: elsewhere.path, withIntermediateDirectories: true)
        let target = elsewhere.path + "/target"
        if files.fileExists(atPath: path) {
            try files.moveItem(atPath: path, toPath: target)
        } else {
            try Data("precious".utf8).write(to: URL(filePath: target))
        }
        let before = files.contents(atPath: target)
        try files.createSymbolicLink(atPath: path, withDestinationPath: target)
        let error = await storeError {
            let store = try directory.open()
            try store.table(Player.self).put(Player(id: 51, name: "p"))
            try await store.waitForAll(.materialized, timeout: .seconds(5))
            try await store.close()
        }
        let told = try #require(error.map { "\($0)" }, "the link at \(name) was followed")
        #expect(told.contains(path) || name.hasPrefix("database"), "\(told)")
        #expect(files.contents(atPath: target) == before, "what it leads to is untouched")
        #expect(try files.destinationOfSymbolicLink(atPath: path) == target)

        try files.removeItem(atPath: path)
        if before != Data("precious".utf8) { try files.moveItem(atPath: target, toPath: path) }
        let again = try directory.open()
        #expect(try await again.table(Player.self).get(49)?.name == "p", "nothing is lost")
        try await again.close()
    }

    // MARK: limits

    @Test func aKeyAtTheLimitWorksAndOneBeyondIsRefused() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let table = try store.keyValues()
        let limit = EventLog.Record.keyLimit
        let tooLong = String(repeating: "k", count: limit + 10)
        let error = await storeError { try table.put(KeyValue(key: tooLong, value: [1])) }
        guard case .row(let problem)? = error, case .keyTooLong(let bytes, limit) = problem.problem
        else {
            Issue.record("\(String(describing: error))")
            return
        }
        let longest = String(tooLong.dropLast(bytes - limit))
        #expect(throws: StoreError.self) { try table.put(KeyValue(key: longest + "k", value: [1])) }
        #expect(throws: StoreError.self) { try table.delete(longest + "k") }
        try table.put(KeyValue(key: longest, value: [7]))
        try table.put(KeyValue(key: "", value: []))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try table.evict(longest) && table.evict(""))
        #expect(try await table.get(longest)?.value == [7])
        #expect(try await table.get("")?.value == [])
        try await store.close()
    }

    @Test func aValueAtTheLimitWorksAndOneBeyondIsRefused() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let table = try store.keyValues()
        func value(_ count: Int) -> KeyValue {
            KeyValue(key: "big", value: [UInt8](repeating: 0xA5, count: count))
        }
        let tooMuch = 2 << 20
        let error = await storeError { try table.put(value(tooMuch)) }
        guard case .commitTooLarge(let bytes, let limit)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        // The value's own length takes fewer bytes in a shorter one: at most some.
        var most = tooMuch - (bytes - limit)
        while (try? table.put(value(most + 1))) != nil, most < tooMuch { most += 1 }
        try table.put(value(most))
        #expect {
            try table.put(value(most + 1))
        } throws: { error in
            guard case StoreError.commitTooLarge(limit + 1, limit) = error else { return false }
            return true
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try table.evict("big"))
        #expect(try await table.get("big")?.value.count == most)
        try await store.close()
    }
}

/// Names that SQL and terminals might trip over.
@Suite(.serialized) struct HostileNameTests {
    struct Named: TableRow {
        typealias Key = String
        nonisolated(unsafe) static var name = ""
        static var schema: WriteBehind.TableSchema {
            WriteBehind.TableSchema(
                name, [.key("k" + name, .text), .column(name, .text, nullable: true)])
        }
        var key: String
        var value: String?

        init(key: String, value: String?) { (self.key, self.value) = (key, value) }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(key)
            encoder.encode(value)
        }

        init(from decoder: inout RowDecoder) throws {
            key = try decoder.decode()
            value = try decoder.decode()
        }
    }

    static let names = [
        "a\"b", "a'b", "a`b", "[a]", "a;b--", "select", "TABLE", "rowid", "line\nbreak", "tab\tx",
        "\u{1B}[2J\u{7}", "\u{202E}evil", "with space", "ünïcödé", "🛩", "%s%n", "../x", ".", "?1",
        "Excluded", "pragma_foreign_key_list", "pragma_database_list", "pragma_table_info",
        "pragma_freelist_count", "pragma_page_size",
        String(repeating: "n", count: 254),
    ]

    @Test(arguments: names)
    func aNameWorksThroughSQLOrIsRefusedByItsKind(name: String) async throws {
        let directory = TemporaryStore()
        Named.name = name
        let store = try directory.open()
        let table = try store.table(Named.self)
        try table.put(Named(key: name, value: "before"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try table.put(Named(key: name, value: name))
        try await table.update(name) { $0.value = name + "!" }
        try store.mark(name)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        #expect(try table.evict(name))
        #expect(try await table.get(name)?.value == name + "!")
        let quoted = "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
        let stored = try store.database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM \(quoted)")
        }
        #expect(stored.map { Array($0.columnNames) } == ["k" + name, name])
        #expect(stored?[1] == name + "!")
        #expect(try await store.marks().map(\.name) == [name])
        try await store.close()
        #expect(try StoreInspection(path: directory.path).sizes()?.tables.isEmpty == false)
        let again = try directory.open()
        #expect(try await again.table(Named.self).get(name)?.value == name + "!")
        try await again.close()
    }

    @Test(arguments: [
        ("", SchemaError.Problem.emptyName), ("a\0b", .nameContainsNUL),
        (String(repeating: "n", count: 10_000), .nameTooLong(bytes: 10_000)),
        ("sqlite_master", .reservedName), ("_WriteBehind_watermark", .reservedName),
    ])
    func aNameThatSQLCannotHaveIsRefused(name: String, problem: SchemaError.Problem) async throws {
        let directory = TemporaryStore()
        Named.name = name
        let store = try directory.open()
        let error = await storeError { _ = try store.table(Named.self) }
        guard case .schema(let found)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(found.problem == problem)
        #expect("\(found)".unicodeScalars.allSatisfy { $0.value >= 0x20 })
        try await store.close()
    }

    @Test func marksMayHaveAnyName() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let names = ["", "a\0b", String(repeating: "m", count: 10_000), "it's \"quoted\"\n"]
        for name in names { try store.mark(name) }
        let beyond = await storeError { _ = try store.mark(String(repeating: "m", count: 2 << 20)) }
        guard case .commitTooLarge? = beyond else {
            Issue.record("\(String(describing: beyond))")
            return
        }
        try await store.waitForAll(.durable)
        #expect(try await store.marks().map(\.name) == names)
        try await store.close()
    }
}
