import Foundation
import TestSupport

/// A running child, and its output so far.
struct ChildProcess {
    private let process = Process()
    private let output = Locked(Data())
    private let isRead = DispatchSemaphore(value: 0)

    /// Starts a child with these arguments of ``Child``.
    init(_ arguments: [String]) throws {
        process.executableURL = URL(
            fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/self/exe"))
        process.arguments = ["child"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let (reading, output, isRead) = (pipe.fileHandleForReading, output, isRead)
        Thread.detachNewThread {
            while let data = try? reading.read(upToCount: 1 << 16), !data.isEmpty {
                output.withLock { $0.append(data) }
            }
            isRead.signal()
        }
    }

    var isRunning: Bool { process.isRunning }
    var hasSpoken: Bool { output.withLock { !$0.isEmpty } }
    /// Its output so far.
    var report: Report { Report(output.withLock { $0 }) }

    /// Waits until it is dead, at most `milliseconds`.
    func waitUntilDead(milliseconds: Int) {
        for _ in 0..<max(1, milliseconds * 2) where process.isRunning { usleep(500) }
    }

    /// Kills it if it still runs. Returns its whole output.
    func kill() throws -> Report {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        isRead.wait()
        guard process.terminationReason == .uncaughtSignal, process.terminationStatus == SIGKILL
        else {
            throw Loss("the child ended by itself, with code \(process.terminationStatus)")
        }
        return report
    }
}

/// The output of a child.
struct Report {
    /// The sequences of each thread's acknowledged writes, in order; 0 if nothing was to be changed.
    private(set) var sequences = [[UInt64]](repeating: [], count: Load.threadCount)
    /// The last sequence whose write returned, and the last one that the child waited for as durable.
    private(set) var last: UInt64 = 0
    private(set) var durable: UInt64 = 0
    /// How many writes the child waited for as durable.
    private(set) var durableCount = 0
    /// The changes that its consumer has seen, and the last of those that it acknowledged.
    private(set) var seen: [UInt64] = []
    private(set) var done: UInt64 = 0
    /// Whether it died at its failpoint.
    private(set) var reachedFailpoint = false

    init(_ output: Data) {
        // There may be half a line behind the last newline.
        let lines = String(decoding: output, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).dropLast()
        for line in lines {
            let fields = line.split(separator: " ")
            if line == "!" { reachedFailpoint = true }
            if fields.count == 2, let sequence = UInt64(fields[1]) {
                if fields[0] == "seen" { seen.append(sequence) }
                if fields[0] == "done" { done = max(done, sequence) }
            }
            guard fields.count >= 2, let thread = Int(fields[0]), let sequence = UInt64(fields[1])
            else { continue }
            if fields.count == 3 {
                durable = max(durable, sequence)
                durableCount += 1
            } else {
                sequences[thread].append(sequence)
                last = max(last, sequence)
            }
        }
    }
}
