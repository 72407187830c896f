import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

extension PostgreSQL {
    /// What happens to a whole server, and needs one of its own.
    @Suite struct ServerFailureTests {
        /// Where the log of the server finds no room, the server ends, and does not start before there is some.
        @Test(
            .enabled(if: PrivateMounts.areUsable, "mounting needs root"),
            arguments: ["tables", "write-ahead log"])
        func aServerWhoseDiskIsFullGetsEverythingOnceThereIsRoom(_ part: String) async throws {
            let isLog = part == "write-ahead log"
            var setup = TestServer.Setup(diskSize: 32)
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
                    let words = isLog ? "connection to server" : "No space left on device"
                    let isSaid = await eventually {
                        store.health.causes.contains { $0.contains(words) }
                    }
                    #expect(isSaid, "\(store.health.causes)")
                    #expect(store.health.verdict == .degraded)
                    let lag = store.health.lag
                    #expect(lag.materialized < lag.durable)
                    server.makeRoomOnDisk()
                    if isLog {
                        server.kill()
                        try server.start()
                    }
                }
            }
        }

        /// The replica had not yet got what was committed last, and the log of the store still has it.
        @Test(arguments: ["takes the primary's place", "is named in the address"])
        func aPromotedReplicaThatLacksTheLastTransactionsIsRolledForward(
            _ how: String
        ) async throws {
            let primary = try TestServer(TestServer.Setup())
            let place = primary.directory + "/place"
            try FileManager.default.createSymbolicLink(
                atPath: place, withDestinationPath: primary.socket)
            var database = try primary.makeDatabase()
            database.socket = place
            let replica = try TestServer(
                TestServer.Setup(primary: primary, settings: ["wal_retrieve_retry_interval=100ms"]))
            let test = try TestStore(in: database)
            let copy = try Session(replica.url(database.name))
            let watermark = "SELECT sequence FROM writebehind.watermark"
            let isNamed = how == "is named in the address"
            let both =
                "dbname=\(database.name) user=postgres host=\(primary.socket),\(replica.socket)"
            try await test.write(at: isNamed ? both : nil) { store, number in
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
                    let words = isNamed ? "the server is a standby" : "connection to server"
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
            #expect(
                try Session(replica.url(database.name)).run("SELECT count(*) FROM player") == [
                    ["100"]
                ])
        }
    }
}
