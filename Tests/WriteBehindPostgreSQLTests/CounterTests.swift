import TestSupport
import Testing

extension PostgreSQL {
    /// `crashtest counters`, in its short form.
    @Suite struct CounterTests {
        @Test func processesThatAreKilledCountEachAddOnce() throws {
            let result = try Tool.run(
                program: "crashtest",
                ["counters", "--processes", "3", "--adds", "20000", "--rows", "500"])
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("60000 adds to 500 rows, all counted once"), "\(result)")
        }
    }
}
