import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// What a restore from backup, a half-done copy or a hasty `cp` leaves: each file of a store, and each pair of them, of
/// another age than the rest. The store is what its log says, or it names what is wrong; it is never silently mixed.
///
/// In the normal run every 11th mixture; with `EXHAUSTIVE` set in the environment, every one.
@Suite struct OlderFilesTests {
    @Test func filesOfDifferentAgesAreOneHistoryOrNamed() async throws {
        let lives = try await Lives()
        let isExhaustive = ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil
        let mixtures = lives.mixtures
        try #require(mixtures.count > 200, "\(mixtures.count)")
        for (number, mixture) in mixtures.enumerated() where isExhaustive || number % 11 == 0 {
            if let fault = try await lives.fault(of: mixture) {
                Issue.record("\(mixture): \(fault)")
            }
        }
    }
}

/// A store through several lives, copied at moments of them, with what each record of the log made of its rows.
private final class Lives {
    /// A copy of the store's directory at a moment.
    struct Moment {
        let name: String
        let files: TemporaryStore
        /// Everything through this sequence was acknowledged.
        let end: UInt64

        /// The files, relative to the store's directory. A lock has no content, and the identity never changes.
        var paths: Set<String> {
            let all = FileManager.default.enumerator(atPath: files.path)?.allObjects as? [String]
            let isFile = { (path: String) in
                var isDirectory: ObjCBool = false
                return FileManager.default.fileExists(
                    atPath: self.files.path + "/" + path, isDirectory: &isDirectory)
                    && !isDirectory.boolValue
            }
            return Set((all ?? []).filter { isFile($0) && $0 != "LOCK" && $0 != "store.json" })
        }

        func content(_ path: String) -> Data? {
            FileManager.default.contents(atPath: files.path + "/" + path)
        }
    }

    /// All files of one moment, but some of another.
    struct Mixture: CustomStringConvertible {
        let base: Moment
        let other: Moment
        let replaced: [String]

        var description: String {
            "\(base.name), but \(replaced.joined(separator: " and ")) of: \(other.name)"
        }
    }

    /// So many that they are on several pages of the database.
    private static let keyCount = 60

    private let live = TemporaryStore()
    private var moments: [Moment] = []
    /// The rows after each record, by its sequence.
    private var states: [[Int: Player]] = [[:]]

    init() async throws {
        var store = try open(live)
        try await write(store, 70, .materialized)
        try keep("open, all in the database")
        // Then the WAL begins again, and holds a part of the pages.
        try live.user("PRAGMA wal_checkpoint(TRUNCATE)")
        try await write(store, 5, .materialized)
        try keep("open, after a checkpoint")
        try await write(store, 30, .durable)
        try keep("open, the database is behind")
        try await store.close()
        try keep("closed")
        store = try open(live)
        try await write(store, 30, .materialized)
        _ = try await store.snapshot()
        try await write(store, 30, .durable)
        try keep("open again, with a snapshot")
        try await store.close()
        try keep("closed again")
    }

    private func open(_ directory: TemporaryStore) throws -> Store {
        try directory.open {
            $0.stagingSlots = 2
            $0.stagingSlotSize = 8 << 10
            $0.segmentSize = 4 << 10
            $0.blockSize = 1 << 10
            $0.cacheLimit = 8 << 20
            $0.readers = 1
            $0.syncInterval = .seconds(3600)
            $0.materializeInterval = .seconds(3600)
            $0.snapshotAfter = nil
        }
    }

    /// Puts, updates and deletes, and waits for the last.
    private func write(_ store: Store, _ count: Int, _ stage: Stage) async throws {
        let players = try store.table(Player.self)
        // The definition.
        if states.count == 1 { states.append([:]) }
        for _ in 0..<count {
            var rows = states[states.count - 1]
            let number = states.count
            let id = number % Self.keyCount
            if number % 11 == 0 {
                rows[id] = nil
                try players.delete(id)
            } else if number % 3 == 0, let row = rows[id] {
                rows[id]?.score = row.score + 1000
                _ = try await players.update(id) { $0.score += 1000 }
            } else {
                let name = (0..<4).map { _ in UUID().uuidString }.joined()
                let row = Player(id: id, name: name, score: number)
                rows[id] = row
                try players.put(row)
            }
            states.append(rows)
        }
        try await store.waitForAll(stage, timeout: .hang)
        try #require(store.health.lag.staged == UInt64(states.count - 1))
    }

    private func keep(_ name: String) throws {
        let copy = TemporaryStore()
        try FileManager.default.copyItem(atPath: live.path, toPath: copy.path)
        moments.append(Moment(name: name, files: copy, end: UInt64(states.count - 1)))
    }

    /// One file of another moment, or two, wherever that makes a difference.
    var mixtures: [Mixture] {
        moments.flatMap { base in
            moments.flatMap { other -> [Mixture] in
                let differing = base.paths.union(other.paths).sorted().filter {
                    base.content($0) != other.content($0)
                }
                return differing.indices.flatMap { first in
                    [Mixture(base: base, other: other, replaced: [differing[first]])]
                        + differing[(first + 1)...].map {
                            Mixture(base: base, other: other, replaced: [differing[first], $0])
                        }
                }
            }
        }
    }

    /// The fault in how a mixture was read; nil if it is one history, or refused by name.
    func fault(of mixture: Mixture) async throws -> String? {
        let directory = TemporaryStore()
        try FileManager.default.copyItem(atPath: mixture.base.files.path, toPath: directory.path)
        for path in mixture.replaced {
            let target = directory.path + "/" + path
            try? FileManager.default.removeItem(atPath: target)
            guard let content = mixture.other.content(path) else { continue }
            try content.write(to: URL(filePath: target))
        }
        let isGood = try? LogVerification(StoreInspection(path: directory.path)).worst != .corrupt
        let store: Store
        do {
            store = try open(directory)
        } catch let error as StoreError {
            return isGood == true ? "verify passes what cannot be opened: \(error)" : nil
        }
        let isWritable = store.health.verdict != .failed
        var fault: String?
        if isGood != isWritable {
            fault = "verify finds it \(isGood == true ? "good" : "bad"), \(store.health)"
        }
        if isWritable { fault = try await faultOfRows(store, mixture) ?? fault }
        try await store.close()
        guard isWritable, fault == nil else { return fault }
        let closed = try StoreInspection(path: directory.path)
        let plan = try RecoveryPlan(closed, jobs: 1, progress: { _ in }, differs: { _, _ in })
        return plan.isNeeded ? "closed, it needs to be recovered: \(plan.steps)" : nil
    }

    private func faultOfRows(_ store: Store, _ mixture: Mixture) async throws -> String? {
        let end = store.health.lag.staged
        // A log of an older moment has no trace of a later one, unless a file of that is there.
        let newest = max(mixture.base.end, mixture.other.end)
        let oldest = min(mixture.base.end, mixture.other.end)
        guard end <= newest else { return "it ends at #\(end), written was #\(newest)" }
        guard end >= oldest else { return "it ends at #\(end), written was #\(oldest) at least" }
        if mixture.base.end == newest, end < newest, !mixture.replaced.contains(where: isOfTheLog) {
            return "it ends at #\(end), written was #\(newest)"
        }
        let right = states[Int(end)]
        let players = try store.table(Player.self)
        for id in 0..<Self.keyCount {
            let found = try await players.get(id)
            if found != right[id] { return "\(id) reads as \(found as Any)" }
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        let rows = try await store.database.read { db in
            try Row.fetchAll(db, sql: "SELECT id, name, score FROM player ORDER BY id").map {
                Player(id: $0[0], name: $0[1], score: $0[2])
            }
        }
        let expected = right.values.sorted { $0.id < $1.id }
        return rows == expected ? nil : "the database holds \(rows as Any), not \(expected)"
    }

    private func isOfTheLog(_ path: String) -> Bool {
        path.hasPrefix("log/") || path == "staging"
    }
}
