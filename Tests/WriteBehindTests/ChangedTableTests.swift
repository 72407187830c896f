#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindInspection
    import WriteBehindSQLite

    /// A table whose columns are renamed, dropped, let be null and made real, between writes.
    @Suite struct ChangedTableTests {
        @Table("ship") struct First: Equatable {
            var id: Int
            var name: String
            var note = "-"
            var crew = 3
            var size = 1
        }

        @Table("ship") struct Renamed: Equatable {
            var id: Int
            @Column(formerly: "name") var title: String
            var note = "-"
            var crew = 3
            var size = 1
        }

        @Table("ship", dropping: "note") struct Dropped: Equatable {
            var id: Int
            @Column(formerly: "name") var title: String
            var crew = 3
            var size = 1
        }

        @Table("ship", dropping: "note") struct Nullable: Equatable {
            var id: Int
            @Column(formerly: "name") var title: String
            var crew: Int?
            var size = 1
        }

        @Table("ship", dropping: "note") struct Last: Equatable {
            var id: Int
            @Column(formerly: "name") var title: String
            var crew: Int?
            var size = 1.0
            var port: String?
        }

        /// Larger than what a double holds exactly.
        static let large = 9_007_199_254_740_993

        static let rows = [
            Last(id: 1, title: "Emma", crew: nil, size: 1),
            Last(id: 2, title: "B", crew: 3, size: 2.5),
            Last(id: 3, title: "C", crew: 30, size: Double(large)),
            Last(id: 4, title: "D", crew: 4, size: 4),
            Last(id: 5, title: "E", crew: nil, size: 5),
            Last(id: 6, title: "F", crew: nil, size: 0.5, port: "Ostende"),
            Last(id: 7, title: "G", crew: 3, size: -7),
        ]

        /// Each version of the program writes, and changes a row of an earlier one.
        private func write(_ store: Store, _ settle: () async throws -> Void) async throws {
            let first = try store.table(First.self)
            try first.put(First(id: 1, name: "A"))
            try first.put(First(id: 2, name: "B", note: "n", size: 2))
            try first.put(First(id: 7, name: "G", size: -7))
            try await settle()
            let renamed = try store.table(Renamed.self)
            try renamed.put(Renamed(id: 3, title: "C", crew: 30, size: Self.large))
            try await renamed.update(1) { $0.title = "Emma" }
            // A handle from before goes on.
            try await first.update(7) { $0.note = "first" }
            try await settle()
            let dropped = try store.table(Dropped.self)
            try dropped.put(Dropped(id: 4, title: "D", crew: 4, size: 4))
            try await settle()
            let nullable = try store.table(Nullable.self)
            try nullable.put(Nullable(id: 5, title: "E", crew: nil, size: 5))
            try await nullable.update(1) { $0.crew = nil }
            try await settle()
            let last = try store.table(Last.self)
            try last.put(Self.rows[5])
            try await last.update(2) { $0.size = 2.5 }
            // It cannot know that there are reals now.
            try await nullable.increment(7, \.size, by: 0)
        }

        private func check(_ store: Store, _ what: Comment) async throws {
            let last = try store.table(Last.self)
            for row in Self.rows { #expect(try await last.get(row.id) == row, what) }
            try await store.waitForAll(.materialized, timeout: .hang)
            for row in Self.rows {
                #expect(try last.evict(row.id))
                #expect(try await last.get(row.id) == row, what)
            }
        }

        private func differences(_ directory: TemporaryStore) throws -> [String] {
            var found: [String] = []
            let verification = try DatabaseVerification(StoreInspection(path: directory.path)) {
                found.append("\($0) \($1)")
            }
            #expect(verification.fault == nil)
            return found
        }

        @Test(arguments: [false, true])
        func everyChangeHoldsInMemoryDatabaseAndLog(isBehind: Bool) async throws {
            let directory = TemporaryStore()
            let failing = Failing()
            var store = try directory.open(failing: failing)
            if isBehind { failing.now = SinkError(.busy, "everything waits in the log") }
            try await write(store) {
                if !isBehind { try await store.waitForAll(.materialized, timeout: .hang) }
            }
            let last = try store.table(Last.self)
            for row in Self.rows { #expect(try await last.get(row.id) == row) }
            // What a process that is killed now leaves.
            try await store.waitForAll(.durable, timeout: .hang)
            let killed = TemporaryStore()
            try FileManager.default.copyItem(atPath: directory.path, toPath: killed.path)
            let recovered = try killed.open()
            try await check(recovered, "killed")
            try await recovered.close()
            #expect(try differences(killed).isEmpty)

            failing.now = nil
            try await check(store, "going on")
            let history = try await last.history(of: 1).map(\.row?.title)
            #expect(history == ["A", "Emma", "Emma"])
            let database = try DatabaseQueue(path: directory.database)
            let stored = try await database.read { db in
                try Row.fetchAll(db, sql: "SELECT * FROM ship ORDER BY id").map { row in
                    zip(row.columnNames, row.databaseValues).map { "\($0)=\($1)" }
                        .joined(separator: " ")
                }
            }
            #expect(stored[0] == #"id=1 title="Emma" crew=NULL size=1.0 port=NULL"#)
            #expect(stored[5] == #"id=6 title="F" crew=NULL size=0.5 port="Ostende""#)
            let integrity = try await database.read { db in
                try String.fetchAll(db, sql: "PRAGMA integrity_check")
            }
            #expect(integrity == ["ok"])
            try database.close()
            try await store.snapshot()
            try await store.close()
            #expect(try differences(directory).isEmpty)
            store = try directory.open()
            try await check(store, "opened again")
            try await store.close()
            try FileManager.default.removeItem(atPath: directory.database)
            store = try directory.open()
            try await check(store, "made of snapshot and log")
            try await store.close()
            #expect(try differences(directory).isEmpty)
        }

        @Test func usersIndicesViewsAndTriggersAreCarriedOver() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let first = try store.table(First.self)
            for id in 0..<50 { try first.put(First(id: id, name: "s\(id)", size: id * 7 % 50)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user(
                """
                CREATE UNIQUE INDEX by_name ON ship (name); CREATE INDEX by_size ON ship (size);
                CREATE VIEW small AS SELECT name FROM ship WHERE size < 10;
                CREATE TABLE seen (name);
                CREATE TRIGGER see AFTER INSERT ON ship BEGIN
                  INSERT INTO seen VALUES (NEW.name); END;
                """)
            let last = try store.table(Last.self)
            try last.put(Last(id: 100, title: "new", size: 5.5))
            try await store.waitForAll(.materialized, timeout: .hang)
            let found = try await store.database.read { db in
                try [
                    "SELECT title FROM ship WHERE title = 's3'",
                    "SELECT id FROM ship INDEXED BY by_size WHERE size = 49",
                    "SELECT count(*) FROM small", "SELECT name FROM seen",
                    "SELECT count(*) FROM ship INDEXED BY by_size WHERE size > 4.9 AND size < 6",
                    "SELECT sql FROM sqlite_master WHERE name = 'by_name'",
                    "PRAGMA integrity_check",
                ].map {
                    try Row.fetchOne(db, sql: $0).flatMap {
                        $0.databaseValues.first.map { "\($0)" }
                    }
                }
            }
            #expect(
                found == [
                    "\"s3\"", "7", "11", "\"new\"", "2",
                    #""CREATE UNIQUE INDEX by_name ON ship (\"title\")""#, "\"ok\"",
                ])
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }

        @Test func aColumnThatAUserUsesIsNotDropped() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(First.self).put(First(id: 1, name: "A", note: "n"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user("CREATE VIEW notes AS SELECT note FROM ship")
            // The database looks at what users made when it next applies something.
            try store.table(First.self).put(First(id: 2, name: "B"))
            try await store.waitForAll(.materialized, timeout: .hang)
            let error = await storeError { _ = try store.table(Dropped.self) }
            #expect(
                error?.description
                    == #"table "ship", column "note": the column is to be dropped, and "#
                    + #"the view "notes" in the database uses it; drop or change that first"#)
            try directory.user("DROP VIEW notes")
            try store.table(First.self).put(First(id: 3, name: "C"))
            try await store.waitForAll(.materialized, timeout: .hang)
            let dropped = try store.table(Dropped.self)
            #expect(try await dropped.get(1) == Dropped(id: 1, title: "A"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }

        @Test func aRowThatWaitsInQuarantineIsAppliedAsTheTableIsByThen() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let first = try store.table(First.self)
            try first.put(First(id: 1, name: "A"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user("CREATE UNIQUE INDEX by_name ON ship (name)")
            try first.put(First(id: 2, name: "A", note: "n", size: Self.large))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().count == 1)
            let last = try store.table(Last.self)
            try last.put(Last(id: 3, title: "C", size: 0.5))
            try await store.waitForAll(.materialized, timeout: .hang)
            let waiting = Last(id: 2, title: "A", crew: 3, size: Double(Self.large))
            #expect(try await last.get(2) == waiting)
            #expect(store.quarantine.list().count == 1)
            try directory.user("DROP INDEX by_name")
            let retried = try await store.quarantine.retry()
            #expect(retried.applied == 1 && retried.left == 0)
            #expect(try last.evict(2))
            #expect(try await last.get(2) == waiting)
            try await store.close()
            #expect(try differences(directory).isEmpty)
        }

        @Test func aSecondDatabaseFollowsEveryChange() async throws {
            let directory = TemporaryStore()
            let other = directory.path + "-other.sqlite"
            defer {
                for end in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(atPath: other + end)
                }
            }
            var environment = StoreEnvironment.machine(readers: 2)
            environment.secondaries = [
                SecondaryDatabase.Place("reports", SQLiteOpener(SQLiteOptions(), path: other))
            ]
            let store = try Store(
                at: directory.path, configuration: StoreConfiguration(), environment: environment)
            try await write(store) {}
            try await store.close(deadline: .hang)
            let rows = try [directory.database, other].map { path in
                let queue = try DatabaseQueue(path: path)
                defer { try? queue.close() }
                return try queue.read { db in
                    try Row.fetchAll(db, sql: "SELECT * FROM ship ORDER BY id").map(\.description)
                }
            }
            #expect(rows[0].count == Self.rows.count)
            #expect(rows[0] == rows[1])
        }

        /// What a user made is for the columns as they are, of which one has the name of another before.
        @Test func whatIsCarriedOverIsForTheColumnsAsTheyAre() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            try store.table(Pair.self).put(Pair(id: 1, a: "x", b: "y"))
            _ = try store.table(Swapped.self)
            try store.table(Again.self).put(Again(id: 2, b: "y", a: "z"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user(
                "CREATE INDEX by_a ON pair (a); CREATE VIEW all_a AS SELECT a FROM pair")
            try await store.close()
            try directory.damage(table: "_writebehind_quarantine_key")
            store = try directory.open()
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            let found = try await store.database.read { db in
                try String.fetchAll(db, sql: "SELECT a FROM pair INDEXED BY by_a ORDER BY a")
                    + String.fetchAll(db, sql: "SELECT a FROM all_a ORDER BY a")
            }
            #expect(found == ["new", "z", "new", "z"])
            try await store.close()
        }

        @Test func aProgramFromBeforeAChangeOpensWhereThatIsHarmless() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            let renamed = try store.table(Renamed.self)
            try renamed.put(Renamed(id: 1, title: "A"))
            // It has the old name, and changes nothing.
            let first = try store.table(First.self)
            #expect(try await first.get(1) == First(id: 1, name: "A"))
            try await first.update(1) { $0.name = "B" }
            #expect(try await renamed.get(1) == Renamed(id: 1, title: "B"))
            #expect(try await first.increment(1, \.crew).value == 4)
            #expect(try await first.increment(1, "crew").value == 5)
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close()
            store = try directory.open()
            _ = try store.table(Nullable.self)
            let nullable = await storeError { _ = try store.table(Dropped.self) }
            #expect(
                nullable?.description.contains(#""crew": the integer column is no longer"#) == true)
            _ = try store.table(Last.self)
            let real = await storeError { _ = try store.table(Nullable.self) }
            #expect(real?.description.contains("the type changed from real to integer") == true)
            try await store.close()
        }

        @Table("pair") struct Pair: Equatable {
            var id: Int
            var a = "a", b = "b"
        }

        @Table("pair", dropping: "a") struct Swapped: Equatable {
            var id: Int
            var b = "b"
        }

        @Table("pair") struct Again: Equatable {
            var id: Int
            var b = "b"
            var a = "new"
        }

        @Test func aDroppedNameMayComeAgainAsAnotherColumn() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Pair.self).put(Pair(id: 1, a: "x", b: "y"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await store.table(Swapped.self).get(1) == Swapped(id: 1, b: "y"))
            let again = try store.table(Again.self)
            #expect(try await again.get(1) == Again(id: 1, b: "y"))
            try await again.update(1) { $0.a = "z" }
            try await store.waitForAll(.materialized, timeout: .hang)
            try again.evict(1)
            #expect(try await again.get(1) == Again(id: 1, b: "y", a: "z"))
            try await store.close()
        }
    }
#endif
