import Foundation
import WriteBehind
import WriteBehindInspection

/// The three classic caching patterns under the same load, on a normal database and on a slow one.
///
/// One caller shows events one after the other, and looks the flight up after each.
struct Comparison {
    /// The directory for the databases.
    let directory: String
    let timetable: Timetable
    let screen: Screen

    struct Result {
        var name: String
        var writes = Latencies()
        var lookups = Latencies()
        var elapsed = 0.0
        /// Seconds from the last answer until the database held everything.
        var finishing = 0.0

        var line: String {
            let rate = Double(writes.count) / elapsed
            return Text.row(
                name,
                [rate < 100 ? Text.threeDigits(rate) : Text.count(Int(rate))]
                    + writes.percentiles().prefix(2) + [lookups.percentiles()[0]])
        }
    }

    /// The extra time of a slow database for every write, in seconds.
    static let delay = 0.05
    /// The highest number of events that are shown, and the longest time that a pattern is measured, in seconds.
    private static let limit = 20_000
    private static let patience = 1.5

    func run(delay: Double) async throws -> [Result] {
        let store =
            try await delay > 0
            ? SlowStore.open(at: path("store", delay), delay: delay)
            : Store(at: path("store", delay))
        return [
            try await measure("write-behind (this store)", WriteBehindPattern(board: Board(store))),
            try await measure("write-through", databaseFirst(.written, delay)),
            try await measure("cache-aside", databaseFirst(.dropped, delay)),
        ]
    }

    private func databaseFirst(
        _ cached: DatabaseFirst.Cached, _ delay: Double
    ) throws -> DatabaseFirst {
        let path = path("\(cached).sqlite", delay)
        return DatabaseFirst(try PlainDatabase(path: path, delay: delay), cached)
    }

    private func path(_ name: String, _ delay: Double) -> String {
        "\(directory)/\(delay > 0 ? "slow" : "fast")-\(name)"
    }

    private func measure(_ name: String, _ pattern: some CachingPattern) async throws -> Result {
        var pattern = pattern
        var result = Result(name: name)
        let clock = ContinuousClock()
        let start = clock.now
        for (index, event) in timetable.events.prefix(Self.limit).enumerated() {
            let facts = timetable.facts(event)
            let before = clock.now
            try await pattern.show(event, of: facts)
            let shown = clock.now
            _ = try await pattern.lookUp(facts.key)
            let found = clock.now
            result.writes.add(before.duration(to: shown))
            result.lookups.add(shown.duration(to: found))
            result.elapsed = start.duration(to: found).seconds
            if result.elapsed > Self.patience { break }
            guard index % 256 == 0 || before.duration(to: shown) > .milliseconds(10) else {
                continue
            }
            let share = max(Double(index) / Double(Self.limit), result.elapsed / Self.patience)
            screen.progress("comparing", share, name)
        }
        let last = clock.now
        try await pattern.finish()
        result.finishing = last.duration(to: clock.now).seconds
        screen.progress("", nil)
        return result
    }
}
