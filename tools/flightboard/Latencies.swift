/// How long each of many calls took. It keeps all times, so its percentiles are exact.
struct Latencies: Sendable {
    private var nanoseconds: [UInt32] = []

    mutating func add(_ duration: Duration) {
        let parts = duration.components
        let total = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
        nanoseconds.append(UInt32(clamping: total))
    }

    mutating func add(_ other: Latencies) { nanoseconds += other.nanoseconds }

    var count: Int { nanoseconds.count }

    /// The times that 50, 99, 99.9 and 100 percent of the calls stayed within.
    func percentiles() -> [String] {
        guard !nanoseconds.isEmpty else { return ["-", "-", "-", "-"] }
        let sorted = nanoseconds.sorted()
        return [0.5, 0.99, 0.999, 1].map { share in
            let rank = Int((Double(sorted.count) * share).rounded(.up))
            return Text.time(Double(sorted[max(0, rank - 1)]) / 1e9)
        }
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
