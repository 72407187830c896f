import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind

extension PostgreSQL {
    /// What administrators do, and what happens to a whole server. After each: the rows are those that were written, each
    /// change was made once, and what waited has moved on.
    @Suite struct ServerFailureTests {
        /// Where the log of the server finds no room, the server ends, and does not start before there is some.
        @Test(
            .enabled(if: PrivateMounts.areUsable, "mounting needs root"),
            arguments: ["tables", "write-ahead log"])
        func aServerWhoseDiskIsFullGetsEverythingOnceThereIsRoom(_ part: String) async throws {
            let isLog = part == "write-ahead log"
            var setup = TestServer.Setup()
            setup.diskSize = 32
            if isLog {
                setup.words = "--waldir $disk/wal --wal-segsize 1"
                setup.settings = ["min_wal_size=2MB", "max_wal_size=4MB"]
            }
            let server = try TestServer(setup)
            if !isLog {
                try Session(server.url())
                    .run("CREATE TABLESPACE small LOCATION '\(server.directory)/disk'")
            }
            let test = try TestStore(in: server.makeDatabase(isLog ? "" : "TABLESPACE small"))
            try await test.write { store, number in
                if number == 200 {
                    server.fillDisk()
                    // Segments of the log that are there already have room.
                    if isLog {
                        while (try? Session(server.url()).run("SELECT pg_switch_wal()")) != nil {}
                    }
                }
                if number == 400 {
                    let words =
                        isLog ? ["connection to server"] : ["diskFull", "No space left on device"]
                    let isSaid = await eventually {
                        store.health.causes.contains { cause in
                            words.allSatisfy { cause.contains($0) }
                        }
                    }
                    #expect(isSaid, "\(store.health.causes)")
                    #expect(store.health.verdict > .healthy)
                    let goesOn = await eventually {
                        let lag = store.health.lag
                        return lag.materialized < lag.durable && lag.durable == lag.staged
                    }
                    #expect(goesOn, "\(store.health.lag)")
                    server.makeRoomOnDisk()
                    if isLog {
                        server.kill()
                        try server.start()
                    }
                }
            }
        }

        /// The replica had not yet got what was committed last, and the log of the store still has it.
        @Test(arguments: [
            ("takes the primary's place", "connection to server"),
            ("is named in the address", "the server is a standby"),
            ("is looked for", "server is in hot standby mode"),
        ])
        func aPromotedReplicaThatLacksTheLastTransactionsIsRolledForward(
            _ how: String, _ words: String
        ) async throws {
            let primary = try TestServer(TestServer.Setup())
            let place = primary.directory + "/place"
            try FileManager.default.createSymbolicLink(
                atPath: place, withDestinationPath: primary.socket)
            var database = try primary.makeDatabase()
            database.socket = place
            var setup = TestServer.Setup()
            setup.primary = primary
            setup.settings = ["wal_retrieve_retry_interval=100ms"]
            let replica = try TestServer(setup)
            let test = try TestStore(in: database)
            let copy = try Session(replica.url(database.name))
            let watermark = "SELECT sequence FROM writebehind.watermark"
            let servers = "dbname=\(database.name) user=postgres host="
            let address: String? =
                switch how {
                case "is named in the address": "\(servers)\(primary.socket),\(replica.socket)"
                case "is looked for":
                    "\(servers)\(replica.socket),\(primary.socket) target_session_attrs=primary"
                default: nil
                }
            try await test.write(at: address) { store, number in
                switch number {
                case 200:
                    try await store.waitForAll(.materialized, timeout: .hang)
                    let reached = try test.watermark().map { "\($0)" }
                    #expect(
                        try await eventually { try copy.run(watermark) == [[reached]] })
                    let sender = try test.database.value("SELECT pid FROM pg_stat_replication")
                    Foundation.kill(try #require(sender.flatMap { pid_t($0) }), SIGSTOP)
                case 400:
                    try await store.waitForAll(.materialized, timeout: .hang)
                    let (lost, kept) = (try test.watermark(), try copy.run(watermark)[0][0])
                    #expect(try #require(lost) - (try #require(kept.flatMap { Int($0) })) == 200)
                    primary.kill()
                    let isSaid = await eventually {
                        store.health.causes.contains { $0.contains(words) }
                    }
                    #expect(isSaid, "\(store.health.causes)")
                case 500:
                    #expect(try copy.run("SELECT pg_promote()") == [["t"]])
                    try FileManager.default.removeItem(atPath: place)
                    try FileManager.default.createSymbolicLink(
                        atPath: place, withDestinationPath: replica.socket)
                default: break
                }
            }
        }

        /// One that is right again is found by the store itself: it is asked for at each connection.
        @Test(arguments: ["the old one again", "the new one in the password file"])
        func aPasswordThatIsChangedStopsNoWriter(_ remedy: String) async throws {
            let test = try TestStore()
            let name = test.database.name
            let role = "role_\(name)"
            let rules = try String(contentsOfFile: TestServer.shared.rules, encoding: .utf8)
            try TestServer.shared.setRules("local all \(role) scram-sha-256\n" + rules)
            defer { try? TestServer.shared.setRules(rules) }
            try test.database.run(
                """
                CREATE ROLE \(role) LOGIN PASSWORD 'first-secret'; ALTER DATABASE \(name) OWNER TO \(role);
                ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO \(role);
                ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO \(role)
                """)
            let file = test.path + "-passwords"
            defer { try? FileManager.default.removeItem(atPath: file) }
            @Sendable func note(_ password: String) throws {
                try "*:*:*:\(role):\(password)\n".write(
                    toFile: file, atomically: true, encoding: .utf8)
                chmod(file, 0o600)
            }
            try note("first-secret")
            let address = TestServer.shared.url(name, user: role) + "?passfile=\(file)"
            try await test.write(at: address) { store, number in
                if number == 200 {
                    try test.database.run("ALTER ROLE \(role) PASSWORD 'second-secret'")
                    try TestServer.shared.endSessions(of: test.database)
                }
                if number == 400 {
                    let words = "password authentication failed for user \"\(role)\""
                    let isSaid = await eventually {
                        store.health.causes.contains { $0.contains(words) }
                    }
                    #expect(isSaid, "\(store.health.causes)")
                    #expect(store.health.verdict > .healthy)
                    #expect(!store.health.causes.contains { $0.contains("secret") })
                    if remedy == "the old one again" {
                        try test.database.run("ALTER ROLE \(role) PASSWORD 'first-secret'")
                    } else {
                        try note("second-secret")
                    }
                }
            }
        }

        /// A dump has one snapshot of everything. Restored, it is a database of some moment: rows and watermark fit together,
        /// and the store goes on from there.
        @Test func aDumpUnderLoadIsTheStateOfOneMoment() async throws {
            let test = try TestStore()
            try test.database.run("CREATE TABLE other (id bigint)")
            let session = try Session(test.database.url)
            let dumps = Lock<[Dump]>([])
            let held = Lock<Int?>(nil)
            try await test.write(count: 900) { store, number in
                if number == 100 {
                    // From here on, all rows are there.
                    try await store.waitForAll(.materialized, timeout: .hang)
                    // The time of a transaction is spent between the watermark, which comes first, and its commit.
                    try test.database.run(
                        """
                        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
                        'BEGIN PERFORM pg_sleep(0.03); RETURN null; END';
                        CREATE TRIGGER slow AFTER INSERT OR UPDATE ON player EXECUTE FUNCTION wait()
                        """)
                }
                if number >= 200, number % 200 == 0 {
                    // The first one has its snapshot, and waits in the middle of its work.
                    if number == 200 { try session.run("BEGIN; LOCK TABLE other") }
                    let dump = try Dump(of: test.database, into: "\(test.path)-dump-\(number)")
                    dumps.withLock { $0.append(dump) }
                    guard number == 200 else { return }
                    #expect(
                        try await eventually {
                            try test.database.value(
                                "SELECT count(*) FROM pg_locks WHERE relation = 'other'::regclass AND NOT granted"
                            ) == "1"
                        })
                    let watermark = try test.watermark()
                    held.withLock { $0 = watermark }
                }
                if number == 500 {
                    try await store.waitForAll(.materialized, timeout: .hang)
                    try session.run("ROLLBACK")
                }
                try await Task.sleep(for: .milliseconds(1))
            }
            let last = try #require(try test.watermark())
            for (place, dump) in dumps.withLock({ $0 }).enumerated() {
                let restored = try TestStore(in: dump.restored())
                let watermark = try #require(try restored.watermark())
                // One record each, and the last one is the 900th.
                let count = 900 - (last - watermark)
                #expect(try restored.players() == TestStore.players(after: count), "\(count)")
                let noted = try restored.database.value("SELECT max(is_now) FROM audit")
                #expect(noted == "\(count)")
                guard place == 0 else { continue }
                #expect(watermark <= (try #require(held.withLock { $0 })))
                let store = try test.open(at: restored.database.url)
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(try restored.players() == TestStore.players(after: 900))
                try await store.close(deadline: .hang)
            }
            #expect(dumps.withLock { $0.count } == 4)
        }

        /// Sessions that share the server's processes would get each other's settings and statements.
        @Test(arguments: [TestPooler.Order.last, .inTurn])
        func aPoolerOfTransactionsIsRefusedWithWordsThatSayWhatToDo(
            _ order: TestPooler.Order
        ) async throws {
            let words = "connect to the server itself, or to a pooler of sessions"
            let pooler = try TestPooler(to: .shared, order)
            defer { pooler.end() }
            let place = pooler.directory + "-place"
            try FileManager.default.createSymbolicLink(
                atPath: place, withDestinationPath: pooler.directory)
            let test = try TestStore()
            let address = TestServer.shared.url(test.database.name, socket: place)
            let refusal = #expect(throws: (any Error).self) { try test.open(at: address) }
            try #require(refusal.map { "\($0)".contains(words) } == true, "\(refusal as Any)")
            @Sendable func lead(to directory: String) throws {
                try FileManager.default.removeItem(atPath: place)
                try FileManager.default.createSymbolicLink(
                    atPath: place, withDestinationPath: directory)
                try TestServer.shared.endSessions(of: test.database)
            }
            try lead(to: TestServer.shared.socket)
            // One that is put in between while the store runs.
            try await test.write(at: address) { store, number in
                if number == 200 { try lead(to: pooler.directory) }
                if number == 400 {
                    let isSaid = await eventually {
                        store.health.causes.contains { $0.contains(words) }
                    }
                    #expect(isSaid, "\(store.health.causes)")
                    try lead(to: TestServer.shared.socket)
                }
            }
        }

        @Test func aPoolerOfSessionsIsAsGoodAsTheServer() async throws {
            let pooler = try TestPooler(to: .shared, .aSession)
            defer { pooler.end() }
            let test = try TestStore()
            let address = TestServer.shared.url(test.database.name, socket: pooler.directory)
            try await test.write(at: address) { store, number in
                guard number == 300 else { return }
                let players = try store.table(Player.self)
                try await store.waitForAll(.materialized, timeout: .hang)
                try players.evict(1)
                #expect(try await players.get(1) == Player(id: 1, name: "n", score: 201))
            }
        }

        /// A pooler may give a session the process of another one. That must not run the other one's statements, which may
        /// read other tables.
        @Test func eachSessionNamesItsStatementsDifferently() async throws {
            let test = try TestStore()
            let proxy = try TestProxy(to: .shared, number: Int.random(in: 1...1_000_000))
            defer { proxy.end() }
            let sessions = Lock(0)
            let names = Lock<[String]>([])
            proxy.set { message in
                if !message.isFromServer, message.type == 0 { sessions.withLock { $0 += 1 } }
                if !message.isFromServer, message.type == UInt8(ascii: "P") {
                    names.withLock { $0.append(message.text) }
                }
                return .forward
            }
            let store = try test.open(
                at: TestServer.shared.url(test.database.name, socket: proxy.directory))
            let players = try store.table(Player.self)
            try players.put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try players.evict(1)
            #expect(try await players.get(1) == Player(id: 1))
            try await store.close(deadline: .hang)
            #expect(sessions.withLock { $0 } >= 2)
            let all = names.withLock { $0 }
            #expect(all.count >= 2 && Set(all).count == all.count, "\(all)")
        }
    }
}

/// A run of `pg_dump`.
///
/// `@unchecked Sendable`: nothing changes once it is made.
private final class Dump: @unchecked Sendable {
    private let process = Process()
    private let file: String

    init(of database: TestDatabase, into file: String) throws {
        self.file = file
        process.executableURL = URL(filePath: try TestServer.program("pg_dump"))
        process.arguments = ["--file", file, database.url]
        try process.run()
    }

    deinit { try? FileManager.default.removeItem(atPath: file) }

    /// Another database, with what was dumped.
    func restored() throws -> TestDatabase {
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let database = try TestServer.shared.makeDatabase()
        let psql = try Process.run(
            URL(filePath: try TestServer.program("psql")),
            arguments: [
                "--quiet", "--set", "ON_ERROR_STOP=1", "--output", "/dev/null", "--file", file,
                database.url,
            ])
        psql.waitUntilExit()
        #expect(psql.terminationStatus == 0)
        return database
    }
}
