import EventLog
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// A store notices any change to its files while it is open before it says `durable`, and never writes into
/// files that are no longer its own.
@Suite struct FencingTests {
    /// The deeds of an operator on a running store.
    enum Deed: String, CaseIterable {
        case removesLOCK, replacesLOCK, movesTheStore, deletesTheStore
        case movesItAndRestoresABackup, movesItAndPutsALinkThere
        case removesStaging, replacesStaging, removesTheLastSegment, replacesTheLastSegment
        case replacesTheLog, restoresOverTheLastSegment

        func perform(on store: String, backup: String) throws {
            let files = FileManager.default
            let segment = "\(store)/log/00000000000000000001.zst"
            func replace(_ path: String) throws {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                try files.removeItem(atPath: path)
                try bytes.write(to: URL(fileURLWithPath: path))
            }
            switch self {
            case .removesLOCK: try files.removeItem(atPath: store + "/LOCK")
            case .replacesLOCK: try replace(store + "/LOCK")
            case .movesTheStore: try files.moveItem(atPath: store, toPath: store + ".moved")
            case .deletesTheStore: try files.removeItem(atPath: store)
            case .movesItAndRestoresABackup:
                try files.moveItem(atPath: store, toPath: store + ".moved")
                try files.copyItem(atPath: backup, toPath: store)
            case .movesItAndPutsALinkThere:
                try files.moveItem(atPath: store, toPath: store + ".moved")
                try files.createSymbolicLink(
                    atPath: store, withDestinationPath: store + ".moved")
            case .removesStaging: try files.removeItem(atPath: store + "/staging")
            case .replacesStaging: try replace(store + "/staging")
            case .removesTheLastSegment: try files.removeItem(atPath: segment)
            case .replacesTheLastSegment: try replace(segment)
            case .replacesTheLog:
                try files.moveItem(atPath: store + "/log", toPath: store + "/log.moved")
                try files.copyItem(atPath: store + "/log.moved", toPath: store + "/log")
            case .restoresOverTheLastSegment:
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: segment))
                try handle.truncate(atOffset: 4)
                try handle.close()
            }
        }
    }

    /// A parent directory with the store and a backup of it in it.
    private struct Place {
        let parent = TemporaryStore()
        var store: String { parent.path + "/store" }
        var backup: String { parent.path + "/backup" }

        init() throws {
            try FileManager.default.createDirectory(
                atPath: parent.path, withIntermediateDirectories: true)
        }

        func open() throws -> Store {
            var configuration = StoreConfiguration.forTools
            // Nothing is synced but what a test waits for.
            configuration.syncInterval = .seconds(1000)
            return try Store(at: store, configuration: configuration)
        }

        /// Another program's SQL in the database.
        func user(_ sql: String) throws {
            let queue = try DatabaseQueue(path: store + "/database.sqlite")
            try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
            try queue.close()
        }

        /// All that is below a directory, by its path.
        static func contents(of directory: String) throws -> [String: Data] {
            var found: [String: Data] = [:]
            for name in try FileManager.default.subpathsOfDirectory(atPath: directory) {
                found[name] = FileManager.default.contents(atPath: directory + "/" + name) ?? Data()
            }
            return found
        }
    }

    @Test(arguments: Deed.allCases, [Stage.durable, .materialized])
    func aStoreWhoseFilesWereTakenAwayRefusesBeforeItSaysDurable(
        deed: Deed, stage: Stage
    ) async throws {
        let place = try Place()
        let store = try place.open()
        let players = try store.table(Player.self)
        let first = try players.put(Player(id: 1, name: "before"))
        try await store.wait(for: .materialized, first)
        try FileManager.default.copyItem(atPath: place.store, toPath: place.backup)
        try deed.perform(on: place.store, backup: place.backup)
        let there = FileManager.default.fileExists(atPath: place.store)
        let before = there ? try Place.contents(of: place.store) : [:]

        let refused = await storeError {
            try await store.wait(for: stage, try players.put(Player(id: 2, name: "after")))
        }
        #expect(refused?.isFence == true, "\(String(describing: refused))")
        #expect(await storeError { try players.put(Player(id: 3, name: "x")) }?.isFence == true)
        #expect(store.health.verdict == .failed)
        #expect(try await players.get(1)?.name == "before")
        if store.health.lag.records > 0 {
            let waiting = await storeError {
                try await store.waitForAll(.materialized, timeout: .seconds(60))
            }
            #expect(waiting?.isFence == true, "\(String(describing: waiting))")
        }
        #expect(await storeError { try await store.close(deadline: .zero) }?.isFence == true)
        // The files there now are not the store's, so nothing of them was touched.
        if deed == .movesItAndRestoresABackup {
            #expect(try Place.contents(of: place.store) == before)
        }
    }

    /// The database is opened already, so its transaction would succeed: beside another store's, or in a backup.
    @Test(arguments: [Deed.replacesLOCK, .movesTheStore, .movesItAndRestoresABackup])
    func whatIsInQuarantineIsNotRetriedElsewhere(deed: Deed) async throws {
        let place = try Place()
        let store = try place.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try place.user("CREATE UNIQUE INDEX one_name ON player (name)")
        try players.put(Player(id: 1, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try place.user("DROP INDEX one_name")
        try FileManager.default.copyItem(atPath: place.store, toPath: place.backup)
        let database = try store.database
        func count() async throws -> Int? {
            // On the connection of the first call: no other is opened any more.
            try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM player") }
        }
        #expect(try await count() == 1)
        try deed.perform(on: place.store, backup: place.backup)
        let refused = await storeError { try await store.quarantine.retry() }
        #expect(refused?.isFence == true, "\(String(describing: refused))")
        #expect(store.health.quarantined == 1)
        #expect(try await count() == 1, "nothing is changed")
        #expect(await storeError { try await store.close(deadline: .zero) }?.isFence == true)
    }

    @Test(arguments: [Deed.removesLOCK, .replacesLOCK, .removesStaging])
    func withoutItsLOCKASecondWriterIsRefusedAsWell(deed: Deed) async throws {
        let place = try Place()
        let store = try place.open()
        let players = try store.table(Player.self)
        let first = try players.put(Player(id: 1, name: "one"))
        try await store.wait(for: .materialized, first)
        try deed.perform(on: place.store, backup: place.backup)
        #expect {
            _ = try place.open()
        } throws: {
            if case StoreError.alreadyOpen(let path) = $0 { path == place.store } else { false }
        }
        #expect(await storeError { try await store.close() }?.isFence == true)
        // Durable writes are there for the next writer.
        let next = try place.open()
        #expect(try await next.table(Player.self).get(1)?.name == "one")
        try await next.close()
    }

    @Test func anotherProcesssLockOnTheDirectoryAloneRefusesAWriter() async throws {
        let place = try Place()
        try await place.open().close()
        let other = Process()
        other.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        other.arguments = ["-x", place.store, "cat"]
        let input = Pipe()
        other.standardInput = input
        try other.run()
        var refusal: StoreError?
        let isRefused = try await eventually {
            do {
                try await place.open().close()
            } catch let error as StoreError {
                refusal = error
            }
            return refusal != nil
        }
        #expect(isRefused)
        guard case .locked? = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        try input.fileHandleForWriting.close()
        other.waitUntilExit()
        try await place.open().close()
    }

    @Test func anIdleStoreSaysItselfThatItWasMoved() async throws {
        let place = try Place()
        let store = try place.open()
        try Deed.movesTheStore.perform(on: place.store, backup: place.backup)
        #expect(await eventually(within: 60) { store.health.verdict == .failed })
        #expect(store.health.causes.contains { $0.contains(place.store) })
        #expect(await storeError { try await store.close() }?.isFence == true)
    }

    @Test func aMovedStoreThatIsClosedAndOpenedWhereItIsNowGoesOn() async throws {
        let place = try Place()
        let store = try place.open()
        let first = try store.table(Player.self).put(Player(id: 1, name: "one"))
        try await store.wait(for: .durable, first)
        try Deed.movesTheStore.perform(on: place.store, backup: place.backup)
        _ = await storeError { try await store.close() }
        let moved = try await Store(at: place.store + ".moved")
        #expect(try await moved.table(Player.self).get(1)?.name == "one")
        try await moved.close()
    }

    /// As root, on the store of a service's user, as an operator does.
    @Test(.enabled(if: geteuid() == 0))
    func whatRootMakesInAStoreBelongsToTheStoresOwner() async throws {
        let place = try Place()
        try FileManager.default.createDirectory(
            atPath: place.store, withIntermediateDirectories: true)
        try #require(chown(place.store, 12345, 54321) == 0)
        let store = try place.open()
        let receipt = try store.table(Player.self).put(Player(id: 1, name: "one"))
        try await store.wait(for: .materialized, receipt)
        _ = try await store.snapshot()
        let names = try FileManager.default.subpathsOfDirectory(atPath: place.store)
        #expect(names.contains("staging") && names.contains("database.sqlite-wal"))
        for name in names {
            var status = stat()
            #expect(lstat(place.store + "/" + name, &status) == 0)
            #expect(status.st_uid == 12345 && status.st_gid == 54321, "\(name)")
        }
        try await store.close()
    }

    @Test(arguments: ["notes.txt", ".profile", "staging", "database.sqlite"])
    func aDirectoryThatHoldsSomethingElseBecomesNoStoreAndIsLeftAsItWas(name: String) throws {
        let place = try Place()
        try FileManager.default.createDirectory(
            atPath: place.store, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: place.store + "/" + name))
        #expect {
            _ = try place.open()
        } throws: {
            guard case StoreError.notAStore(_, let reason) = $0 else { return false }
            return reason.contains(name)
        }
        #expect(try Place.contents(of: place.store) == [name: Data("mine".utf8)])
    }

    @Test(arguments: [[], ["LOCK"], ["LOCK", "store.json.tmp"]])
    func anEmptyDirectoryAndWhatAKilledCreationLeftBecomeAStore(names: [String]) async throws {
        let place = try Place()
        try FileManager.default.createDirectory(
            atPath: place.store + "/lost+found", withIntermediateDirectories: true)
        for name in names {
            try Data().write(to: URL(fileURLWithPath: place.store + "/" + name))
        }
        try await place.open().close()
    }

    @Test(arguments: ["~", "~/store", "~somebody/store", "$HOME/store", "file:///tmp/store"])
    func aPathThatAShellWouldExpandIsRefusedWithAHint(path: String) {
        #expect {
            _ = try Store(at: path)
        } throws: {
            guard case StoreError.notAStore(let named, let reason) = $0 else { return false }
            return named == path && reason.contains("./")
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}

extension StoreError {
    var isFence: Bool {
        if case .fenced = self { true } else { false }
    }
}
