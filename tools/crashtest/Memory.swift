import ArgumentParser
import EventLog
import Foundation
import GRDBSQLite
import TestSupport
import WriteBehind

/// Measures how much memory a store takes while its database does not follow. Runs in its own process.
struct Memory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write while the database is locked, until writes are refused; measure memory.",
        discussion: """
            The database is locked by another connection and writes go on as fast as
            they can, until one of the two limits refuses them. Ends with an error if
            the process took more memory than it had before it opened the store, what
            the configuration allows, and \(constant >> 20) MiB.

            With --reopening, opens a store that an earlier run left, lets the database follow,
            and measures that.

            EXAMPLES
              crashtest memory store
              crashtest memory store --reopening
            """)

    enum Keys: String, CaseIterable, ExpressibleByArgument {
        /// The same thousand rows again and again: the log's bytes on disk reach their limit first.
        case hot
        /// Always new rows: the memory for rows that the database does not hold reaches its limit first.
        case distinct
    }

    @Argument(help: "The store.")
    var directory: String

    @Option(help: "What is written: hot or distinct keys.")
    var keys = Keys.distinct

    @Flag(help: "Open what an earlier run left.")
    var reopening = false

    /// Memory besides the configured limits and the program itself: the log's unpacked blocks, the connections that
    /// read, threads, and what the allocator keeps.
    static let constant = 48 << 20

    private static var limits: StoreConfiguration {
        var configuration = Tables.configuration
        configuration.cacheLimit = 64 << 20
        configuration.dirtyLimit = 48 << 20
        configuration.backlogLimit = 48 << 20
        configuration.stagingSlots = 4
        configuration.stagingSlotSize = 1 << 20
        configuration.blockSize = 256 << 10
        configuration.segmentSize = 16 << 20
        configuration.batchBytes = 16 << 20
        configuration.snapshotAfter = nil
        configuration.snapshotMemory = 0
        return configuration
    }

    /// The most that the configuration allows: SQLite takes a quarter of the cache for its pages, and a batch is
    /// gathered while the one before is written.
    private static var bound: Int {
        let given = limits
        return given.cacheLimit + given.cacheLimit / 4 + given.stagingSlots * given.stagingSlotSize
            + 2 * given.batchBytes + given.snapshotMemory
    }

    func run() async throws {
        let program = try Self.bytes("VmRSS")
        let store = try await Store(at: directory, configuration: Self.limits)
        let items = try store.table(Item.self)
        if reopening {
            try await store.waitForAll(.materialized, timeout: .seconds(300))
            say("reopened, \(store.health.lag.materialized) records in the database")
        } else {
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try Self.lock("\(directory)/database.sqlite")
            let (count, refusal) = try await fill(items)
            say("\(keys.rawValue) keys: \(count) writes, refused at \(refusal)")
            // Leaves time for all background work: the materializer gathers a batch, and tries to write it.
            try await store.waitForAll(.durable)
            try await Task.sleep(for: .seconds(1))
        }
        try Self.measure(program: program)
        // Ends like a killed process: the next opening must bring the rest into the database.
        Foundation.exit(0)
    }

    /// Takes the database's write lock for as long as the process lives.
    private static func lock(_ path: String) throws {
        var connection: OpaquePointer?
        guard sqlite3_open(path, &connection) == SQLITE_OK,
            sqlite3_busy_timeout(connection, 10_000) == SQLITE_OK,
            sqlite3_exec(connection, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK
        else { throw Loss("the database cannot be locked") }
    }

    /// Writes from several threads until each is refused. Returns how many writes were accepted, and the refusal.
    private func fill(_ items: StoredTable<Item>) async throws -> (Int, String) {
        let keys = keys
        return try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for thread in 0..<Load.threadCount {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(thread))
                    // About a kilobyte each, which hardly compresses, and more notes than fit into one block.
                    let notes = (0..<1024).map { _ in
                        (0..<80).map { _ in String(random.next(), radix: 36) }.joined()
                    }
                    var count = 0
                    while true {
                        let id = (keys == .hot ? count % 250 : count) * Load.threadCount + thread
                        let note = notes[count % notes.count]
                        do throws(StoreError) {
                            try items.put(Item(id: id, value: count, note: note))
                        } catch {
                            guard case .backlogFull(let limit) = error else { throw error }
                            return (count, "\(limit)")
                        }
                        count += 1
                    }
                }
            }
            var (count, refusal) = (0, "")
            for try await (part, error) in group {
                count += part
                refusal = error
            }
            return (count, refusal)
        }
    }

    /// A figure of this process's memory from the kernel, in bytes.
    private static func bytes(_ name: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        guard let field = line?.split(whereSeparator: \.isWhitespace).dropFirst().first,
            let number = Int(field)
        else { throw Loss("/proc/self/status has no \(name)") }
        return number << 10
    }

    private static func measure(program: Int) throws {
        let store = try bytes("VmHWM") - program
        say(
            "the store took \(store >> 20) MiB at most; allowed: \(bound >> 20) + \(constant >> 20) MiB "
                + "(and the program \(program >> 20) MiB)")
        guard store <= bound + constant else {
            say("FAILED: it took more than that")
            throw ExitCode.failure
        }
    }
}
