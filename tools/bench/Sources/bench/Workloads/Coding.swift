import WriteBehind

extension Workload {
    /// PC: the part of a put and of a get that the struct's own code takes. A row here is a hundred structs, so the rest of
    /// the call counts only a hundredth.
    static let coding = Workload(
        id: "PC", title: "encoding six columns of a @Table struct; decoding below",
        contenders: [.writebehind], survives: "-", result: .figure("encoded", "ns")
    ) { _, setting in
        let peer = try StorePeer(setting.directory)
        let rows = try peer.store.table(Hundred.self)
        // 24 characters, which a string cannot hold inline.
        var row = Hundred(player: Player(7))
        row.player.name = "a player's very long name"
        let rounds = 2_000
        var figures: [String: Double] = [:]
        func measure(_ name: String, _ body: () throws -> Void) rethrows {
            var best = UInt64.max
            for _ in 0..<20 {
                let start = nanoseconds()
                for _ in 0..<rounds / 20 { try body() }
                best = min(best, nanoseconds() - start)
            }
            figures[name] = Double(best) / Double(rounds / 20 * Hundred.count)
        }
        let clock = Stopwatch()
        try measure("encoded") { try rows.put(row) }
        try measure("decoded") {
            guard try rows.cached(1)?.player.score == 7 else {
                throw PeerError("get", "the row is not there")
            }
        }
        var result = clock.stop(operations: 2 * rounds)
        result.more = figures
        try await peer.close()
        return result
    }
}

/// A hundred times the same struct, under one key.
private struct Hundred: TableRow {
    static let count = 100
    typealias Key = Int
    static let schema = TableSchema(
        "hundred",
        [.key("key", .integer)]
            + (0..<count).flatMap { number in
                Player.schema.columns.map {
                    ColumnSchema.column("\($0.name)\(number)", $0.type, nullable: $0.isNullable)
                }
            })

    var player: Player

    init(player: Player) { self.player = player }

    init(from decoder: inout RowDecoder) throws {
        _ = try decoder.decode(Int.self)
        player = try Player(from: &decoder)
        for _ in 1..<Self.count { player = try Player(from: &decoder) }
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(1)
        for _ in 0..<Self.count { player.encode(to: &encoder) }
    }
}
