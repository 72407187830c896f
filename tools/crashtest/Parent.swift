import EventLog
import Foundation
import TestSupport
import WriteBehind

/// Something acknowledged is missing, or something is there that must not be.
struct Loss: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The process that kills, and knows what must be there.
struct Parent {
    /// Holds one store after the other: checks read the whole log, which must not grow for ever.
    let root: String
    let seed: UInt64
    private(set) var round = 0
    private(set) var acknowledged = 0
    /// Writes that survived though the kill came before their acknowledgement.
    private(set) var surplus = 0
    private var random: SeededRandom
    private var model = Model()

    private static let roundsOfStore = 10
    var directory: String { "\(root)/\(round / Self.roundsOfStore)" }

    init(root: String, seed: UInt64) {
        self.root = root
        self.seed = seed
        random = SeededRandom(seed: seed)
    }

    /// What a killed child had said.
    private struct Report {
        /// How many writes of each thread returned.
        var counts = [Int](repeating: 0, count: Load.threadCount)
        var lastSequence: UInt64 = 0
    }

    mutating func playRound() async throws {
        if round % Self.roundsOfStore == 0 { model = Model() }
        let report = Self.parse(try killChild())
        // Every other time the state right after the kill is looked at closely, which then changes it.
        if Bool.random(using: &random) { try DatabaseCheck.run(directory) }
        let tables = try Tables(at: directory)
        guard tables.store.health.lag.staged >= report.lastSequence else {
            throw Loss(
                "the log ends before sequence \(report.lastSequence), which was acknowledged")
        }
        try check(try await tables.read(), report)
        try await tables.store.close()
        try DatabaseCheck.run(directory)
        round += 1
        // Kept if it is the last, to be looked at.
        if round % Self.roundsOfStore == 1, round > 1 {
            try FileManager.default.removeItem(
                atPath: "\(root)/\(round / Self.roundsOfStore - 1)")
        }
    }

    private mutating func killChild() throws -> Data {
        let child = Process()
        child.executableURL = try Self.executable()
        child.arguments = ["child", directory, "\(seed)", "\(round)"]
        let pipe = Pipe()
        child.standardOutput = pipe
        try child.run()
        let output = Locked(Data())
        let isRead = DispatchSemaphore(value: 0)
        let (reading, descriptor) = (pipe.fileHandleForReading, child.processIdentifier)
        Thread.detachNewThread {
            while let data = try? reading.read(upToCount: 1 << 16), !data.isEmpty {
                output.withLock { $0.append(data) }
            }
            isRead.signal()
        }
        // Now and then before it has written anything: while it opens the store.
        let isEarly = Int.random(in: 0..<5, using: &random) == 0
        while !isEarly, child.isRunning, output.withLock({ $0.isEmpty }) { usleep(500) }
        usleep(.random(in: 0...(isEarly ? 30_000 : 120_000), using: &random))
        kill(descriptor, SIGKILL)
        child.waitUntilExit()
        isRead.wait()
        guard child.terminationReason == .uncaughtSignal else {
            throw Loss("the child ended by itself, with code \(child.terminationStatus)")
        }
        return output.withLock { $0 }
    }

    private static func executable() throws -> URL {
        URL(
            fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/self/exe"))
    }

    private static func parse(_ output: Data) -> Report {
        var report = Report()
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 2, let thread = Int(fields[0]), let sequence = UInt64(fields[1])
            else { continue }
            report.counts[thread] += 1
            report.lastSequence = max(report.lastSequence, sequence)
        }
        return report
    }

    /// Each thread's rows are as after its acknowledged writes, or as after one more: the one under way.
    private mutating func check(_ found: Model, _ report: Report) throws {
        for thread in 0..<Load.threadCount {
            var load = Load(seed: seed, round: round, thread: thread)
            for _ in 0..<report.counts[thread] { model.apply(load.next()) }
            acknowledged += report.counts[thread]
            let part = found.part(of: thread)
            if part == model.part(of: thread) { continue }
            let expected = model.part(of: thread)
            model.apply(load.next())
            surplus += 1
            guard part == model.part(of: thread) else {
                throw Loss(
                    "thread \(thread), after \(report.counts[thread]) acknowledged writes: "
                        + Self.difference(part, expected))
            }
        }
    }

    private static func difference(_ found: Model, _ expected: Model) -> String {
        let ids = Set(found.items.keys).union(expected.items.keys).sorted()
        let items = ids.filter { found.items[$0] != expected.items[$0] }.map {
            "item \($0) is \(String(describing: found.items[$0])), "
                + "not \(String(describing: expected.items[$0]))"
        }
        return items.joined(separator: "; ")
            + (found.labels == expected.labels ? "" : "; labels \(found.labels)")
    }
}
