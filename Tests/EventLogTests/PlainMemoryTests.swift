import EventLog
import TestSupport
import Testing

/// Where a shared mapping is impossible, the buffer is plain memory and the staging file only a marker.
@Suite struct PlainMemoryTests {
    private func made() throws -> LogHarness {
        let harness = LogHarness(options: .small)
        harness.disk.supportsSharedMapping = false
        try harness.open()
        return harness
    }

    @Test func writesWorkAndSayThatTheyDoNotSurviveAKill() throws {
        let harness = try made()
        #expect(harness.log?.survivesProcessDeath == false)
        for _ in 0..<200 {
            while try !harness.append() { harness.flush() }
        }
        harness.makeDurable()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.disk.count(of: .map) == 0)
    }

    @Test func aKillLosesOnlyWhatWasNotFlushedAndIsNoticed() throws {
        let harness = try made()
        try harness.append(commits: 10)
        harness.makeDurable()
        try harness.append(commits: 3)
        harness.crash(.process)
        let log = try harness.open()
        #expect(log.recovery.wasUnclean)
        #expect(try harness.fault(mayLoseUnsynced: true) == nil)
        #expect(harness.appended.count == 10)
    }

    @Test func aCleanEndIsToldFromAnUncleanOne() throws {
        let harness = try made()
        let marker = try #require(harness.disk.readAll(LogHarness.layout.staging))
        let header = try StagingHeader(decoding: marker.span)
        #expect(marker.count == StagingHeader.byteCount)
        #expect(header.slotCount == 0)
        try harness.append(commits: 3)
        try harness.close()
        #expect(harness.disk.readAll(LogHarness.layout.staging) == nil)
        #expect(try harness.open().recovery.wasUnclean == false)
        harness.crash(.process)
        #expect(try harness.open().recovery.wasUnclean)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func theMarkerTellsFollowersHowFarTheLogIsDurable() throws {
        let harness = try made()
        try harness.append(commits: 7)
        harness.makeDurable()
        let marker = try #require(harness.disk.readAll(LogHarness.layout.staging))
        #expect(marker[64] == 7)
    }
}
