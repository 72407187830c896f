/// How fast writes come and how fast the database takes them, over the last seconds.
struct RateMeter {
    private struct Sample {
        var time: UInt64
        var staged: UInt64
        var materialized: UInt64
    }

    /// Oldest first.
    private var samples: [Sample] = []
    /// The time over which rates are taken, nanoseconds.
    private static let span: UInt64 = 10_000_000_000

    mutating func note(staged: UInt64, materialized: UInt64, at time: UInt64) {
        // A rebuilt database starts from the beginning.
        if let last = samples.last, materialized < last.materialized { samples = [] }
        samples.removeAll { time - min(time, $0.time) > Self.span }
        samples.append(Sample(time: time, staged: staged, materialized: materialized))
    }

    /// nil before two moments were noted.
    var rates: Health.Rates? {
        guard let first = samples.first, let last = samples.last, last.time > first.time else {
            return nil
        }
        let seconds = Double(last.time - first.time) / 1e9
        let written = Double(last.staged - min(first.staged, last.staged)) / seconds
        let applied = Double(last.materialized - first.materialized) / seconds
        return Health.Rates(
            written: written, applied: applied,
            secondsToCatchUp: Self.seconds(
                for: last.staged - min(last.materialized, last.staged), written, applied))
    }

    private static func seconds(
        for backlog: UInt64, _ written: Double, _ applied: Double
    ) -> Double? {
        if backlog == 0 { return 0 }
        return applied > written ? Double(backlog) / (applied - written) : nil
    }
}
