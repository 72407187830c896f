import ArgumentParser
import Foundation
import GRDB
import Logging
import TestSupport
import WriteBehind

/// One life of a store on a machine that lacks something, in its own process.
struct Narrow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Use a store where space, memory or descriptors are short.",
        discussion: """
            Opens the store, reads what earlier lives wrote, writes, waits and
            closes. Its parent limits it: by ulimit, a full disk, a read-only
            root. Exit codes: 0, all went well; 3, the store refused something by an
            error of its own; 1, it did something else. A signal is a crash, SIGALRM a
            hang.

            EXAMPLES
              sh -c 'ulimit -v 4000000; crashtest narrow store'
              crashtest narrow store --from 2000
            """)

    /// The exit code if the store refused something by its own error.
    private static let refusal = ExitCode(3)

    @Argument(help: "The store.")
    var directory: String

    @Option(help: "How many rows earlier lives have had acknowledged.")
    var from = 0

    @Option(help: "How many rows are written.")
    var rows = 2000

    @Option(help: "A shell command that runs while the store is open, after half of the rows.")
    var meanwhile: String?

    @Flag(help: "End without closing, as a killed process does.")
    var unclean = false

    func run() async throws {
        // The kernel kills a process that exceeds a limit on file lengths, unless the signal is ignored: then the call fails.
        signal(SIGXFSZ, SIG_IGN)
        alarm(90)
        var configuration = StoreConfiguration()
        configuration.logger = Logger(label: "crashtest") { _ in SwiftLogNoOpLogHandler() }
        let store: Store
        do {
            store = try await Store(at: directory, configuration: configuration)
        } catch {
            say("cannot be opened: \(error)")
            throw Self.refusal
        }
        var refusal = try await refused { try await live(store) }
        if unclean { Foundation._exit(refusal == nil ? 0 : Self.refusal.rawValue) }
        let start = Date()
        let closing = try await refused { _ = try await store.close(deadline: .seconds(5)) }
        if Date().timeIntervalSince(start) > 30 { throw Loss("closing took more than 30 s") }
        refusal = refusal ?? closing
        if let refusal {
            say("refused: \(refusal)")
            throw Self.refusal
        }
    }

    private func live(_ store: Store) async throws {
        let items = try store.table(Item.self)
        for id in 0..<from {
            guard try await items.get(id) == Self.item(id) else { throw Loss("row \(id) is lost") }
        }
        for id in from..<from + rows {
            if id == from + rows / 2 { try await runMeanwhile(store) }
            let receipt = try items.put(Self.item(id))
            guard id % 100 == 99 else { continue }
            try await store.wait(for: .durable, receipt, timeout: .seconds(20))
            say("acknowledged \(id + 1)")
        }
        if unclean { return }
        // So many rows in one transaction of the database that SQLite writes a part to disk before the commit.
        try store.mark("narrow")
        try store.transaction { transaction in
            for id in 0..<from + rows { try transaction.put(Self.item(id), in: items) }
        }
        try await store.waitForAll(.materialized, timeout: .seconds(20))
        let count = try await store.database.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM item")
        }
        guard count ?? 0 >= from + rows else { throw Loss("the database has \(count ?? 0) rows") }
    }

    private func runMeanwhile(_ store: Store) async throws {
        guard let meanwhile else { return }
        try await store.waitForAll(.materialized, timeout: .seconds(20))
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", meanwhile]
        process.standardOutput = FileHandle.standardError
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Loss("\(meanwhile) failed") }
        // Longer than the log takes to notice a copy that shares blocks with its buffer.
        try await Task.sleep(for: .milliseconds(500))
    }

    /// A row of text that does not compress: a life takes some hundred kilobytes.
    private static func item(_ id: Int) -> Item {
        var random = SeededRandom(seed: UInt64(id))
        let note = (0..<10).map { _ in String(random.next(), radix: 36) }.joined()
        return Item(id: id, value: id, note: note)
    }

    /// The error of `body`, if it is one of the store, or one of SQLite from this file's query. Any other is thrown.
    private func refused(_ body: () async throws -> Void) async throws -> (any Error)? {
        do {
            try await body()
            return nil
        } catch  where error is StoreError || error is DatabaseError {
            return error
        }
    }
}
