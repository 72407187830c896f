#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// What the tool says of adds, and what it makes of them.
    @Suite struct AddTests {
        @Test func anAddIsPrintedWithItsAmountsInEveryForm() async throws {
            let fixture = try await Fixture.counted()
            let log = try Tool.run("log", fixture.path, "--operation", "add", "--utc")
            #expect(
                log.lines.map { $0.split(separator: " ").dropFirst(3).joined(separator: " ") } == [
                    "post[1] add likes+=2", "post[1] add shares-=3", "post[2] add likes+=1",
                    "poll[1] add votes+=4", "poll[9] add votes+=4",
                ])
            let json = try Tool.run("log", fixture.path, "--from", "5", "--to", "5", "--json")
            #expect(
                json.output.contains(
                    #""operation":"add","table":"post","key":{"id":1},"amounts":{"shares":-3}"#))
            let csv = try Tool.run(
                "log", fixture.path, "--from", "5", "--to", "5", "--format", "csv")
            #expect(
                csv.lines.last?.hasSuffix(#",add,post,"{""id"":1}","{""shares"":-3}",true"#) == true
            )
            let row = try Tool.run("log", fixture.path, "--table", "poll", "--key", "9")
            #expect(row.lines.count == 1 && row.output.contains("add votes+=4"))
        }

        @Test func aRowThatIsPutIfAbsentIsPrintedSo() async throws {
            let fixture = Fixture()
            let store = try fixture.open()
            let polls = try store.sharedTable(Tally.self)
            try polls.putIfAbsent(Tally(id: 1, name: "A", count: 5))
            try polls.add(2, to: \.count, of: 1)
            try polls.putIfAbsent(Tally(id: 1, name: "B", count: 7))
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            func lines(_ arguments: String...) throws -> [String] {
                try Tool.run(["log", fixture.path, "--utc"] + arguments).lines.map {
                    $0.split(separator: " ").dropFirst(3).joined(separator: " ")
                }
            }
            #expect(
                try lines("--operation", "add") == [
                    #"tally[1] put if absent name="A" count=5"#, "tally[1] add count+=2",
                    #"tally[1] put if absent name="B" count=7"#,
                ])
            #expect(
                try lines("--where", "count>6") == [#"tally[1] put if absent name="B" count=7"#])
            #expect(
                try lines("--changed", "count") == [
                    #"tally[1] put if absent name="A" count=5 (new)"#,
                    "tally[1] add count+=2 (was 5)",
                ])
            let json = try Tool.run("log", fixture.path, "--from", "4", "--to", "4", "--json")
            #expect(
                json.output.contains(
                    #""operation":"add","table":"tally","key":{"id":1},"values":{"name":"B","count":7},"ifAbsent":true"#
                ))
            let csv = try Tool.run(
                "log", fixture.path, "--from", "4", "--to", "4", "--format", "csv")
            #expect(csv.lines.last?.contains(",put if absent,tally,") == true)
            let history = try Tool.run("history", fixture.path, "tally", "1")
            #expect(history.lines.count == 3 && history.output.contains("count=7 (was 5)"))
            let made = fixture.path + "/script.sqlite"
            try sqlite3(try Tool.run("replay", fixture.path, "--sql").output, made)
            #expect(try sqlite3("SELECT * FROM tally;", made) == "1|A|7\n")
            #expect(try Tool.run("verify", fixture.path).status == 0)
        }

        /// A condition is about values, and an add sets none.
        @Test func noConditionOnAColumnIsMetByAnAmount() async throws {
            let fixture = try await Fixture.counted()
            let log = try Tool.run("log", fixture.path, "--where", "likes>0")
            #expect(log.lines.count == 2, "\(log.output)")
            #expect(!log.output.contains(" add "))
            let key = try Tool.run("log", fixture.path, "--where", "id=2")
            #expect(key.output.contains("post[2] add likes+=1"))
        }

        @Test func aChangedColumnIsFollowedThroughAdds() async throws {
            let fixture = try await Fixture.counted()
            func lines(_ column: String) throws -> [String] {
                try Tool.run("log", fixture.path, "--changed", column, "--utc").lines.map {
                    $0.split(separator: " ").dropFirst(3).joined(separator: " ")
                }
            }
            #expect(
                try lines("likes") == [
                    #"post[1] put title="A" likes=5 (new) shares=NULL"#,
                    "post[1] add likes+=2 (was 5)", "post[2] add likes+=1 (new)",
                    "post[1] patch likes=100 (was 7)", "post[2] delete likes (was 11)",
                ])
            #expect(
                try lines("shares") == [
                    #"post[1] put title="A" likes=5 shares=NULL (new)"#,
                    "post[1] add shares-=3 (was NULL)", "post[2] add likes+=1",
                    "post[2] delete shares (was NULL)",
                ])
            // An add leaves the other columns as they are: as text, too.
            #expect(
                try lines("title") == [
                    #"post[1] put title="A" (new) likes=5 shares=NULL"#, "post[2] add likes+=1",
                    #"post[2] delete title (was "-")"#,
                ])
            // The poll that is not there stays so.
            #expect(try lines("votes").count == 2)
            let json = try Tool.run("log", fixture.path, "--changed", "likes", "--json")
            #expect(json.lines[1].contains(#""amounts":{"likes":2},"before":{"likes":5}"#))
        }

        @Test func anAmountOfZeroChangesNothing() async throws {
            let fixture = try await Fixture.counted()
            let store = try fixture.open()
            try store.table(Post.self).add(0, to: \.likes, of: 1)
            try await fixture.close()
            let log = try Tool.run("log", fixture.path, "--changed", "likes", "--from", "12")
            #expect(log.lines.isEmpty)
        }

        /// The log begins behind the row's put, and nothing tells what it was.
        @Test func anAddToARowOfUnknownValuesIsPrintedWithoutThem() async throws {
            let fixture = try await Fixture.counted()
            let store = try fixture.open()
            try store.table(Post.self).add(4, to: \.likes, of: 1)
            try await fixture.close()
            try fixture.deleteOldestSegment()
            let log = try Tool.run("log", fixture.path, "--changed", "likes")
            #expect(log.output.contains("add likes+=4 (the value before is gone)"))
            let history = try Tool.run("history", fixture.path, "post", "1")
            #expect(history.output.contains("add likes+=4 (the row before is gone)"))
            let json = try Tool.run("history", fixture.path, "post", "1", "--json")
            #expect(json.output.contains(#""amounts":{"likes":4},"changed":{}"#))
        }

        @Test func theHistoryOfARowHasItsSums() async throws {
            let fixture = try await Fixture.counted()
            let post = try Tool.run("history", fixture.path, "post", "1", "--utc")
            #expect(post.lines[1].hasSuffix("add likes=7 (was 5)"))
            #expect(post.lines[2].hasSuffix("add shares=-3 (was NULL)"))
            let made = try Tool.run("history", fixture.path, "post", "2")
            #expect(made.lines[0].hasSuffix(#"add title="-" likes=11 shares=NULL"#))
            let poll = try Tool.run("history", fixture.path, "poll", "9")
            #expect(poll.lines[0].hasSuffix("add votes+=4 (there is no row)"))
            let sums = try Tool.run("history", fixture.path, "post", "1", "--where", "likes=7")
            #expect(sums.lines.count == 2)
        }

        @Test func theRowsOfAStoreWithAddsAgreeEverywhere() async throws {
            let fixture = try await Fixture.counted()
            let verify = try Tool.run("verify", fixture.path, "--database")
            #expect(verify.status == 0, "\(verify.output)")
            let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
            let own = try rows(queue)
            try queue.close()
            #expect(own == [#"[id:1 title:"A" likes:100 shares:-3]"#])
            let copy = fixture.path + "/copy"
            let database = try Tool.run("replay", fixture.path, "--into", copy + ".sqlite")
            #expect(database.status == 0, "\(database.errors)")
            #expect(try rows(DatabaseQueue(path: copy + ".sqlite")) == own)
            let store = try Tool.run("replay", fixture.path, "--into-store", copy)
            #expect(store.status == 0, "\(store.errors)")
            #expect(try rows(DatabaseQueue(path: copy + "/database.sqlite")) == own)
            #expect(try Tool.run("verify", copy, "--database").status == 0)
        }

        private func rows(_ queue: DatabaseQueue) throws -> [String] {
            try queue.read {
                try Row.fetchAll($0, sql: "SELECT * FROM post ORDER BY id").map(\.description)
            }
        }

        /// Null and defaults, rows that adds make and rows that they do not make, and rows that are gone.
        @Test func theScriptOfALogWithAddsMakesTheRowsOfTheDatabase() async throws {
            let fixture = Fixture()
            let store = try fixture.open()
            let posts = try store.table(Post.self)
            let polls = try store.table(Poll.self)
            for id in 0..<6 {
                if id % 2 == 0 { try posts.put(Post(id: id, likes: id)) }
                if id % 3 == 0 { try polls.put(Poll(id: id, question: "Q")) }
            }
            try posts.delete(4)
            for (round, amount) in [1, -7, Int.max, 3].enumerated() {
                for id in 0..<6 {
                    if id % 4 < 3 { try posts.add(amount, to: \.shares, of: id) }
                    if round != 2 { try posts.add(amount, to: \.likes, of: id) }
                    if round != 2 { try polls.add(amount, to: \.extra, of: id) }
                }
            }
            try store.transaction {
                try $0.add(1, to: \.likes, of: 0, in: posts)
                try $0.add(2, to: \.votes, of: 0, in: polls)
            }
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            #expect(store.health.quarantined == 0)
            try await fixture.close()
            let script = try Tool.run("replay", fixture.path, "--sql")
            #expect(script.status == 0, "\(script.errors)")
            let made = fixture.path + "/script.sqlite"
            try sqlite3(script.output, made)
            for table in ["post", "poll"] {
                let sql = "SELECT * FROM \(table) ORDER BY id;"
                let own = try sqlite3(sql, fixture.path + "/database.sqlite")
                #expect(try sqlite3(sql, made) == own)
                #expect(own.split(separator: "\n").count == (table == "post" ? 6 : 2), "\(own)")
            }
        }

        @Test func itsPlaceInStatisticsAndFiles() async throws {
            let fixture = try await Fixture.counted()
            let stats = try Tool.run("stats", fixture.path)
            #expect(stats.status == 0, "\(stats.errors)")
            #expect(stats.output.contains("add        post"), "\(stats.output)")
            #expect(try Tool.run("inspect", fixture.segments[0]).status == 0)
            let file = try Tool.run("log", fixture.segments[0], "--operation", "add")
            #expect(file.lines.count == 5)
            let changes = try Tool.run("changes", "list", fixture.path)
            #expect(changes.status == 0)
        }
    }

    /// Runs a script in the real `sqlite3`, and returns what it prints.
    @discardableResult
    func sqlite3(_ script: String, _ database: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        process.arguments = ["-bail", database]
        let (input, output, errors) = (Pipe(), Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        process.standardError = errors
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(script.utf8))
        try input.fileHandleForWriting.close()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(
            process.terminationStatus == 0 && said.isEmpty,
            "\(String(decoding: said, as: UTF8.self))")
        return String(decoding: text, as: UTF8.self)
    }
#endif
