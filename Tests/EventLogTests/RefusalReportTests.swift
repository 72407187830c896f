import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// The reports of why appends are refused.
@Suite struct RefusalReportTests {
    private final class Reports: LogObserver {
        let refusals = Locked<[LogError?]>([])
        /// Runs when a report has come and is not recorded yet.
        let whileReporting = Locked<(@Sendable (LogError?) -> Void)?>(nil)

        func didWrite(_ block: BlockHeader, nanoseconds: UInt64) {}
        func didSync(through sequence: UInt64, isReadable: Bool, nanoseconds: UInt64) {}

        func didChangeRefusal(_ error: LogError?) {
            let action = whileReporting.withLock { action in
                defer { action = nil }
                return action
            }
            action?(error)
            refusals.withLock { $0.append(error) }
        }
    }

    private func open(
        _ reports: Reports, on disk: SimulatedDisk
    ) throws -> (Log, LogHarness) {
        let harness = LogHarness(disk: disk)
        try harness.open()
        try harness.close()
        guard case .taken(let fenced) = try FencedDisk.take(LogHarness.layout, on: disk) else {
            throw SystemError(call: "take", path: LogHarness.root, code: EBUSY)
        }
        var environment = harness.environment
        environment.disk = fenced
        environment.observer = reports
        return (try Log(opening: environment, options: .small, witnesses: []), harness)
    }

    private func append(_ log: Log, _ number: UInt64) throws {
        let records = LogHarness.records(unique: number, count: 1, byteCount: 40)
        _ = try records.withUnsafeBytes {
            try log.append($0, count: 1, flags: [], time: 1_800_000_000_000)
        }
    }

    /// Fifty steps that fail alike, then room, then another fifty.
    @Test(arguments: [DiskOperation.write, .open])
    func aRefusalIsReportedOnceHoweverOftenItIsTried(operation: DiskOperation) throws {
        let reports = Reports()
        let disk = SimulatedDisk()
        let (log, harness) = try open(reports, on: disk)
        for round in 1...2 as ClosedRange<UInt64> {
            try append(log, round)
            disk.fail(operation, onFileNamed: ".zst", with: .errno(ENOSPC), times: 1000)
            for _ in 0..<50 {
                log.flusher?.request(readable: log.lastSequence)
                _ = log.flusher?.step()
                harness.time.advance(milliseconds: 100)
            }
            disk.stopFailing()
            log.makeReadable(through: log.lastSequence)
            if operation == .open { break }
        }
        let found = reports.refusals.withLock { $0 }
        #expect(found.count == (operation == .open ? 2 : 4))
        for (index, refusal) in found.enumerated() {
            #expect((refusal == nil) == (index % 2 == 1))
        }
    }

    /// The fence is found while the flusher reports that the disk is full, or that there is room again.
    @Test(arguments: [false, true])
    func theLastReportIsWhyAppendsAreRefused(isAdmission: Bool) throws {
        let reports = Reports()
        let disk = SimulatedDisk()
        let (log, _) = try open(reports, on: disk)
        try append(log, 1)
        disk.fail(.write, onFileNamed: ".zst", with: .errno(ENOSPC), times: 1)
        if isAdmission {
            log.flusher?.request(readable: 1)
            _ = log.flusher?.step()
            #expect(log.refusal != nil)
        }
        let isDone = Signal()
        reports.whileReporting.withLock {
            $0 = { error in
                #expect((error == nil) == isAdmission)
                try? disk.move(LogHarness.root, to: "/elsewhere")
                Thread {
                    try? log.checkFence()
                    isDone.raise()
                }.start()
                // It refuses by then. Its report may come or wait.
                while log.refusal?.isFinal != true { usleep(100) }
                usleep(20_000)
            }
        }
        let ticket = isDone.current
        log.flusher?.request(readable: 1)
        _ = log.flusher?.step()
        isDone.wait(after: ticket, nanoseconds: 60_000_000_000)
        guard case .fenced? = log.refusal else {
            Issue.record("\(String(describing: log.refusal))")
            return
        }
        #expect(reports.refusals.withLock { $0.last } == log.refusal)
    }
}
