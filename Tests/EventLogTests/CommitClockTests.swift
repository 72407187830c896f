import EventLog
import TestSupport
import Testing

/// Time that stands still between its ticks, and whose exact readings are counted.
private final class CountedTime: TimeSource {
    private let readings = Locked(0)
    let tick: UInt64

    init(tick: UInt64) { self.tick = tick }

    var count: Int { readings.withLock { $0 } }
    func wallMilliseconds() -> UInt64 { tick }
    func wallMillisecondsNow() -> UInt64 {
        readings.withLock { $0 += 1 }
        return tick + 3
    }
    func monotonicNanoseconds() -> UInt64 { 0 }
}

@Suite struct CommitClockTests {
    /// What is written one by one is timed exactly; among thousands in a tick few are, so that timing costs nothing.
    @Test(arguments: [(1, 1), (256, 256), (257, 256), (288, 257), (10_000, 560)])
    func theFirstOfATickAreTimedExactlyAndFewOfTheOthers(commits: Int, exact: Int) {
        var clock = CommitClock()
        for tick in [UInt64(1000), 1004] {
            let time = CountedTime(tick: tick)
            var last: UInt64 = 0
            for _ in 0..<commits { last = max(last, clock.time(of: time, at: tick)) }
            #expect(time.count == exact)
            #expect(last == tick + 3)
        }
    }
}
