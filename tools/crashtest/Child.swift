import ArgumentParser
import Foundation
import TestSupport
import WriteBehind

/// The process that is killed: writes until then, and says what was acknowledged.
struct Child: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "child", abstract: "Write until killed.", shouldDisplay: false)

    @Argument var directory: String
    @Argument var seed: UInt64
    @Argument var round: Int

    func run() async throws {
        let tables = try Tables(at: directory)
        let (seed, round) = (seed, round)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<Load.threadCount {
                group.addTask {
                    var load = Load(seed: seed, round: round, thread: thread)
                    while true {
                        let sequence = try await tables.apply(load.next())
                        // One write of less than a pipe's page: lines of threads do not mix.
                        let line = "\(thread) \(sequence)\n"
                        try FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
