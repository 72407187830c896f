import EventLog
import TestSupport
import Testing

/// Files are removed or changed under an open log.
@Suite struct FencedLogTests {
    private func isFenced(_ error: LogError?) -> Bool {
        if case .fenced? = error { true } else { false }
    }

    /// A fenced log on a simulated disk, with something durable in it.
    private func open() throws -> (disk: SimulatedDisk, log: Log, fenced: FencedDisk) {
        let disk = SimulatedDisk(seed: 1)
        let layout = StoreLayout(root: "/store")
        try disk.createDirectory(layout.root)
        guard case .taken(let fenced) = try FencedDisk.take(layout, on: disk) else {
            throw SystemError(call: "take", path: layout.root, code: 0)
        }
        for path in [layout.log, layout.aside] { try fenced.createDirectory(path) }
        let environment = LogEnvironment(
            disk: fenced, layout: layout, storeID: LogHarness.storeID, time: ManualTime())
        let log = try Log(opening: environment, options: .small, witnesses: [])
        try append(to: log)
        log.makeReadable(through: 1)
        #expect(log.readable == 1)
        return (disk, log, fenced)
    }

    private func append(to log: Log, _ unique: UInt64 = 1) throws {
        let records = LogHarness.records(unique: unique, count: 1, byteCount: 40)
        _ = try records.withUnsafeBytes {
            try log.append($0, count: 1, flags: [], time: 1_700_000_000_000)
        }
    }

    private static let segment = "/store/log/00000000000000000001.zst"
    private static let deeds: [(String, @Sendable (SimulatedDisk) throws -> Void)] = [
        ("LOCK removed", { try $0.erase("/store/LOCK") }),
        ("LOCK replaced", { try $0.overwrite("/store/LOCK", []) }),
        ("directory moved", { try $0.move("/store", to: "/moved") }),
        ("directory deleted", { try $0.eraseAll("/store") }),
        (
            "backup restored in its place",
            {
                try $0.copyAll("/store", to: "/backup")
                try $0.move("/store", to: "/moved")
                try $0.move("/backup", to: "/store")
            }
        ),
        ("staging removed", { try $0.erase("/store/staging") }),
        ("staging replaced", { try $0.overwrite("/store/staging", [1]) }),
        ("log moved", { try $0.move("/store/log", to: "/store/log.old") }),
        ("last segment removed", { try $0.erase(segment) }),
        ("last segment replaced", { try $0.overwrite(segment, $0.readAll(segment)!) }),
        ("last segment cut off", { $0.cutInPlace(segment, to: 100) }),
    ]

    @Test(arguments: deeds.map(\.0), [false, true])
    func nothingBecomesDurableOnceTheFilesAreNotItsOwn(deed: String, inStaging: Bool) throws {
        let (disk, log, _) = try open()
        try Self.deeds.first { $0.0 == deed }?.1(disk)
        let before = disk.allFiles.map { disk.readAll($0) }
        try append(to: log, 2)
        if inStaging {
            log.flusher?.request(durable: 2)
        } else {
            log.flusher?.request(readable: 2)
        }
        while case .stepAgain? = log.flusher?.step() {}
        #expect(log.readable == 1)
        #expect(log.durable == 1)
        #expect(isFenced(log.refusal))
        #expect(isFenced(logError { try append(to: log, 3) }))
        #expect(isFenced(logError { try log.close() }))
        let paths = disk.allFiles
        if deed.hasPrefix("backup") {
            let backup = paths.filter { $0.hasPrefix("store/") }
            #expect(backup.map { disk.readAll($0) }.allSatisfy { before.contains($0) })
        }
    }

    @Test func closingLeavesTheStagingFileOfAnotherStore() throws {
        let (disk, log, _) = try open()
        try disk.move("/store", to: "/moved")
        try disk.createDirectory("/store")
        try disk.overwrite("/store/staging", [1, 2, 3])
        #expect(isFenced(logError { try log.close() }))
        #expect(disk.readAll("/store/staging") == [1, 2, 3])
    }

    @Test func aNameThatCannotBeLookedUpJustNowFencesNobodyOff() throws {
        let (disk, log, _) = try open()
        disk.fail(.standing, onFileNamed: "/LOCK")
        try log.checkFence()
        #expect(log.refusal == nil)
        try append(to: log, 2)
        log.makeReadable(through: 2)
        #expect(log.readable == 2)
        try log.close()
    }

    @Test func aLogWhoseDirectoryWasReleasedWritesNothingMore() throws {
        let (disk, log, fenced) = try open()
        try append(to: log, 2)
        fenced.release()
        let before = disk.allFiles
        log.makeReadable(through: 2)
        #expect(log.readable == 1)
        #expect(log.refusal == .closed)
        #expect(disk.allFiles == before)
    }
}
