#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindTesting

    // The code of the guides: all of it must be here.

    enum GuidePages {
        @Table struct Order {
            let id: Int
            var item = ""
        }

        @Table struct Visits {
            @Key let page: String
            var count = 0
            @Expires var until: Date
        }

        @Table struct User: Codable, FetchableRecord, TableRecord {
            let id: Int
            var name: String
        }
    }

    extension StoreError {
        var httpStatus: Int {
            switch self {
            case .row, .commitTooLarge, .quarantined: 422
            case .duplicateKey: 409
            case .noSuchRow: 404
            case .timedOut: 202
            case .backlogFull, .diskFull, .noResources, .contended, .database: 503
            case .closed, .cancelled: 503
            default: 500
            }
        }
    }

    @Suite struct GuidePagesTests {
        private typealias Order = GuidePages.Order
        private typealias Visits = GuidePages.Visits
        private typealias User = GuidePages.User

        /// A directory that is there until the test ends.
        private final class Directory {
            let path =
                FileManager.default.temporaryDirectory.path + "/wb-guide-" + UUID().uuidString

            init() throws {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: false)
            }

            deinit { try? FileManager.default.removeItem(atPath: path) }
        }

        private func sql(_ query: String, of store: Store) async throws -> [String] {
            try await store.database.read { db in try String.fetchAll(db, sql: query) }
        }

        @Test func stages() async throws {
            let store = try Store.inMemory()
            let orders = try store.table(Order.self)
            let order = Order(id: 0)
            let batch = (1..<10).map { Order(id: $0) }

            let receipt = try orders.put(order)
            try await store.wait(for: .durable, receipt, timeout: .seconds(5))

            for order in batch { try orders.put(order) }
            try await store.waitForAll(.durable)

            let again = try store.crash(.powerLoss(seed: 7))
            let survivors = try await again.table(Order.self).get(all: 0..<10)
            #expect(survivors.compactMap { $0 }.count == 10)
        }

        @Test func aWriteThatWasNotConfirmedInTimeStays() async throws {
            let store = try Store.inMemory()
            let orders = try store.table(Order.self)
            store.fail(.database(.busy))
            let receipt = try orders.put(Order(id: 1))
            do {
                try await store.wait(for: .materialized, receipt, timeout: .seconds(5))
                Issue.record("the database was locked")
            } catch {
                #expect(error.httpStatus == 202)
            }
            store.stopFailing()
            try await store.wait(for: .materialized, receipt, timeout: .seconds(60))
        }

        @Test func aFullBacklogIsWaitedFor() async throws {
            func putPatiently(
                _ order: Order, in orders: StoredTable<Order>
            ) async throws -> Receipt {
                while true {
                    do throws(StoreError) {
                        return try orders.put(order)
                    } catch {
                        guard case .backlogFull = error else { throw error }
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            let store = try Store.inMemory()
            let orders = try store.table(Order.self)
            #expect(try await putPatiently(Order(id: 1), in: orders).sequence > 0)
            #expect(try orders.cached(1)?.id == 1)
        }

        @Test func sizing() async throws {
            let directory = try Directory()
            var configuration = StoreConfiguration()
            configuration.cacheLimit = 32 << 20
            configuration.dirtyLimit = 24 << 20
            configuration.batchBytes = 8 << 20
            configuration.snapshotMemory = 8 << 20
            configuration.readers = 2
            configuration.logKept = .seconds(24 * 3600)
            configuration.logBytesKept = 1 << 30
            configuration.closeDeadline = .seconds(20)
            let game = directory.path + "/game"
            let store = try await Store(at: game, configuration: configuration)
            try await store.close()
        }

        @Test func backup() async throws {
            let directory = try Directory()
            let path = directory.path + "/copy.sqlite"
            let store = try Store.inMemory()
            try store.table(Order.self).put(Order(id: 1, item: "tea"))
            try await store.waitForAll(.materialized)

            let copy = try DatabaseQueue(path: path)
            try store.database.backup(to: copy)

            #expect(
                try await copy.read { try String.fetchAll($0, sql: "SELECT item FROM \"order\"") }
                    == ["tea"])

            try store.mark("before the migration")
            try await store.snapshot()

            #expect(try await store.marks().map(\.name) == ["before the migration"])
            #expect(try await store.snapshots().count == 1)
        }

        /// As the page says: with only a copy of the database, and nothing beside it, the log does the rest.
        @Test func aCopyOfTheDatabaseThatIsPutBackIsBroughtForward() async throws {
            let directory = try Directory()
            let (path, copied) = (directory.path + "/store", directory.path + "/copy.sqlite")
            let store = try await Store(at: path)
            let orders = try store.table(Order.self)
            try orders.put(Order(id: 1, item: "tea"))
            try await store.waitForAll(.materialized)
            let copy = try DatabaseQueue(path: copied)
            try store.database.backup(to: copy)
            try copy.close()
            try orders.put(Order(id: 2, item: "milk"))
            try await store.close()
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: path + "/database.sqlite" + suffix)
            }
            try FileManager.default.copyItem(atPath: copied, toPath: path + "/database.sqlite")
            let again = try await Store(at: path)
            try await again.waitForAll(.materialized)
            #expect(
                try await sql("SELECT item FROM \"order\" ORDER BY id", of: again) == [
                    "tea", "milk",
                ])
            try await again.close()
        }

        @Test func movingFromRedis() async throws {
            let store = try Store.inMemory()
            let table = try store.table(Visits.self)
            let midnight = store.clock.date.addingTimeInterval(3600)
            let first = Visits(page: "/", count: 1, until: midnight)
            let visits = try await table.increment("/", \.count, orPut: first)
            #expect(visits.value == 1)
            store.advance(by: .seconds(3605))
            #expect(try await table.get("/") == nil)
        }

        @Test func movingFromSQLite() async throws {
            let directory = try Directory()
            let path = directory.path + "/old.sqlite"
            try await DatabaseQueue(path: path).write { db in
                try db.execute(
                    sql: "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
                for id in 0..<1200 {
                    try db.execute(sql: "INSERT INTO user VALUES (?, 'a')", arguments: [id])
                }
            }
            let store = try Store.inMemory()
            let table = try store.table(User.self)

            let old = try DatabaseQueue(path: path)
            let users = try await old.read { db in try User.fetchAll(db) }
            for start in stride(from: 0, to: users.count, by: 500) {
                try table.put(contentsOf: users[start..<min(start + 500, users.count)])
            }
            try await store.waitForAll(.materialized)

            #expect(try await sql("SELECT count(*) FROM user", of: store) == ["1200"])
        }

        @Test func probes() async throws {
            let store = try Store.inMemory()
            func probe() throws -> (Int, [String: Any]) {
                let health = store.health
                let body = try JSONEncoder().encode(health)
                let status = health.verdict < .failed ? 200 : 503
                let json = try JSONSerialization.jsonObject(with: body) as? [String: Any]
                return (status, json ?? [:])
            }
            store.advance(by: .seconds(5))
            #expect(try probe().0 == 200)
            #expect(try probe().1["verdict"] as? String == "healthy")
            #expect(try probe().1["secondsUnwell"] == nil)
            let orders = try store.table(Order.self)
            store.fail(.database(.busy))
            for id in 0..<20 {
                try orders.put(Order(id: id))
                store.advance(by: .seconds(1))
            }
            let (status, json) = try probe()
            #expect(status == 200)
            #expect(json["verdict"] as? String == "degraded")
            #expect((json["causes"] as? [String])?.first?.contains("since") == true)
            let unwell = try #require(json["secondsUnwell"] as? Double)
            #expect((15...21).contains(unwell))
            let rates = try #require(json["rates"] as? [String: Any])
            #expect((rates["written"] as? Double).map { abs($0 - 1) < 0.2 } == true)
            #expect(rates["applied"] as? Double == 0)
            #expect(rates["secondsToCatchUp"] == nil)
            store.stopFailing()
            store.advance(by: .seconds(60))
            #expect(store.health.verdict == .healthy)
            #expect(store.health.rates?.secondsToCatchUp == 0)
            try await store.close()
            #expect(try probe().0 == 503)
            #expect(try probe().1["verdict"] as? String == "closed")
        }

        @Test(arguments: [
            "Stages.md", "Sizing.md", "Backup.md", "Moving.md", "Containers.md", "Errors.md",
        ])
        func allCodeOfAGuideIsInThisFile(_ page: String) throws {
            #expect(try PageCode.missing(from: #filePath, of: page) == [])
        }
    }
#endif
