#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Indices in SQL and unique constraints that are declared with their table.
    @Suite struct DeclaredIndexTests {
        @Table("user") struct Plain: Equatable {
            var id: Int
            var email: String
            var name = ""
            var city = ""
        }

        @Table("user") @SQLIndex("city", "name") struct Indexed: Equatable {
            var id: Int
            @Unique var email: String
            var name = ""
            var city = ""
        }

        @Table("user") @Unique("name", "town") struct Moved: Equatable {
            var id: Int
            @Unique var email: String
            var name = ""
            @Column(formerly: "city") @SQLIndex var town = ""
        }

        private let directory = TemporaryStore()

        private func indices(_ store: Store) async throws -> [String] {
            try await store.database.read { db in
                try String.fetchAll(
                    db,
                    sql: """
                        SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'user'
                        AND sql IS NOT NULL ORDER BY sql
                        """)
            }
        }

        private static let ofIndexed = [
            #"CREATE INDEX _writebehind_index_1_3_2 ON "user" ("city", "name")"#,
            #"CREATE UNIQUE INDEX _writebehind_unique_1_1 ON "user" ("email")"#,
        ]

        @Test func theDatabaseHasWhatTheLastDeclarationSays() async throws {
            var store = try directory.open()
            let plain = try store.table(Plain.self)
            for id in 0..<9 { try plain.put(Plain(id: id, email: "\(id)", name: "n\(id % 2)")) }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await indices(store).isEmpty)
            _ = try store.table(Indexed.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await indices(store) == Self.ofIndexed)
            let plan = try await store.database.read { db in
                let row = try Row.fetchOne(
                    db, sql: "EXPLAIN QUERY PLAN SELECT id FROM user WHERE city = 'x'")
                return row?["detail"] as String?
            }
            #expect(plan?.contains("_writebehind_index_1_3_2") == true)
            try await store.close()

            store = try directory.open()
            #expect(try await indices(store) == Self.ofIndexed)
            let moved = try store.table(Moved.self)
            try moved.put(Moved(id: 10, email: "10", name: "n", town: "t"))
            try await store.waitForAll(.materialized, timeout: .hang)
            // Of the pairs that were there, some are the same.
            #expect(
                try await indices(store) == [
                    #"CREATE INDEX _writebehind_index_1_3 ON "user" ("town")"#,
                    #"CREATE UNIQUE INDEX _writebehind_unique_1_1 ON "user" ("email")"#,
                ])
            _ = try store.table(Plain.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await indices(store).isEmpty)
            try await store.close()
        }

        @Test func aRowThatBreaksAConstraintWaitsInQuarantine() async throws {
            let store = try directory.open()
            let users = try store.table(Indexed.self)
            try users.put(Indexed(id: 1, email: "a"))
            let refused = try users.put(Indexed(id: 2, email: "a"))
            try users.put(Indexed(id: 3, email: "c"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().map(\.sequence) == [refused.firstSequence])
            #expect(store.quarantine.list().first?.reason.contains("user.email") == true)
            #expect(try await users.get(2)?.email == "a")
            let stored =
                "SELECT group_concat(text, ' ') FROM (SELECT id || email AS text FROM user ORDER BY id)"
            #expect(try await text(stored, store) == "1a 3c")
            try await users.update(1) { $0.email = "b" }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try await text(stored, store) == "1b 2a 3c")
            try await store.close()
        }

        private func text(_ sql: String, _ store: Store) async throws -> String? {
            try await store.database.read { try String.fetchOne($0, sql: sql) }
        }

        /// What was acknowledged before the declaration stays where it is.
        @Test func aConstraintThatRowsBreakIsNamedAndComesIntoForceOnceTheyAreChanged() async throws
        {
            var store = try directory.open()
            let plain = try store.table(Plain.self)
            for id in 1...3 { try plain.put(Plain(id: id, email: id < 3 ? "a" : "c", city: "x")) }
            let users = try store.table(Indexed.self)
            try users.put(Indexed(id: 4, email: "a"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            #expect(try await indices(store) == [Self.ofIndexed[0]])
            let cause =
                #"rows of table "user" have the same email, so the unique constraint on it is not in force; "#
                + "change these rows, then retry quarantine"
            #expect(await eventually { store.health.causes.contains(cause) })
            #expect(store.health.verdict == .degraded)
            try await store.close()
            store = try directory.open()
            #expect(await eventually { store.health.causes.contains(cause) })
            let again = try store.table(Indexed.self)
            for id in [2, 4] { try await again.update(id) { $0.email = "\(id)" } }
            try await store.waitForAll(.materialized, timeout: .hang)
            _ = try await store.quarantine.retry()
            #expect(try await indices(store) == Self.ofIndexed)
            #expect(await eventually { store.health.verdict == .healthy })
            try again.put(Indexed(id: 5, email: "a"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().count == 1)
            try await store.close()
        }

        @Test(arguments: ["log", "snapshot"])
        func aRebuiltDatabaseHasThemAndRefusesTheSame(from base: String) async throws {
            var store = try directory.open()
            let users = try store.table(Indexed.self)
            for id in 0..<50 { try users.put(Indexed(id: id, email: "\(id)")) }
            let refused = try users.put(Indexed(id: 100, email: "7"))
            try await store.waitForAll(.materialized, timeout: .hang)
            if base == "snapshot" { _ = try await store.snapshot() }
            try await store.close()
            try FileManager.default.removeItem(atPath: directory.database)
            store = try directory.open()
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await indices(store) == Self.ofIndexed)
            #expect(store.quarantine.list().map(\.sequence) == [refused.firstSequence])
            try await store.close()
        }

        @Test func whereTheLogIsGoneRowsComeBeforeTheConstraint() async throws {
            func open() throws -> Store {
                try directory.open {
                    $0.logKept = .zero
                    $0.logBytesKept = 0
                    $0.segmentSize = 64 << 10
                }
            }
            var store = try open()
            let users = try store.table(Indexed.self)
            let first = StoreLayout(root: directory.path).segment(1)
            var id = 0
            repeat {
                for _ in 0..<500 {
                    id += 1
                    try users.put(Indexed(id: id, email: UUID().uuidString))
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                _ = try await store.snapshot()
            } while FileManager.default.fileExists(atPath: first)
            for id in [-1, -2] { try users.put(Indexed(id: id, email: "same")) }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().count == 1)
            _ = try await store.snapshot()
            try await store.close()
            try FileManager.default.removeItem(atPath: directory.database)
            store = try open()
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await text("SELECT count(*) FROM user WHERE email = 'same'", store) == "2")
            #expect(try await indices(store) == [Self.ofIndexed[0]])
            #expect(
                await eventually { store.health.causes.contains { $0.contains("not in force") } })
            try await store.close()
        }
    }
#endif
