import ArgumentParser
import Foundation
import TestSupport

@main
struct Crashtest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crashtest",
        abstract:
            "Kill a process that writes to a store, again and again, and look for what was lost.",
        discussion: """
            Each round starts a child that writes with several tasks and reports every write that was
            acknowledged, kills it with SIGKILL at a random moment, opens the store and checks that
            every acknowledged write is there, that no transaction is there in part, and that the
            database is the fold of the log up to its watermark.

            EXAMPLES
              crashtest                                  50 rounds in a temporary directory
              crashtest --rounds 10000 --seed 7          the long form; a seed repeats what is written
              crashtest --seconds 600 --directory /mnt/disk/crash
            """,
        subcommands: [Child.self, Simulate.self])

    @Option(help: "How many kills.")
    var rounds = 50

    @Option(help: "Stop after this many seconds, whatever the number of rounds.")
    var seconds: Double?

    @Option(help: "Chooses what is written and when it is killed.")
    var seed: UInt64 = .random(in: 0..<1_000_000)

    @Option(help: "Where the stores are; it must not exist yet. The last store is kept.")
    var directory: String?

    func run() async throws {
        print("crashtest: seed \(seed)")
        let path = directory ?? NSTemporaryDirectory() + "/crashtest-\(UUID().uuidString)"
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ValidationError("\(path) exists already")
        }
        let end = seconds.map { Date(timeIntervalSinceNow: $0) } ?? .distantFuture
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var parent = Parent(root: path, seed: seed)
        while parent.round < rounds, Date() < end {
            do {
                try await parent.playRound()
            } catch {
                print(
                    "round \(parent.round), seed \(seed): \(error)\nThe store is in \(parent.directory)"
                )
                throw ExitCode.failure
            }
        }
        print(
            "\(parent.round) kills, \(parent.acknowledged) acknowledged writes, none lost; "
                + "\(parent.surplus) unacknowledged ones survived")
        if directory == nil { try FileManager.default.removeItem(atPath: path) }
    }
}
