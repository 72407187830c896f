import Foundation
import Synchronization

extension Workload {
    /// P6: how long a caller waits for a write if a transaction of the database takes 50 ms.
    static let patterns = Workload(
        id: "P6", title: "caller's wait, database of 50 ms a transaction",
        contenders: [.writebehindLive, .writeThrough, .cacheAside], survives: "-"
    ) { contender, setting in
        let dataset = Dataset(count: min(setting.count, 100_000))
        var setting = setting
        setting.seconds = min(setting.seconds, 3)
        if contender != .writebehindLive {
            let pattern = try DatabaseFirst(setting.directory, keeps: contender == .writeThrough)
            return measurePuts(pattern, dataset, dataset.order(hot: true), setting, every: 1)
        }
        let peer = try StorePeer(setting.directory, materializes: true)
        let busy = BusyDatabase(setting.directory + "/store/database.sqlite")
        let result = measurePuts(peer, dataset, dataset.order(hot: true), setting, every: 1)
        busy.stop()
        try await peer.close()
        return result
    }
}

/// A connection that runs transactions of 50 ms, one after the other. Other writers wait for them.
///
/// `@unchecked Sendable`: the fields are set once.
private final class BusyDatabase: @unchecked Sendable {
    private let isOver = Atomic<Bool>(false)
    private let ended = DispatchSemaphore(value: 0)

    init(_ path: String) {
        let thread = Thread { [self] in
            do {
                let database = try SQLite(opening: path)
                while !isOver.load(ordering: .relaxed) {
                    try? database.execute("BEGIN IMMEDIATE")
                    usleep(50_000)
                    try? database.execute("ROLLBACK")
                    usleep(500)
                }
                database.close()
            } catch {
                end(error)
            }
            ended.signal()
        }
        thread.start()
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
        ended.wait()
    }
}

/// Write-through and cache-aside: a write waits for the database, then the cache keeps the row or drops it.
///
/// `@unchecked Sendable`: used by one thread.
private final class DatabaseFirst: Peer, Session, @unchecked Sendable {
    private let database: SQLite
    private let session: SQLiteSession
    private let keeps: Bool
    private var cache: [[UInt8]: [UInt8]] = [:]

    init(_ directory: String, keeps: Bool) throws {
        database = try SQLite(directory, .normal)
        session = try SQLiteSession(database)
        self.keeps = keeps
    }

    func session(durable: Bool) -> any Session { self }

    func put(_ key: Bytes, _ value: Bytes) throws {
        try database.execute("BEGIN IMMEDIATE")
        try session.put(key, value)
        usleep(50_000)
        try database.execute("COMMIT")
        cache[[UInt8](key)] = keeps ? [UInt8](value) : nil
    }

    func get(_ key: Bytes) throws -> Int? {
        if let value = cache[[UInt8](key)] { return value.count }
        return try session.get(key)
    }

    func close() { database.close() }
}
