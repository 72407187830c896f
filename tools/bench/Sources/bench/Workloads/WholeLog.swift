import Foundation
import WriteBehind

extension Workload {
    /// P11: work that reads the whole log: a replay into a new database, a comparison with the database, a snapshot.
    static let wholeLog = Workload(
        id: "P11", title: "replay into a new database (rows)",
        contenders: [.writebehind, .upserts], survives: "-"
    ) { contender, setting in
        let dataset = Dataset(count: setting.count)
        if contender == .upserts { return try upsert(dataset, dataset.order(hot: false), setting) }
        let peer = try StorePeer(setting.directory, materializes: true)
        let session = peer.session(durable: false)
        for index in 0..<dataset.count { try session.put(dataset.key(index), dataset.value(index)) }
        try await peer.store.waitForAll(.materialized)
        var more = try await snapshotFigures(peer, dataset)
        try await peer.store.waitForAll(.materialized)
        try await peer.store.close()
        let store = setting.directory + "/store"
        more["verify, MB/s of rows"] =
            Double(dataset.byteCount) / 1e6 / (try tool(["verify", store, "--database"]))
        let clock = Stopwatch()
        _ = try tool(["replay", store, "--into", setting.directory + "/new.sqlite"])
        var result = clock.stop(operations: dataset.count)
        result.more = more
        return result.with(diskIn: setting.directory)
    }

    /// A snapshot's speed, and how much slower a writer is beside it.
    private static func snapshotFigures(
        _ peer: StorePeer, _ dataset: Dataset
    ) async throws -> [String: Double] {
        let sample = min(dataset.count, 300_000)
        // The first pass over clean rows is slower than all later ones.
        _ = try rate(peer, dataset, sample)
        try await peer.store.waitForAll(.materialized)
        // Otherwise the measured time might include a snapshot that the store began by itself.
        try await peer.store.snapshot()
        let alone = try rate(peer, dataset, sample)
        try await peer.store.waitForAll(.materialized)
        let start = nanoseconds()
        async let snapshot = peer.store.snapshot()
        let beside = try rate(peer, dataset, sample)
        _ = try await snapshot
        let seconds = Double(nanoseconds() - start) / 1e9
        return [
            "snapshot, MB/s of rows": Double(dataset.byteCount) / 1e6 / seconds,
            "writer beside a snapshot, % of alone": beside / alone * 100,
        ]
    }

    private static func rate(
        _ peer: StorePeer, _ dataset: Dataset, _ count: Int
    ) throws -> Double {
        let session = peer.session(durable: false)
        let start = nanoseconds()
        for index in 0..<count { try session.put(dataset.key(index), dataset.value(index)) }
        return Double(count) / (Double(nanoseconds() - start) / 1e9)
    }

    /// Runs the command line tool, which `run` builds beside this program. Returns the seconds it took.
    private static func tool(_ arguments: [String]) throws -> Double {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let process = Process()
        process.executableURL = own.deletingLastPathComponent().appending(path: "writebehind")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let start = nanoseconds()
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw PeerError("writebehind \(arguments[0])", "exit \(process.terminationStatus)")
        }
        return Double(nanoseconds() - start) / 1e9
    }
}
