import EventLog
import Testing

@Suite struct CommitClockTests {
    /// Single writes are timed exactly; among thousands in a tick few are, so that timing costs nothing.
    @Test(arguments: [(1, 1), (256, 256), (257, 256), (288, 257), (10_000, 560)])
    func theFirstOfATickAreTimedExactlyAndFewOfTheOthers(commits: Int, exact: Int) {
        var clock = CommitClock()
        for tick in [UInt64(1000), 1004, 1008] {
            let count = (0..<commits).count { _ in clock.isExact(at: tick) }
            #expect(count == exact)
        }
    }
}
