import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A database that is there, and refuses for a while: locked, not writable, without space.
@Suite struct StoreDatabaseTroubleTests {
    /// The store says why, takes writes and reads from memory; then it heals by itself.
    private func endure(
        _ store: Store, _ players: StoredTable<Player>, _ cause: String, heal: () throws -> Void
    ) async throws {
        try players.put(Player(id: 1000, name: "during"))
        let isTold = await eventually { store.health.causes.contains { $0.contains(cause) } }
        #expect(isTold, "\(store.health.causes)")
        for id in 1001..<1100 { try players.put(Player(id: id, name: "during", score: id)) }
        #expect(try await players.get(1050)?.score == 1050)
        #expect(store.health.lag.records >= 100)
        try heal()
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player WHERE id >= 1000")
        }
        #expect(count == 100)
    }

    private func open(_ directory: TemporaryStore) async throws -> (Store, StoredTable<Player>) {
        let store = try directory.open { $0.retryLimit = .milliseconds(100) }
        let players = try store.table(Player.self)
        for id in 0..<100 { try players.put(Player(id: id, name: "p", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        return (store, players)
    }

    @Test func oneThatAnotherProcessLocksForLongIsWaitedFor() async throws {
        let directory = TemporaryStore()
        let (store, players) = try await open(directory)
        let other = Process()
        other.executableURL = URL(filePath: "/usr/bin/env")
        other.arguments = ["sqlite3", directory.database]
        let (input, output) = (Pipe(), Pipe())
        (other.standardInput, other.standardOutput) = (input, output)
        try other.run()
        let begin = "PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE; SELECT 'locked';\n"
        try input.fileHandleForWriting.write(contentsOf: Data(begin.utf8))
        var said = ""
        while !said.contains("locked") {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "sqlite3 ended: \(said)")
            said += String(decoding: data, as: UTF8.self)
        }
        try await endure(store, players, "busy") {
            #expect(store.health.causes.contains { $0.contains("tries") })
            try input.fileHandleForWriting.close()
            other.waitUntilExit()
        }
        try await store.close()
    }

    @Test(.enabled(if: WriteProtection.isPossible, "root writes to any file here"))
    func oneThatMayNotBeWrittenIsAClearErrorAtOpeningAndLosesNothing() async throws {
        let directory = TemporaryStore()
        let (store, players) = try await open(directory)
        try await store.close()
        _ = players
        try WriteProtection.set(directory.database, true)
        defer { try? WriteProtection.set(directory.database, false) }
        let error = await storeError { try await directory.open().close() }
        guard case .database(let why)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.lowercased().contains("read"), "\(why)")
        try WriteProtection.set(directory.database, false)
        let (again, rows) = try await open(directory)
        #expect(try await rows.get(50)?.score == 50)
        try await again.close()
    }

    @Test(.enabled(if: WriteProtection.isPossible && geteuid() == 0, "needs root and chattr"))
    func oneThatTurnsReadOnlyWhileItIsOpenIsWaitedFor() async throws {
        let directory = TemporaryStore()
        let (store, players) = try await open(directory)
        let files = ["", "-wal"].map { directory.database + $0 }
        defer { for file in files { try? WriteProtection.set(file, false) } }
        for file in files { try WriteProtection.set(file, true) }
        try await endure(store, players, "the database refuses") {
            for file in files { try WriteProtection.set(file, false) }
        }
        try await store.close()
    }

    private static func mount(_ arguments: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    private static let canMount: Bool = {
        let path = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        defer { rmdir(path) }
        guard geteuid() == 0, mount(["mount", "-t", "tmpfs", "none", path]) else { return false }
        return mount(["umount", path])
    }()

    /// Fills the file system up, to the last page.
    private func fillUp(_ path: String) throws {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        let block = Data(repeating: 1, count: 4096)
        while (try? handle.write(contentsOf: block)) != nil {}
        try handle.close()
    }

    @Test(.enabled(if: canMount, "needs a file system of its own"))
    func aFullFileSystemRefusesWritesAndHealsWithSpace() async throws {
        let directory = TemporaryStore()
        let path = directory.path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try #require(Self.mount(["mount", "-t", "tmpfs", "-o", "size=24m", "none", path]))
        // Lazily: the thread that closed the store may hold its memory for a moment more.
        defer { #expect(Self.mount(["umount", "--lazy", path])) }
        try await fillUpAndMakeRoom(directory, path)
    }

    private func fillUpAndMakeRoom(_ directory: TemporaryStore, _ path: String) async throws {
        let (store, players) = try await open(directory)
        try fillUp(path + "/ballast")
        var taken = 100
        var refusal: StoreError?
        let ended = await eventually {
            do throws(StoreError) {
                try players.put(Player(id: taken, name: UUID().uuidString, score: taken))
                taken += 1
            } catch {
                refusal = error
            }
            return refusal != nil
        }
        #expect(ended)
        guard case .diskFull? = refusal else {
            Issue.record("\(String(describing: refusal)) after \(taken)")
            return
        }
        #expect(store.health.verdict >= .degraded)
        #expect(try await players.get(taken - 1)?.score == taken - 1, "reads go on")
        try FileManager.default.removeItem(atPath: path + "/ballast")
        let heals = await eventually {
            (try? players.put(Player(id: taken, name: "after", score: taken))) != nil
        }
        #expect(heals)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let ids = try await store.database.read {
            try Int.fetchAll($0, sql: "SELECT score FROM player ORDER BY id")
        }
        #expect(ids == Array(0...taken))
        try await store.close()
    }
}
