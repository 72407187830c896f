import EventLog
import Glibc
import TestSupport
import Testing

/// When appends are refused, and when they are admitted again.
@Suite struct RefusalTests {
    @Test func closingNeverRetriesAFailedSync() throws {
        let harness = LogHarness()
        try harness.open()
        let log = try #require(harness.log)
        try harness.append(commits: 5)
        harness.makeDurable()
        try harness.append(commits: 5)
        harness.disk.fail(.synchronize, onFileNamed: "1.zst")
        let poisoned = LogError.poisoned(
            SystemError(
                call: "synchronize", path: LogHarness.layout.segment(1), code: EIO))
        #expect(logError { try log.close() } == poisoned)
        #expect(logError { try log.close() } == poisoned)
        #expect(log.refusal == poisoned)
        #expect(log.readable == 5)
        #expect(harness.disk.readAll(LogHarness.layout.staging) != nil)
        harness.crash(.process)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.appended.count == 10)
    }

    @Test func aFailureWhileClosingDoesNotAdmitAppendsAgain() throws {
        let harness = LogHarness()
        try harness.open()
        let log = try #require(harness.log)
        try harness.append(commits: 5)
        harness.disk.fail(.write, onFileNamed: "1.zst", with: .errno(ENOSPC), times: 1)
        #expect(logError { try log.close() } != nil)
        harness.flush()
        #expect(log.refusal == .closed)
        try harness.close()
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.appended.count == 5)
    }

    @Test func closingTwiceIsClosingOnce() throws {
        let harness = LogHarness()
        let log = try harness.open()
        try harness.append()
        try log.close()
        try log.close()
        #expect(logError { try harness.append() } == .closed)
    }

    @Test func appendsStayRefusedWhileNoSegmentCanBeMade() throws {
        let harness = LogHarness()
        let log = try harness.open()
        harness.disk.fail(.open, onFileNamed: ".zst", with: .errno(EMFILE), times: 3)
        try harness.append(commits: 25)
        for _ in 0..<3 {
            _ = log.flusher?.step()
            #expect(
                log.refusal
                    == .system(
                        SystemError(
                            call: "open", path: LogHarness.layout.segment(1), code: EMFILE)))
        }
        harness.makeDurable()
        #expect(log.refusal == nil)
        #expect(log.readable == 25)
    }

    /// The segment's name may be lost, and with it all that would be published as durable.
    @Test func afterAFailedSyncOfTheDirectoryAppendsAreRefusedUntilReopening() throws {
        let harness = LogHarness()
        let log = try harness.open()
        harness.disk.fail(.synchronizeDirectory, onFileNamed: "/log")
        try harness.append()
        for _ in 0..<3 { harness.makeDurable() }
        guard case .poisoned? = log.refusal else {
            Issue.record("\(String(describing: log.refusal))")
            return
        }
        #expect(log.readable == 0)
    }

    /// `fork` is not for Swift programs, but a C library in one may call it.
    @Test func aChildOfForkMayNeitherAppendNorFlushNorClose() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let directory = TemporaryDirectory()
            let layout = StoreLayout(root: directory.path)
            for path in [layout.log, layout.aside] {
                try PosixDisk().createDirectory(path)
            }
            let environment = LogEnvironment(
                disk: PosixDisk(), layout: layout, storeID: LogHarness.storeID)
            let log = try Log(opening: environment, options: .small, witnesses: [])
            let records = LogHarness.records(unique: 1, count: 1, byteCount: 9)
            func append() throws {
                _ = try records.withUnsafeBytes {
                    try log.append($0, count: 1, flags: [], time: 1)
                }
            }
            try append()
            typealias Fork = @convention(c) () -> Int32
            guard let symbol = dlsym(nil, "fork") else { exit(1) }
            let child = unsafeBitCast(symbol, to: Fork.self)()
            if child == 0 {
                guard logError({ try append() }) == .forked else { _exit(2) }
                log.flusher?.request(readable: 1)
                guard log.flusher?.step() == .wait(nanoseconds: nil) else { _exit(3) }
                guard logError({ try log.close() }) == .forked else { _exit(4) }
                _exit(0)
            }
            var status: Int32 = -1
            waitpid(child, &status, 0)
            guard status == 0 else { exit(status >> 8 + 10) }
            guard try PosixDisk().exists(layout.staging) else { exit(5) }
            try append()
            try log.close()
            guard log.readable == 2 else { exit(6) }
        }
    }
}
