import ArgumentParser
import Foundation
import WriteBehind

/// The size and cost of the log's blocks in other sizes, levels and layouts.
struct Packing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Packs the blocks of real logs in other sizes, levels and layouts.",
        discussion: """
            The logs are made here: puts of the bench's records, increments of hot rows. Name other \
            stores to measure theirs, such as one that `flightboard --directory` left. Of each log the \
            first bytes are taken.
            """)

    @Argument(help: "Directories of closed stores.")
    var stores: [String] = []
    @Option(help: "How often every way of packing runs, in turn; the median counts.")
    var rounds = 5
    @Option(help: "Records of the logs that are made here; 0 makes none.")
    var count = 200_000
    @Option(help: "Where these logs are made; removed at the end.")
    var directory = "/tmp/writebehind-bench"

    func run() async throws {
        if count > 0 {
            try report("half-compressible values", try await puts(.halfCompressible))
            try report("JSON-like values", try await puts(.json))
            try report("increments of hot rows", try await increments())
        }
        for store in stores { try report(store, try LogCommits(store: store)) }
        print(Machine())
    }

    // MARK: logs

    private func log(
        _ body: (StorePeer) async throws -> Void
    ) async throws -> LogCommits {
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let peer = try StorePeer(directory)
        try await body(peer)
        try await peer.close()
        return try LogCommits(store: directory + "/store")
    }

    private func puts(_ values: Dataset.Values) async throws -> LogCommits {
        let dataset = Dataset(count: count, values: values)
        return try await log { peer in
            let session = peer.session(durable: false)
            for index in 0..<count { try session.put(dataset.key(index), dataset.value(index)) }
        }
    }

    /// Patches of one column only. The puts that make the rows are left out.
    private func increments() async throws -> LogCommits {
        let rows = min(count, Dataset.hotKeys)
        var result = try await log { peer in
            let players = try peer.store.table(Player.self)
            for number in 0..<rows { try players.put(Player(number)) }
            for number in Zipf(keys: rows).draw(count) {
                try await players.increment(Int(number), "score")
            }
        }
        result.removeFirst(result.commits.count - count)
        return result
    }

    // MARK: tables

    private func report(_ title: String, _ log: LogCommits) throws {
        let trials = self.trials(log)
        for _ in 0..<rounds { for trial in trials { try trial.run() } }
        let now = trials[0]
        let (records, raw) = (now.blocks.records, now.blocks.raw)
        print(
            "\n\(title): \(records) records of \((Double(raw) / Double(records)).short) bytes; "
                + "MB/s are of these, on one core")
        print(Self.line(["block, level", "B/record", "x", "pack", "x", "split", "unpack", "x"]))
        for trial in trials {
            let isSplit = trial.name.contains("rows") ? "" : trial.rate(\.splitting).short
            let (pack, unpack) = (trial.rate(\.packing), trial.rate(\.unpacking))
            let cells = [
                trial.name, (Double(trial.bytes) / Double(records)).short,
                (Double(trial.bytes) / Double(now.bytes)).short,
                pack.short, (pack / now.rate(\.packing)).short, isSplit,
                unpack.short, (unpack / now.rate(\.unpacking)).short,
            ]
            print(Self.line(cells))
        }
        print(Self.line(["dictionary", "B/commit", "x", "µs/block"]))
        for commits in [1, 10] { report(LoneBlocks(log, commits: commits), commits) }
        let together = Double(now.bytes) / Double(log.commits.count)
        print(Self.line(["no lone blocks", together.short]))
    }

    /// The store's own way comes first.
    private func trials(_ log: LogCommits) -> [Trial] {
        let blocks = [64, 256, 1024].reduce(into: [:]) { $0[$1] = log.blocks(ofBytes: $1 << 10) }
        let longest = blocks.values.joined().map(\.payload.count).max() ?? 0
        let split = Transposition(isCoarse: true, payloadLimit: longest)
        let columns = Transposition(isCoarse: false, payloadLimit: longest)
        func trial(_ name: String, _ size: Int, _ level: Int, _ way: Transposition?) -> Trial {
            // The sizes in the calls below are among those above.
            Trial("\(name) \(size)k \(level)", blocks[size]!, level: level, way)
        }
        return [1, -5, -1, 3, 6].map { trial("rows", 256, $0, nil) }
            + [64, 1024].map { trial("rows", $0, 1, nil) } + [trial("split", 256, 1, split)]
            + [1, -1, 3].map { trial("columns", 256, $0, columns) }
            + [64, 1024].map { trial("columns", $0, 1, columns) }
    }

    private func report(_ lone: LoneBlocks, _ commits: Int) {
        let kinds = [
            ("none", nil), ("16k trained", lone.trainedDictionary(16 << 10)),
            ("16k plain", lone.plainDictionary(16 << 10)),
        ]
        let none = lone.pack(nil).bytes
        for (name, dictionary) in kinds {
            let packed = lone.pack(dictionary)
            let cells = [
                "\(commits) a block, \(name)",
                (Double(packed.bytes) / Double(lone.blocks.count * commits)).short,
                (Double(packed.bytes) / Double(none)).short,
                (packed.seconds * 1e6 / Double(lone.blocks.count)).short,
            ]
            print(Self.line(cells))
        }
    }

    private static func line(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(1, (index == 0 ? 24 : 9) - cell.count))
            return index == 0 ? cell + padding : padding + cell
        }
        .joined()
    }
}
