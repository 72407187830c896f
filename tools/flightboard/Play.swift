import Foundation
import Synchronization
import WriteBehind

/// Plays all events on a board. Other tasks look up flights and measure how far the database is behind.
struct Play {
    let board: Board
    let timetable: Timetable
    let screen: Screen

    /// The measurements.
    struct Result: Sendable {
        var elapsed = 0.0
        /// Rows written, including those of the counters.
        var rows: UInt64 = 0
        var puts = Latencies()
        var updates = Latencies()
        var transactions = Latencies()
        var lookups = Lookups()
        var peakRecords: UInt64 = 0
        var peakSeconds = 0.0
        /// Seconds from the last write until the database had it.
        var catchUp = 0.0
        var lagAtEnd: UInt64 = 0
    }

    /// How many events are on the board. Readers ask only for those.
    private let shown = Progress()

    func run() async throws -> Result {
        var result = Result()
        try await withThrowingTaskGroup(of: Lookups.self) { group in
            for reader in 0..<4 {
                group.addTask { try await look(seed: UInt64(reader + 1)) }
            }
            async let lag = watch()
            do {
                try await write(into: &result)
            } catch {
                shown.finish()
                throw error
            }
            shown.finish()
            (result.peakRecords, result.peakSeconds) = await lag
            for try await lookups in group { result.lookups.add(lookups) }
        }
        screen.progress("", nil)
        return result
    }

    private func write(into result: inout Result) async throws {
        let clock = ContinuousClock()
        let before = board.store.health.lag.staged
        let start = clock.now
        for (index, event) in timetable.events.enumerated() {
            let began = clock.now
            try await board.show(event, of: timetable.facts(event))
            let took = began.duration(to: clock.now)
            switch event.kind {
            case .scheduled: result.puts.add(took)
            case .delayed: result.updates.add(took)
            case .departed, .arrived, .cancelled: result.transactions.add(took)
            }
            shown.advance(to: index + 1)
        }
        let end = clock.now
        result.elapsed = start.duration(to: end).seconds
        // Every changed row is one record of the log.
        result.rows = board.store.health.lag.staged - before
        try await board.store.waitForAll(.materialized, timeout: .seconds(600))
        result.catchUp = end.duration(to: clock.now).seconds
        result.lagAtEnd = board.store.health.lag.records
    }

    /// Looks up flights that are on the board, about ten thousand a second, until all events are played.
    private func look(seed: UInt64) async throws -> Lookups {
        var lookups = Lookups()
        var random = SplitMix(state: seed)
        let clock = ContinuousClock()
        while !shown.isFinished {
            let limit = shown.count
            for _ in 0..<(limit == 0 ? 0 : 50) {
                let event = timetable.events[Int.random(in: 0..<limit, using: &random)]
                let before = clock.now
                let row = try await board.flights.get(timetable.key(event))
                lookups.add(row, after: event, before.duration(to: clock.now))
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        return lookups
    }

    /// Measures the database's lag, and moves the progress bar. Returns the peaks.
    private func watch() async -> (records: UInt64, seconds: Double) {
        var peak = (records: UInt64(0), seconds: 0.0)
        let start = ContinuousClock.now
        while !shown.isFinished {
            let lag = board.store.health.lag
            peak = (max(peak.records, lag.records), max(peak.seconds, lag.seconds))
            let count = shown.count
            let rate = Double(count) / start.duration(to: .now).seconds
            screen.progress(
                "playing", Double(count) / Double(timetable.events.count),
                "\(Text.count(count)) events, \(Text.count(Int(rate)))/s")
            try? await Task.sleep(for: .milliseconds(20))
        }
        return peak
    }
}

/// The readers' findings.
struct Lookups: Sendable {
    var latencies = Latencies()
    /// Rows that were not there, or older than an event shown before they were asked for.
    var stale = 0

    mutating func add(_ row: Flight?, after event: FlightEvent, _ took: Duration) {
        latencies.add(took)
        if row.map({ $0.status.order < event.status.order }) ?? true { stale += 1 }
    }

    mutating func add(_ other: Lookups) {
        latencies.add(other.latencies)
        stale += other.stale
    }
}

extension Flight.Status {
    /// The order of states: a flight's status only moves up.
    fileprivate var order: Int {
        switch self {
        case .scheduled: 0
        case .delayed: 1
        case .departed: 2
        case .arrived, .cancelled: 3
        }
    }
}

/// How many events have been played.
private final class Progress: Sendable {
    private let played = Atomic<Int>(0)
    private let ended = Atomic<Bool>(false)

    var count: Int { played.load(ordering: .acquiring) }
    var isFinished: Bool { ended.load(ordering: .acquiring) }

    func advance(to count: Int) { played.store(count, ordering: .releasing) }
    func finish() { ended.store(true, ordering: .releasing) }
}

/// A small generator with a seed, so that a demo can be run again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
