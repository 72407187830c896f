#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// What the tool says of a table whose columns were renamed, dropped, let be null and made real.
    @Suite struct ChangedColumnTests {
        @Table("ship") struct First {
            var id: Int
            var name: String
            var note = "-"
            var crew = 3
            var size = 1
        }

        @Table("ship", dropping: "note") struct Last {
            var id: Int
            @Column(formerly: "name") var title: String
            var crew: Int?
            var size = 1.0
        }

        private func filled() async throws -> Fixture {
            let fixture = Fixture()
            let store = try fixture.open()
            let first = try store.table(First.self)
            try first.put(First(id: 1, name: "A", note: "gone", size: 2))
            try await first.update(1) { $0.note = "gone, too" }
            let last = try store.table(Last.self)
            try last.put(Last(id: 2, title: "B", crew: nil, size: 0.5))
            try await last.update(1) { ($0.title, $0.size) = ("Emma", 2.5) }
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            return fixture
        }

        @Test func aDroppedColumnIsNamedNowhereAfterItsDefinition() async throws {
            let fixture = try await filled()
            #expect(try Tool.run("verify", fixture.path).status == 0)
            let history = try Tool.run("history", fixture.path, "ship", "1")
            #expect(history.lines.count == 3, "\(history.output)")
            #expect(history.lines.first?.hasSuffix("put title=\"A\" crew=3 size=2.0") == true)
            #expect(
                history.lines.last?.hasSuffix("patch title=\"Emma\" (was \"A\") size=2.5 (was 2.0)")
                    == true, "\(history.output)")
            let diff = try Tool.run("diff", fixture.path, "3", "end")
            #expect(diff.output.contains("+ ship[2] title=\"B\""), "\(diff.output)")
            #expect(!diff.output.contains("note"))
            let log = try Tool.run("log", fixture.path)
            #expect(
                log.output.contains(
                    "(id integer key, title text, crew integer null default 3, size real default 1.0)"
                ),
                "\(log.output)")
            let json = try Tool.run("history", fixture.path, "ship", "1", "--json")
            #expect(!json.output.contains("note") && !json.output.contains(#""":"#))
        }

        @Test func theScriptOfALogMakesTheSameRows() async throws {
            let fixture = try await filled()
            let script = try Tool.run("replay", fixture.path, "--sql")
            #expect(script.status == 0, "\(script.errors)")
            let queue = try DatabaseQueue()
            let rows = try queue.inDatabase { db in
                try db.execute(sql: script.output)
                return try Row.fetchAll(db, sql: "SELECT * FROM ship ORDER BY id").map(
                    \.description)
            }
            #expect(
                rows == [
                    #"[id:1 title:"Emma" crew:3 size:2.5]"#,
                    #"[id:2 title:"B" crew:NULL size:0.5]"#,
                ])
        }

        @Table("user") @SQLIndex("city", "name") struct Indexed {
            var id: Int
            @Unique var email: String
            var name = ""
            var city = ""
        }

        @Table("user") struct Other {
            var id: Int
            var email: String
            var name = ""
            @SQLIndex var city = ""
        }

        /// A row that the database refuses is in the log, so the script does without the constraint.
        @Test func theScriptOfALogHasTheIndicesOfTheLastDefinition() async throws {
            let fixture = Fixture()
            let store = try fixture.open()
            let users = try store.table(Indexed.self)
            for id in 1...2 { try users.put(Indexed(id: id, email: "same")) }
            _ = try store.table(Other.self)
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            let log = try Tool.run("log", fixture.path)
            #expect(
                log.output.contains(
                    #"city text default "") unique (email) index (city, name)"#), "\(log.output)")
            let script = try Tool.run("replay", fixture.path, "--sql")
            #expect(script.status == 0, "\(script.errors)")
            let queue = try DatabaseQueue()
            let found = try queue.inDatabase { db in
                try db.execute(sql: script.output)
                return try String.fetchAll(db, sql: "SELECT email FROM user")
                    + String.fetchAll(
                        db, sql: "SELECT sql FROM sqlite_master WHERE type = 'index'")
            }
            #expect(
                found == [
                    "same", "same", #"CREATE INDEX _writebehind_index_1_3 ON "user" ("city")"#,
                ])
        }

        @Test func rowsAreImportedIntoTheColumnsThatThereAre() async throws {
            let fixture = try await filled()
            let file = fixture.path + ".csv"
            defer { try? FileManager.default.removeItem(atPath: file) }
            try "id,title,size\n7,C,1.25\n".write(toFile: file, atomically: true, encoding: .utf8)
            let result = try Tool.run("import", fixture.path, "ship", file)
            #expect(result.status == 0, "\(result.errors)")
            let store = try fixture.open()
            let row = try await store.table(Last.self).get(7)
            #expect(row?.title == "C" && row?.crew == 3 && row?.size == 1.25)
            try await fixture.close()
            #expect(try Tool.run("verify", fixture.path).status == 0)
        }
    }
#endif
