import ArgumentParser
import Foundation
import TestSupport
import WriteBehind

/// The process that is killed, or kills itself. Until then it writes, and reports what was acknowledged.
struct Child: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "child", abstract: "Write until killed.", shouldDisplay: false)

    @Argument var directory: String
    @Argument var seed: UInt64
    @Argument var round: Int
    @Option var failpoint: String?
    /// Whether it only opens the store, which recovers it, and dies when that is done at the latest.
    @Flag var reopening = false

    func run() async throws {
        if let failpoint {
            guard SQLiteCalls.intercept() else { throw ValidationError("SQLite cannot be watched") }
            guard let failpoint = Failpoint(failpoint) else {
                throw ValidationError("no failpoint: \(failpoint)")
            }
            Armed.set(failpoint)
        }
        let tables = try Tables(
            at: directory, environment: .watched(directory, Tables.configuration))
        if reopening {
            kill(getpid(), SIGKILL)
            while true { pause() }
        }
        let (seed, round) = (seed, round)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<Load.threadCount {
                group.addTask { try await Self.write(tables, seed, round, thread) }
            }
            group.addTask { try await Following.run(tables, Self.say) }
            try await group.waitForAll()
        }
    }

    /// A line for every acknowledged write: `THREAD SEQUENCE`, and ` durable` if it waited for that.
    private static func write(
        _ tables: Tables, _ seed: UInt64, _ round: Int, _ thread: Int
    ) async throws {
        var load = Load(seed: seed, round: round, thread: thread)
        while true {
            let change = load.next()
            let receipt = try await tables.apply(change)
            let sequence = receipt?.sequence ?? 0
            try Armed.around(.append, .staging) { try say("\(thread) \(sequence)") }
            if load.waitsForDurable, let receipt {
                try await tables.store.wait(for: .durable, receipt)
                try say("\(thread) \(sequence) durable")
            }
        }
    }

    private static func say(_ line: String) throws {
        // One write of fewer bytes than a pipe's page, so that the lines of several threads do not mix.
        try FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }
}
