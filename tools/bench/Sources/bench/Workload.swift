/// A workload. Each run has its own process, so that only the contender's memory and CPU time count.
struct Workload: Sendable {
    /// Where and how large one run is.
    struct Setting: Codable {
        var directory: String
        /// Records of the full run.
        var count: Int
        /// Seconds after which a slow contender may stop.
        var seconds: Double
        /// Threads or tasks.
        var width: Int
    }

    var id: String
    var title: String
    var contenders: [Contender]
    /// Numbers of threads or tasks to run with.
    var widths = [1]
    /// The failure that an operation survives once it has returned; nil for the one that the contender survives without
    /// syncing.
    var survives: String?
    /// The unit of ``Measurement/perSecond``, or the name of a figure of ``Measurement/more`` that
    /// is the result instead.
    var result = Result.rate

    enum Result: Sendable, Equatable {
        case rate
        /// A figure's name and its unit; smaller is better.
        case figure(String, String)
    }

    var run: @Sendable (Contender, Setting) async throws -> Measurement

    static let all: [Workload] =
        [
            .puts("P1", "put, distinct keys, one thread", hot: false),
            .puts("P1h", "put, hot keys, one thread", hot: true),
            .puts(
                "P1t", "put, distinct keys, several threads", hot: false, widths: [1, 2, 4, 8],
                [.writebehind, .rocksdb, .leveldb, .lmdb]),
            .typedRows, .coding, .allocations, .durable, .waiting, .gets, .dependentGets, .recovery,
            .materialize, .materializeHot, .patterns, .actorGets, .actorIncrements, .actorUpdates,
            .boardPuts, .boardTops, .boardRanks, .besideStream, .delivery, .projection,
            .adds, .addsHot, .addsCold, .addsColdHot, .besideExpiry, .clearBesideMany, .wideTable,
            .refused, .logSize, .logSizeJSON, .memory,
            .soak, .wholeLog,
        ] + postgreSQL
}
