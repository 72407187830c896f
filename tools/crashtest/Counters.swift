#if PostgreSQL
    import ArgumentParser
    import EventLog
    import Foundation
    import PostgreSQLServer
    import TestSupport
    import WriteBehind
    import WriteBehindCore
    import WriteBehindInspection
    import WriteBehindPostgreSQL

    /// Kills processes that count into one table, and the server of the table.
    struct Counters: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Kill processes that count into one table, and the server, and count again.",
            discussion: """
                Starts a PostgreSQL server and several processes, each with a store of its
                own, that add to random rows of one shared table. At random moments one of
                them is killed by SIGKILL, or the server is with all its processes. In the
                end each row must have exactly what was added to it, and `verify` must find
                the sums of each store's log in the database.

                EXAMPLES
                  crashtest counters
                  crashtest counters --processes 4 --adds 1000000 --rows 10000
                """)

        @Option(help: "How many processes.")
        var processes = 4

        @Option(help: "How many adds each of them makes.")
        var adds = 100_000

        @Option(help: "How many rows the table has in the end.")
        var rows = 10_000

        @OptionGroup var options: RunOptions

        func validate() throws {
            guard processes > 0, adds > 0, rows > 0 else {
                throw ValidationError("All numbers must be at least 1.")
            }
        }

        func run() async throws {
            say("crashtest counters: seed \(options.seed)")
            let directory = NSTemporaryDirectory() + "/crashtest-\(UUID().uuidString)"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            let server = try TestServer(TestServer.Setup())
            let database = try server.makeDatabase()
            var random = SeededRandom(seed: options.seed)
            var children = try (0..<processes).map { try start($0, directory, database) }
            var (kills, serverKills) = (0, 0)
            while children.contains(where: \.isRunning) {
                usleep(UInt32.random(in: 20_000..<250_000, using: &random))
                if Int.random(in: 0..<5, using: &random) == 0 {
                    server.kill()
                    serverKills += 1
                    usleep(UInt32.random(in: 0..<100_000, using: &random))
                    try server.start()
                    continue
                }
                let number = Int.random(in: 0..<processes, using: &random)
                guard children[number].isRunning else {
                    try check(children[number])
                    continue
                }
                Foundation.kill(children[number].processIdentifier, SIGKILL)
                children[number].waitUntilExit()
                try check(children[number])
                kills += 1
                children[number] = try start(number, directory, database)
            }
            for child in children { try check(child) }
            try count(in: database)
            for number in 0..<processes { try verify("\(directory)/\(number)", database) }
            try FileManager.default.removeItem(atPath: directory)
            say(
                "\(processes) processes, \(kills) kills of them and \(serverKills) of the server: "
                    + "\(processes * adds) adds to \(rows) rows, all counted once")
        }

        private func start(
            _ number: Int, _ directory: String, _ database: TestDatabase
        ) throws -> Process {
            let process = Process()
            process.executableURL = URL(
                fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/self/exe"))
            process.arguments = [
                "counting-child", "\(directory)/\(number)", database.url, "\(number)",
                "\(options.seed)", "\(adds)", "\(rows)",
            ]
            try process.run()
            return process
        }

        /// Throws if a child that has ended was not killed, and is not done either.
        private func check(_ child: Process) throws {
            guard !child.isRunning, child.terminationReason == .exit,
                child.terminationStatus != 0
            else { return }
            throw Loss("a process ended by itself, with code \(child.terminationStatus)")
        }

        private func count(in database: TestDatabase) throws {
            var expected = [Int](repeating: 0, count: rows)
            for number in 0..<processes {
                for add in 0..<adds {
                    expected[Count.row(of: add, by: number, options.seed, rows)] += 1
                }
            }
            var found = [Int](repeating: 0, count: rows)
            for row in try database.run("SELECT id, likes FROM count") {
                guard let id = row[0].flatMap({ Int($0) }), id < rows else {
                    throw Loss("there is a row that nobody made: \(row)")
                }
                found[id] = row[1].flatMap { Int($0) } ?? -1
            }
            let wrong = (0..<rows).filter { expected[$0] != found[$0] }
            guard let first = wrong.first else { return }
            throw Loss(
                "\(wrong.count) rows are wrong; row \(first) has \(found[first]) of \(expected[first])"
            )
        }

        private func verify(_ path: String, _ database: TestDatabase) throws {
            let store = try StoreInspection(
                path: path, database: InspectedPostgreSQL(database.url))
            var differing: [String] = []
            let result = try DatabaseVerification(store) { differing.append("\($0): \($1)") }
            if let fault = result.fault ?? result.sumObstacle { throw Loss("\(path): \(fault)") }
            guard differing.isEmpty, result.sumCount > 0 else {
                throw Loss("\(path): \(differing)")
            }
        }
    }

    /// A process that adds until it is done, or killed.
    struct CountingChild: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "counting-child", abstract: "Count until killed.", shouldDisplay: false)

        @Argument var directory: String
        @Argument var url: String
        @Argument var number: Int
        @Argument var seed: UInt64
        @Argument var adds: Int
        @Argument var rows: Int

        func run() async throws {
            var configuration = Tables.configuration
            configuration.retryLimit = .milliseconds(200)
            configuration.materializeInterval = .milliseconds(20)
            // `verify` needs the whole log for the sums of what was added.
            configuration.snapshotAfter = nil
            configuration.logKept = .seconds(86_400)
            configuration.logBytesKept = .max
            let store = try await open(configuration)
            let table = try store.sharedTable(Count.self)
            // The log's first record defines the table, and each of the others is an add.
            var done = Int(store.engine.log.lastSequence) - 1
            while done < adds {
                let end = min(adds, done + Int.random(in: 1...5_000))
                var receipt: Receipt?
                while done < end {
                    receipt = try table.add(
                        1, to: "likes", of: Count.row(of: done, by: number, seed, rows))
                    done += 1
                }
                try await store.wait(for: .materialized, receipt)
            }
            try await store.waitForAll(.materialized)
            let report = try await store.close(deadline: .seconds(60))
            guard report.pending == 0 else { throw Loss("\(report.pending) records are pending") }
        }

        /// The server may be down just now.
        private func open(_ configuration: StoreConfiguration) async throws -> Store {
            for _ in 0..<600 {
                do {
                    return try await Store(
                        at: directory, database: .postgreSQL(url), configuration: configuration)
                } catch StoreError.database {
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            throw Loss("the database could not be opened for a minute")
        }
    }

    /// A row of the table that all of them count into.
    struct Count: TableRow {
        typealias Key = Int
        static let schema = TableSchema(
            "count", [.key("id", .integer), .column("likes", .integer, default: .integer(0))])
        var id: Int
        var likes: Int

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(id)
            encoder.encode(likes)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            id = try decoder.decode()
            likes = try decoder.decode()
        }

        /// The row that one of a process's adds is for; a tenth of the rows gets half of them.
        static func row(of add: Int, by process: Int, _ seed: UInt64, _ rows: Int) -> Int {
            var random = SeededRandom(
                seed: seed &+ UInt64(process) &* 1_000_003 &+ UInt64(add) &* 7919)
            let number = random.next()
            return Int(number >> 1 % UInt64(number & 1 == 0 ? rows : (rows + 9) / 10))
        }
    }
#endif
