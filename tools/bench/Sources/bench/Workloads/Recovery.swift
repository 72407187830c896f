import Foundation
import WriteBehind

extension Workload {
    /// P4: opening after `kill -9` with all records in the log.
    static let recovery = Workload(
        id: "P4", title: "open after kill -9, all records in the log",
        contenders: [.writebehind, .rocksdb, .leveldb, .redis]
    ) { contender, setting in
        #if canImport(CHiredis)
            if contender == .redis { return try await measureRedis(setting) }
        #endif
        if ProcessInfo.processInfo.environment["BENCH_LOADS"] != nil {
            try load(open(contender, setting), setting)
            kill(getpid(), SIGKILL)
        }
        try loadInChild(contender, setting)
        let clock = Stopwatch()
        let peer = try open(contender, setting)
        let result = clock.stop(operations: setting.count)
        try await check(peer, setting)
        try await peer.close()
        return result
    }

    private static func open(_ contender: Contender, _ setting: Setting) throws -> any Peer {
        try contender.open(setting.directory, durable: false, keys: setting.count, keepsLog: true)
    }

    private static func load(_ peer: any Peer, _ setting: Setting) throws {
        let dataset = Dataset(count: setting.count)
        let session = try peer.session(durable: false)
        for index in 0..<dataset.count { try session.put(dataset.key(index), dataset.value(index)) }
        try session.finish()
    }

    private static func check(_ peer: any Peer, _ setting: Setting) async throws {
        let dataset = Dataset(count: setting.count)
        let session = try peer.session(durable: false)
        for index in stride(from: 0, to: dataset.count, by: 997) {
            let key = dataset.key(index)
            var found = try session.get(key)
            // With so many records, opening may have brought some into the database and removed them from memory.
            if found == nil, let store = peer as? StorePeer {
                found = try await store.table.get(String(decoding: key, as: UTF8.self))?.value.count
            }
            guard found == 100 else { throw PeerError("recovery", "record \(index) is lost") }
        }
    }

    private static func loadInChild(_ contender: Contender, _ setting: Setting) throws {
        let child = try ChildRun(
            workload: "P4", contender, setting, environment: ["BENCH_LOADS": "1"])
        guard child.wait() == SIGKILL else {
            throw PeerError(contender.rawValue, "was not killed while loading")
        }
    }

    #if canImport(CHiredis)
        /// Redis is a server: it is killed and started again, until it answers.
        private static func measureRedis(_ setting: Setting) async throws -> Measurement {
            let first = try Redis(setting.directory, .everySecond, pipeline: 32)
            try load(first, setting)
            first.kill()
            let clock = Stopwatch()
            let second = try Redis(setting.directory, .everySecond)
            let result = clock.stop(operations: setting.count)
            try await check(second, setting)
            second.close()
            return result
        }
    #endif
}
