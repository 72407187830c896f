import EventLog
import TestSupport
import Testing

/// A log on a disk that is nearly full: opening it for writing succeeds, or says how much room that takes, and is no
/// harder the next time.
@Suite struct RoomTests {
    /// A store as a crash left it, with bytes behind its last block, which recovery keeps.
    private func made(_ shape: StoreShape) throws -> LogHarness {
        let harness = try shape.made()
        if shape != .severalSegments, let path = harness.segments.last {
            let bytes = try #require(harness.disk.readAll(path))
            let torn = [UInt8](repeating: 0x57, count: 300)
            try harness.disk.overwrite(path, bytes + torn)
        }
        return harness
    }

    @Test(arguments: StoreShape.allCases)
    func aLogIsOpenedWithAnyRoomOrSaysHowMuchItTakes(shape: StoreShape) throws {
        let harness = try made(shape)
        let used = harness.disk.usedBytes
        let right = try harness.verdict(of: harness.disk.snapshot())
        var room = 0
        while true {
            let disk = harness.disk.snapshot()
            disk.capacity = used + room
            do {
                let verdict = try harness.verdict(of: disk)
                #expect(verdict == right, "with room for \(room)")
                break
            } catch LogError.noRoom(_, let needed) {
                #expect(needed > room, "\(needed) are enough, it said")
                if room == 0 {
                    let enough = harness.disk.snapshot()
                    enough.capacity = used + needed
                    #expect(try harness.verdict(of: enough) == right, "\(needed) were to be enough")
                }
                try checkFailed(harness, disk, right, "with room for \(room)")
            }
            room += 64
            try #require(room < 1 << 20)
        }
        #expect(room > 0, "nothing was tried")
    }

    /// The room that is asked for has place for everything that is kept of the end of a segment.
    @Test(arguments: [30_000, 300_000, 3_000_000])
    func theRoomThatIsAskedForIsEnough(torn: Int) throws {
        let harness = try StoreShape.oneBlock.made()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        try harness.disk.overwrite(path, bytes + [UInt8](repeating: 0x57, count: torn))
        let used = harness.disk.usedBytes
        let right = try harness.verdict(of: harness.disk.snapshot())
        let full = harness.disk.snapshot()
        full.capacity = used
        let error = #expect(throws: LogError.self) { try harness.verdict(of: full) }
        guard case .noRoom(_, let needed)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let enough = harness.disk.snapshot()
        enough.capacity = used + needed
        #expect(try harness.verdict(of: enough) == right, "\(needed) were to be enough")
    }

    /// A try that found no room has changed nothing that reading sees, and further ones take no more than it did.
    private func checkFailed(
        _ harness: LogHarness, _ disk: SimulatedDisk, _ right: Verdict, _ what: String
    ) throws {
        let judgement = try LogInspection(LogHarness(disk: disk).environment, witnesses: [])
            .judgement
        if case .prefix(let end) = right { #expect(judgement.end == end, "\(what)") }
        #expect(judgement.damage == nil, "\(what)")
        let used = disk.usedBytes
        for _ in 0..<2 {
            #expect(throws: LogError.self, "\(what)") {
                try LogHarness.opened(disk, options: harness.options)
            }
            #expect(disk.usedBytes <= used, "\(what)")
        }
        let temporaries = disk.allFiles.filter { $0.hasSuffix(".tmp") }
        #expect(temporaries.isEmpty, "\(what)")
        disk.capacity = nil
        #expect(try harness.verdict(of: disk) == right, "\(what), and then with more")
    }
}
