import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// What is done to the server, to the network and to the session. After each: the rows are those that were written, each
    /// change was made once, and what waited has moved on.
    @Suite struct FailureTests {
        @Test func aServerThatIsKilledInTheMiddleOfBatches() async throws {
            let test = try TestStore()
            try await test.write { _, number in
                guard number % 150 == 0 else { return }
                TestServer.shared.kill()
                try await Task.sleep(for: .milliseconds(20))
                try TestServer.shared.start()
            }
        }

        /// Nobody writes any more: the store itself brings back what the server has forgotten.
        @Test func aServerThatIsKilledWhileTheStoreIsIdle() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1, score: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            let before = try test.claims()
            TestServer.shared.kill()
            try TestServer.shared.start()
            #expect(try await eventually { try test.claims() != before })
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == [Player(id: 1, score: 1)])
            try await store.close(deadline: .hang)
        }

        /// Nobody would apply it again until the store is opened.
        @Test func whatAClosedStoreHasMaterializedSurvivesTheServer() async throws {
            let test = try TestStore()
            for round in 1...5 {
                let store = try test.open()
                try store.table(Player.self).put(Player(id: 1, score: round))
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.close(deadline: .hang)
                TestServer.shared.kill()
                try TestServer.shared.start()
                #expect(try test.players() == [Player(id: 1, score: round)])
            }
        }

        /// The server forgets what it had not kept before the store is closed.
        @Test(arguments: [0, 300])
        func aServerThatIsKilledBeforeTheStoreIsClosed(millisecondsDown: Int) async throws {
            let test = try TestStore()
            for round in 1...5 {
                let store = try test.open()
                try store.table(Player.self).put(Player(id: 1, score: round))
                try await store.waitForAll(.materialized, timeout: .hang)
                TestServer.shared.kill()
                async let report = store.close(deadline: .hang)
                try await Task.sleep(for: .milliseconds(millisecondsDown))
                try TestServer.shared.start()
                #expect(try await report.pending == 0)
                #expect(try test.players() == [Player(id: 1, score: round)])
            }
        }

        @Test func aServerThatIsGoneWhenTheStoreIsClosedLeavesItPending() async throws {
            let test = try TestStore()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1, score: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            TestServer.shared.kill()
            let report = try await store.close(deadline: .milliseconds(200))
            #expect(report.pending > 0)
            try TestServer.shared.start()
            let again = try test.open()
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == [Player(id: 1, score: 1)])
            try await again.close(deadline: .hang)
        }

        @Test func aServerThatHangsWhenTheStoreIsClosedDoesNotHoldItUp() async throws {
            let test = try TestStore()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1, score: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            let sessions = try test.database.run(
                """
                SELECT pid FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            ).compactMap { $0[0].flatMap { pid_t($0) } }
            for session in sessions { kill(session, SIGSTOP) }
            defer { for session in sessions { kill(session, SIGCONT) } }
            let start = ContinuousClock.now
            let report = try await store.close(deadline: .milliseconds(500))
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(!sessions.isEmpty && report.pending > 0)
        }

        @Test func aServerThatIsStoppedAtOnce() async throws {
            let test = try TestStore()
            try await test.write { _, number in
                guard number % 200 == 0 else { return }
                TestServer.shared.stopImmediately()
                try TestServer.shared.start()
            }
        }

        @Test(arguments: [
            ("question", "cut"), ("question", "cut behind"), ("answer", "cut"),
            ("answer", "cut behind"), ("answer", "too late"), ("answer", "half closed"),
        ])
        func aCommitWhoseOutcomeNobodyKnows(_ place: String, _ how: String) async throws {
            let test = try TestStore()
            let proxy = try TestProxy(to: .shared, number: Int.random(in: 1...1_000_000))
            defer { proxy.end() }
            let address = TestServer.shared.url(test.database.name, socket: proxy.directory)
            let hits = Lock(0)
            let hit = Lock<Signal?>(nil)
            try await test.write(at: address) { _, number in
                // What is written behind this one needs a commit more.
                if number % 100 == 51, let done = hit.withLock({ $0 }) {
                    let isDone = await eventually { done.current > 0 }
                    #expect(isDone)
                    hits.withLock { $0 += 1 }
                }
                guard number % 100 == 50 else { return }
                let action: TestProxy.Action =
                    switch how {
                    case "half closed": .halfClose
                    case "too late": .delay(milliseconds: 100)
                    case "cut": .cut
                    default: .forwardAndCut
                    }
                let done = proxy.once(action) {
                    place == "question" ? $0.isCommit : $0.isCommitted
                }
                hit.withLock { $0 = done }
            }
            #expect(hits.withLock { $0 } == 6)
        }

        /// Each message of a session's beginning and of its first batches, in turn.
        @Test func aConnectionThatIsCutAtEachMessage() async throws {
            let test = try TestStore()
            let proxy = try TestProxy(to: .shared, number: Int.random(in: 1...1_000_000))
            defer { proxy.end() }
            let address = TestServer.shared.url(test.database.name, socket: proxy.directory)
            let seen = Lock(0)
            let cutAt = Lock(1)
            try await test.write(at: address, count: 900) { _, number in
                guard number % 9 == 0 else { return }
                let next = cutAt.withLock { cutAt in
                    cutAt += 1
                    return cutAt
                }
                seen.withLock { $0 = 0 }
                proxy.set { _ in
                    let place = seen.withLock { seen in
                        seen += 1
                        return seen
                    }
                    return place == next ? .cut : .forward
                }
                try await Task.sleep(for: .milliseconds(3))
            }
            proxy.set { _ in .forward }
        }

        @Test func aServerThatHangs() async throws {
            let test = try TestStore()
            let proxy = try TestProxy(to: .shared, number: Int.random(in: 1...1_000_000))
            defer { proxy.end() }
            let address = TestServer.shared.url(test.database.name, socket: proxy.directory)
            try await test.write(at: address, count: 300) {
                $0.silenceLimit = 300_000_000
            } trouble: { _, number in
                guard number == 100 else { return }
                _ = proxy.once(.swallow) { $0.isCommitted }
            }
        }

        @Test func aDeadlockWithAnotherSession() async throws {
            let test = try TestStore()
            let watcher = try Session(test.database.url)
            try await test.write(count: 300) { store, number in
                guard number == 200 else { return }
                try await store.waitForAll(.materialized, timeout: .hang)
                let session = try Session(test.database.url)
                // The other one of the two is to find it.
                try session.run("SET deadlock_timeout = '1min'; BEGIN")
                try session.run("SELECT 1 FROM player WHERE id = 1 FOR UPDATE")
                let players = try store.table(Player.self)
                // A batch locks its rows in the order of their keys.
                try store.transaction { transaction in
                    try transaction.put(Player(id: 0, name: "n", score: 1000), in: players)
                    try transaction.put(Player(id: 1, name: "n", score: 1001), in: players)
                }
                let waits = """
                    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                    AND datname = current_database()
                    """
                _ = try await eventually { try watcher.run(waits)[0][0] == "1" }
                try session.run("SELECT 1 FROM player WHERE id = 0 FOR UPDATE")
                try session.run("ROLLBACK")
            }
            let found = try await eventually {
                try watcher.run(
                    "SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()")[
                        0][0] == "t"
            }
            #expect(found)
        }

        @Test func aLockThatIsHeldLong() async throws {
            let test = try TestStore()
            let session = try Session(test.database.url)
            try await test.write(count: 300) { store, number in
                if number == 100 { try session.run("BEGIN; LOCK TABLE player IN SHARE MODE") }
                // Of what was written before, all may be in the database.
                if number == 101 {
                    let isNamed = await eventually {
                        store.health.causes.contains {
                            $0.contains("has a lock that a write waits for")
                        }
                    }
                    #expect(isNamed, "\(store.health.causes)")
                }
                if number == 200 { try session.run("ROLLBACK") }
            }
        }

        @Test func aDatabaseThatIsReadOnlyForAWhile() async throws {
            let test = try TestStore()
            let name = test.database.name
            try await test.write(count: 300) { store, number in
                let server = TestDatabase(server: .shared, name: "postgres")
                if number == 100 {
                    // What sessions say of themselves outweighs this.
                    try server.run("ALTER DATABASE \(name) SET default_transaction_read_only = on")
                    try server.run(
                        "ALTER DATABASE \(name) SET statement_timeout = 1; ALTER DATABASE \(name) SET lock_timeout = 1"
                    )
                    try server.run(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)'
                        """)
                }
            }
            try TestDatabase(server: .shared, name: "postgres")
                .run("ALTER DATABASE \(name) RESET ALL")
        }

        /// As after a failover to a replica that lacked the last seconds, or from a backup.
        @Test(arguments: [false, true])
        func aServerThatHasGoneBack(_ beforeTheClaim: Bool) async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            for id in 0..<50 { try players.put(Player(id: id)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            if beforeTheClaim { try await store.close(deadline: .hang) }
            try test.database.run(
                """
                CREATE TABLE old_player AS SELECT * FROM player;
                CREATE TABLE old_watermark AS SELECT * FROM writebehind.watermark
                """)
            let again = beforeTheClaim ? try test.open() : store
            let rows = try again.table(Player.self)
            for id in 25..<75 { try rows.put(Player(id: id, score: 1)) }
            try await again.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                """
                BEGIN; DELETE FROM player; INSERT INTO player SELECT * FROM old_player;
                DELETE FROM writebehind.watermark; INSERT INTO writebehind.watermark SELECT * FROM old_watermark;
                COMMIT
                """)
            try rows.put(Player(id: 100))
            let isForward = try await eventually { try test.players().count == 76 }
            #expect(isForward, "\(again.health)")
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(
                try test.players().map(\.score) == Array(repeating: 0, count: 25)
                    + Array(repeating: 1, count: 50) + [0])
            try await again.close(deadline: .hang)
        }

        @Test func anotherHistoryIsRefused() async throws {
            let test = try TestStore()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            try test.database.run("UPDATE writebehind.watermark SET chain = chain + 1")
            #expect {
                try test.open()
            } throws: { error in
                "\(error)".contains("other-history")
            }
            #expect(try test.players().count == 1)
        }

        /// A copy of the store's directory has the same identity. Two that write would mix their rows.
        @Test func aSecondStoreThatClaimsFencesTheFirst() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.waitForAll(.durable, timeout: .hang)
            let copy = test.path + "-copy"
            defer { try? FileManager.default.removeItem(atPath: copy) }
            try FileManager.default.copyItem(atPath: test.path, toPath: copy)
            let second = try test.open(path: copy)
            try second.table(Player.self).put(Player(id: 2, name: "second"))
            try await second.waitForAll(.materialized, timeout: .hang)
            try players.put(Player(id: 3, name: "first"))
            let isFenced = await eventually {
                store.health.causes.contains { $0.contains("has claimed it") }
            }
            #expect(isFenced)
            try players.evict(1)
            await #expect(throws: StoreError.self) { try await players.get(1) }
            try second.table(Player.self).put(Player(id: 4))
            try await second.waitForAll(.materialized, timeout: .hang)
            // Not claimed back, not even by a new session.
            try test.database.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            try second.table(Player.self).put(Player(id: 5))
            try await second.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players().map(\.id) == [1, 2, 4, 5])
            store.abandon()
            try await second.close(deadline: .hang)
        }

        @Test func anAddressThatCannotBeUsedIsSaidInTheServersWords() async throws {
            let test = try TestStore()
            for (address, words) in [
                (TestServer.shared.url("nowhere"), "does not exist"),
                (TestServer.shared.url(test.database.name, user: "nobody"), "does not exist"),
                (TestServer.shared.url(test.database.name, socket: "/nowhere"), "No such file"),
                ("host=/nowhere bad", "missing"),
            ] {
                #expect {
                    try test.open(at: address)
                } throws: { error in
                    "\(error)".contains(words)
                }
            }
        }

        @Test func aRoleWithoutRightsIsSaidWhatItNeeds() async throws {
            let test = try TestStore()
            let role = "role_\(test.database.name)"
            try test.database.run("CREATE ROLE \(role) LOGIN")
            #expect {
                try test.open(at: TestServer.shared.url(test.database.name, user: role))
            } throws: { error in
                "\(error)".contains("GRANT CREATE ON DATABASE")
            }
            try test.database.run(
                "GRANT CREATE ON DATABASE \(test.database.name) TO \(role); GRANT CREATE ON SCHEMA public TO \(role)"
            )
            let store = try test.open(at: TestServer.shared.url(test.database.name, user: role))
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
        }
    }
}
