import EventLog
import TestSupport
import Testing

/// Files of another store in the place of one's own, where nothing but the store's name gives them away.
@Suite struct ForeignFilesTests {
    /// Another store, killed with all its commits staged, or closed after several segments.
    private func foreign(closed: Bool) throws -> SimulatedDisk {
        let disk = SimulatedDisk(seed: 3)
        let layout = LogHarness.layout
        for path in [layout.root, layout.log, layout.aside] { try disk.createDirectory(path) }
        let environment = LogEnvironment(
            disk: disk, layout: layout, storeID: StoreID(low: 1, high: 2), time: ManualTime(),
            random: { 7 })
        let log = try Log(opening: environment, options: .tiny, witnesses: [])
        for unique in 1...(closed ? 20 : 3) as ClosedRange<UInt64> {
            let records = LogHarness.records(unique: unique, count: 1, byteCount: 60)
            _ = try records.withUnsafeBytes {
                try log.append($0, count: 1, flags: [], time: 1_700_000_000_000)
            }
            log.flusher?.request(readable: closed ? unique : 0)
            while closed, case .stepAgain = log.flusher?.step() {}
        }
        if closed { try log.close() } else { disk.noteMappedBytes() }
        return disk
    }

    /// A store of one's own in which nothing was ever written.
    private func empty() throws -> LogHarness {
        let harness = LogHarness(options: .tiny)
        try harness.open()
        try harness.close()
        return harness
    }

    @Test func stagedCommitsOfAnotherStoreAreNotTaken() throws {
        let harness = try empty()
        let path = LogHarness.layout.staging
        let staging = try #require(try foreign(closed: false).readAll(path))
        try harness.disk.overwrite(path, staging)
        let log = try harness.open()
        #expect(log.recovery.commitsFromStaging == 0 && log.lastSequence == 0)
        let kept = try #require(log.recovery.cutOff.first)
        #expect(harness.disk.readAll(kept) == staging)
    }

    /// The first of a log may start anywhere, since older ones may have been deleted.
    @Test func aSegmentOfAnotherStoreIsNamed() throws {
        let harness = try empty()
        let disk = try foreign(closed: true)
        let path = try #require(disk.allFiles.filter { $0.hasSuffix(".zst") }.max())
        try #require(!path.hasSuffix("01.zst"))
        try harness.disk.overwrite(path, disk.readAll(path) ?? [])
        let corruption = try harness.open().recovery.corruption
        #expect(corruption?.reason == "the segment belongs to another store")
    }

    @Test func aSegmentUnderAnotherNameIsNamed() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append()
        try harness.close()
        let path = try #require(harness.segments.first)
        try harness.disk.overwrite(
            LogHarness.layout.segment(7), harness.disk.readAll(path) ?? [])
        try harness.disk.erase(path)
        let corruption = try harness.open().recovery.corruption
        #expect(corruption?.reason == "the segment starts with sequence 1 and is named otherwise")
    }
}
