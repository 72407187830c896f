import ArgumentParser
import Foundation
import TestSupport

@main
struct Crashtest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crashtest",
        abstract: "Kill a process that writes to a store, and look for what was lost.",
        usage: """
            crashtest [<options>]
            crashtest <subcommand>
            """,
        discussion: """
            Each round starts a child that writes with several tasks and reports every
            write that was acknowledged. It is killed by SIGKILL at a random moment, or
            kills itself before, in the middle of or after some operation on its files,
            SQLite's among them. Every other round, it is killed up to three more times
            while it recovers. Then the store is opened and checked: every acknowledged
            write is there, no transaction is there in part, and log, snapshots and
            database verify.

            With --power, the child works on a file system of its own. Its disk is
            copied in one instant, as power loss would leave it: what only the kernel's
            memory held is not there. The copy is mounted and checked; then the next
            round goes on with it.

            EXAMPLES
              crashtest                       50 rounds in a temporary directory
              crashtest --rounds 10000 --seed 7
              crashtest --seconds 600 --directory /mnt/disk/crash
              crashtest --power --rounds 100  as root: ext4, xfs and btrfs
            """,
        subcommands: [Child.self, Memory.self, Narrow.self, Simulate.self] + ofPostgreSQL)

    #if PostgreSQL
        private static let ofPostgreSQL: [any ParsableCommand.Type] = [
            Counters.self, CountingChild.self,
        ]
    #else
        private static let ofPostgreSQL: [any ParsableCommand.Type] = []
    #endif

    @Option(
        name: .customLong("rounds"),
        help: ArgumentHelp(
            """
            How many rounds; with --power, on each file system. (default: 50; with --seconds as many \
            as it takes, but for --power)
            """, valueName: "count"))
    var wanted: Int?

    @OptionGroup var options: RunOptions

    @Option(help: "Where the stores are; it must not exist yet. Is kept.")
    var directory: String?

    @Flag(help: "Lose power instead. Needs root and loop devices.")
    var power = false

    @Option(help: "With --power: only this one of ext4, xfs and btrfs.")
    var fileSystem: FileSystem?

    func validate() throws {
        guard wanted ?? 1 > 0 else { throw ValidationError("--rounds must be at least 1.") }
        guard power || fileSystem == nil else {
            throw ValidationError("--file-system goes with --power.")
        }
    }

    private var seed: UInt64 { options.seed }
    /// With --power the number is always limited: file systems are tested one after the other, and the first would take all
    /// the time.
    private var rounds: Int { power ? wanted ?? 50 : options.limit(wanted, else: 50) }

    func run() async throws {
        say("crashtest: seed \(seed)")
        let path = directory ?? NSTemporaryDirectory() + "/crashtest-\(UUID().uuidString)"
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ValidationError("\(path) exists already")
        }
        let end = options.end
        if power { try PowerParent.checkMachine() }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        if power { try await losePower(path, until: end) } else { try await kill(path, until: end) }
        if directory == nil { try FileManager.default.removeItem(atPath: path) }
    }

    private func kill(_ path: String, until end: Date) async throws {
        var parent = Parent(root: path, seed: seed)
        while parent.round < rounds, Date() < end {
            do {
                try await parent.playRound()
            } catch {
                throw failed(parent.round, error, parent.directory)
            }
            if parent.round.isMultiple(of: 100) {
                say("\(parent.round) rounds, \(parent.kills) kills: nothing lost so far")
            }
        }
        for (place, count) in parent.places.sorted(by: { $0.key < $1.key }) {
            say("  \(place)".padding(toLength: 40, withPad: " ", startingAt: 0) + "\(count)")
        }
        say(
            "\(parent.round) rounds, \(parent.kills) kills, "
                + "\(parent.ledger.acknowledged) acknowledged writes, none lost;\n"
                + "\(parent.ledger.surplus) unacknowledged ones survived")
    }

    private func losePower(_ path: String, until end: Date) async throws {
        for kind in fileSystem.map({ [$0] }) ?? FileSystem.here {
            var parent = PowerParent(root: "\(path)/\(kind)", seed: seed, kind)
            do {
                try parent.begin()
                while parent.round < rounds, Date() < end { try await parent.playRound() }
                try parent.end()
            } catch {
                parent.abandon()
                throw failed(parent.round, error, parent.root)
            }
            say(
                "\(kind): \(parent.round) power failures, "
                    + "\(parent.ledger.acknowledged) writes survived,\n"
                    + "  \(parent.durable) of them waited for and none of these lost; "
                    + "\(parent.lost) others lost")
        }
    }

    /// Prints what failed and where, in lines that fit a terminal, and keeps the store.
    private func failed(_ round: Int, _ error: any Error, _ directory: String) -> ExitCode {
        say("FAILED in round \(round) of seed \(seed):")
        var line = ""
        for word in "\(error)".split(separator: " ") {
            if line.count + word.count > 76 {
                say("  \(line)")
                line = ""
            }
            line += line.isEmpty ? word : " \(word)"
        }
        say("  \(line)\nKept: \(directory)")
        return .failure
    }
}

/// How long to run, and with which seed: for the crash test and for the simulation.
struct RunOptions: ParsableArguments {
    @Option(help: "Stop after this many seconds.")
    var seconds: Double?

    @Option(
        name: .customLong("seed"),
        help: ArgumentHelp(
            "Decides what is written and where it breaks off. (default: random)",
            valueName: "seed"))
    var given: UInt64?

    private static let random = UInt64.random(in: 0..<1_000_000)

    var seed: UInt64 { given ?? Self.random }

    /// How many times to run: the number in `wanted`, otherwise `usual`; with --seconds there is no limit.
    func limit(_ wanted: Int?, else usual: Int) -> Int {
        wanted ?? (seconds == nil ? usual : .max)
    }

    var end: Date { seconds.map { Date(timeIntervalSinceNow: $0) } ?? .distantFuture }
}

/// Prints a line at once, without a buffer, also into a pipe or a file.
func say(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
}
