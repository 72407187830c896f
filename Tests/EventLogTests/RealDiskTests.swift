import EventLog
import Glibc
import TestSupport
import Testing

/// The log on the machine's own disk: threads, and what zstd's own tool says of the files.
@Suite struct RealDiskTests {
    private let directory = TemporaryDirectory()

    private var layout: StoreLayout { StoreLayout(root: directory.path) }

    private func open(_ options: LogOptions) throws -> Log {
        for path in [layout.log, layout.aside] { try PosixDisk().createDirectory(path) }
        let environment = LogEnvironment(
            disk: PosixDisk(), layout: layout, storeID: LogHarness.storeID)
        return try Log(opening: environment, options: options, witnesses: [])
    }

    /// Steps the flusher until `stop` says so, as the store's thread does.
    private func drive(_ log: Log, until stop: Locked<Bool>) -> TestThread {
        TestThread {
            guard let flusher = log.flusher, let work = log.work else { return }
            while !stop.withLock({ $0 }) {
                let seen = work.current
                if case .wait(let nanoseconds) = flusher.step() {
                    work.wait(after: seen, nanoseconds: min(nanoseconds ?? .max, 20_000_000))
                }
            }
        }
    }

    private static func append(_ log: Log, _ records: [UInt8]) throws -> UInt64 {
        while true {
            let outcome = try records.withUnsafeBytes {
                try log.append($0, count: 1, flags: [], time: 1_700_000_000_000)
            }
            switch outcome {
            case .appended(let first): return first
            case .full(let ticket): log.waitForRoom(ticket, nanoseconds: 1_000_000_000)
            }
        }
    }

    @Test func eightThreadsAppendWithoutGapThroughABufferThatFillsUp() throws {
        var options = LogOptions.small
        options.slotSize = 16384
        options.segmentSize = 1 << 20
        options.syncInterval = 5_000_000
        let log = try open(options)
        let stop = Locked(false)
        let flusher = drive(log, until: stop)
        let (threads, each) = (8, 1500)
        let appended = Locked<[UInt64: [UInt8]]>([:])
        let appenders = (0..<threads).map { thread in
            TestThread {
                for index in 0..<each {
                    let unique = UInt64(thread * each + index + 1)
                    let records = LogHarness.records(unique: unique, count: 1, byteCount: 50)
                    guard let sequence = try? Self.append(log, records) else { return }
                    appended.withLock { $0[sequence] = records }
                }
            }
        }
        for appender in appenders { appender.join() }
        let total = UInt64(threads * each)
        #expect(log.lastSequence == total)
        while log.readable < total {
            log.flusher?.request(readable: total)
            usleep(1000)
        }
        let expected = appended.withLock { $0 }
        #expect(expected.count == Int(total))
        let found = try LogHarness.readAll(log)
        #expect(found.map(\.firstSequence) == Array(1...total))
        #expect(found.allSatisfy { expected[$0.firstSequence] == $0.records })
        stop.withLock { $0 = true }
        flusher.join()
        try log.close()
        let reopened = try open(options)
        #expect(reopened.recovery.wasUnclean == false)
        #expect(try LogHarness.readAll(reopened).count == Int(total))
    }

    @Test func zstdAcceptsEverySegmentTheActiveOneIncluded() throws {
        let log = try open(.small)
        var unique: UInt64 = 0
        while try PosixDisk().list(layout.log).count < 3 {
            for _ in 0..<8 {
                unique += 1
                let records = LogHarness.records(unique: unique, count: 1, byteCount: 200)
                _ = try Self.append(log, records)
            }
            log.flusher?.request(readable: log.lastSequence)
            while log.flusher?.step() == .stepAgain {}
        }
        var payload: [UInt8] = []
        let reader = try log.reader(from: 1)
        while try reader.next(through: log.readable) { payload += reader.payload }
        var unpacked: [UInt8] = []
        for name in try PosixDisk().list(layout.log).sorted() {
            let path = layout.log + "/" + name
            #expect(run("zstd -q -t '\(path)'").status == 0)
            let (status, output) = run("zstd -q -dc '\(path)'")
            #expect(status == 0)
            unpacked += output
        }
        #expect(!payload.isEmpty && unpacked == payload)
        try log.close()
        for name in try PosixDisk().list(layout.log) {
            #expect(run("zstd -q -t '\(layout.log)/\(name)'").status == 0)
        }
    }

    /// Runs a shell command; its exit status and what it wrote.
    private func run(_ command: String) -> (status: Int32, output: [UInt8]) {
        guard let pipe = popen(command, "r") else { return (-1, []) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            if count == 0 { break }
            output += buffer.prefix(count)
        }
        return (pclose(pipe), output)
    }
}
