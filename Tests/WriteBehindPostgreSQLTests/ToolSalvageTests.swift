import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// `writebehind recover --salvage --postgresql`: what the log has lost and the server has is kept.
    @Suite struct ToolSalvageTests {
        /// A store made by salvage.
        private final class Rescued {
            let path: String
            let result: Tool.Result

            init(_ path: String, _ result: Tool.Result) {
                (self.path, self.result) = (path, result)
            }

            deinit { try? FileManager.default.removeItem(atPath: path) }

            /// Reads the rows of a table.
            func rows<Row: TableRow>(_ type: Row.Type, _ keys: [Row.Key]) async throws -> [Row] {
                let store = try await Store(at: path, configuration: TestStore.configuration())
                let table = try store.table(type)
                var rows: [Row] = []
                for key in keys { if let row = try await table.get(key) { rows.append(row) } }
                try await store.close(deadline: .hang)
                return rows
            }

            func players() async throws -> [Player] {
                try await rows(Player.self, Array(-10..<100))
            }
        }

        private func salvage(
            _ test: TestStore, path: String? = nil, at url: String? = nil, isRefused: Bool = false
        ) throws -> Rescued {
            let target = test.path + "-rescued-" + UUID().uuidString
            let result = try Tool.run(
                "recover", path ?? test.path, "--salvage", target, "--postgresql",
                url ?? test.database.url, "--progress", "none")
            let rescued = Rescued(target, result)
            guard !isRefused else { return rescued }
            #expect(try Tool.run("verify", target, "--database").status == 0, "\(result)")
            return rescued
        }

        /// Damages the first block of a segment.
        private func damage(_ test: TestStore, segment: Int = 0) throws {
            let log = test.path + "/log"
            let names = try FileManager.default.contentsOfDirectory(atPath: log).sorted()
            let file = URL(fileURLWithPath: log + "/" + names[segment])
            var bytes = try Data(contentsOf: file)
            bytes[250] ^= 0x10
            try bytes.write(to: file)
        }

        private func close(_ store: Store) async throws {
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
        }

        /// The players of `ToolVerifyTests.played`, #1 to #13, in a segment that is damaged; #14 is behind it.
        private func damaged() async throws -> TestStore {
            let test = try await ToolVerifyTests.played()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 50))
            try await close(store)
            try damage(test)
            return test
        }

        @Test func rowsThatTheLogLostAndTheServerHasAreKept() async throws {
            let test = try await damaged()
            let marks = try test.database.run("SELECT * FROM writebehind.watermark")
            let rescued = try salvage(test)
            #expect(rescued.result.status == 3, "\(rescued.result)")
            let words = rescued.result.words
            #expect(
                words.contains("the database's rows at #14: 9 put right, 0 removed"), "\(words)")
            #expect(
                words.contains("#1 to #13, 13 records, of table player; the rows are right"),
                "\(words)")
            #expect(try await rescued.players() == test.players())
            #expect(
                try test.database.run("SELECT * FROM writebehind.watermark") == marks,
                "the server is not written to, nor claimed")
        }

        @Test func withoutTheAddressTheServerIsNamedAndNotUsed() async throws {
            let test = try await damaged()
            let target = test.path + "-rescued"
            defer { try? FileManager.default.removeItem(atPath: target) }
            let result = try Tool.run(
                "recover", test.path, "--salvage", target, "--progress", "none")
            #expect(result.status == 3, "\(result)")
            #expect(result.words.contains("is of no help: it is postgresql://"), "\(result)")
            #expect(result.words.contains("give its address with --postgresql"), "\(result)")
        }

        @Test func aRoleThatMayOnlyReadIsEnough() async throws {
            let test = try await damaged()
            let role = try test.database.makeReader("saver_of")
            let url = test.database.server.url(test.database.name, user: role)
            let rescued = try salvage(test, at: url)
            #expect(try await rescued.players() == test.players(), "\(rescued.result)")
            try test.database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }

        // MARK: rows

        @Test func eachTypeIsKeptAsItIs() async throws {
            let test = try TestStore()
            let all = [Everything.plain, .extreme, .empty]
            var store = try test.open()
            for row in all { try store.table(Everything.self).put(row) }
            try await close(store)
            store = try test.open()
            try store.table(Tag.self).put(Tag(name: "behind"))
            try await close(store)
            try damage(test)
            let rescued = try salvage(test)
            #expect(rescued.result.words.contains("3 put right, 0 removed"), "\(rescued.result)")
            #expect(try await rescued.rows(Everything.self, all.map(\.key)) == all)
        }

        /// JSON and decimals are the same in other spellings, and the log's is kept.
        @Test func spellingsOfTheServerAreNoDifference() async throws {
            let test = try TestStore()
            var (row, other) = (Everything.plain, Everything.plain)
            (row.json, row.decimal) = (#"{"b":1.0,  "a":[true]}"#, "+1.5e1")
            other.key.name = "other"
            (other.json, other.decimal) = (#"{"c":1}"#, "007")
            let store = try test.open()
            for row in [row, other] { try store.table(Everything.self).put(row) }
            try await close(store)
            let good = try salvage(test)
            #expect(good.result.status == 0, "\(good.result)")
            #expect(good.result.words.contains("at #3: 0 put right, 0 removed"), "\(good.result)")
            #expect(
                try await good.rows(Everything.self, [row.key, other.key]) == [row, other])
            try test.database.run(
                #"UPDATE everything SET json = '{"c": 2}' WHERE name = 'other'"#)
            let changed = try salvage(test)
            #expect(changed.result.words.contains("1 put right, 0 removed"), "\(changed.result)")
            other.json = #"{"c": 2}"#
            other.decimal = "7"
            #expect(
                try await changed.rows(Everything.self, [row.key, other.key]) == [row, other])
        }

        /// More rows than a page holds, some of them long.
        @Test func manyRowsAreReadInPages() async throws {
            let test = try TestStore()
            let long = String(repeating: "x", count: 50_000)
            var store = try test.open({ _ in }, { $0.cacheLimit = 128 << 20 })
            for id in 0..<3000 {
                try store.table(Player.self).put(
                    Player(id: id, name: id % 500 < 40 ? long : "short"))
            }
            try await close(store)
            store = try test.open()
            try await store.table(Player.self).update(0) { $0.score = 7 }
            try store.table(Player.self).delete(1)
            try await close(store)
            try damage(test)
            try test.database.run("DELETE FROM player WHERE id = 2500")
            let rescued = try salvage(test)
            let rows = try await rescued.rows(Player.self, Array(0..<3000))
            #expect(try rows == test.players(), "\(rescued.result)")
            #expect(rows.count == 2998)
        }

        @Test func rowsThatTheServerDoesNotHaveAreRemoved() async throws {
            let test = try await ToolVerifyTests.played()
            try test.database.run("DELETE FROM player WHERE id IN (0, 9)")
            let rescued = try salvage(test)
            #expect(rescued.result.status == 0, "\(rescued.result)")
            #expect(rescued.result.words.contains("at #13: 0 put right, 2 removed"))
            #expect(try await rescued.players() == test.players())
        }

        @Test func amountsGoOnFromTheRowsOfTheServer() async throws {
            let test = try TestStore()
            var store = try test.open()
            var posts = try store.table(Post.self)
            for id in 1...2 { try posts.put(Post(id: id, likes: 5)) }
            for _ in 0..<10 { try posts.add(1, to: "likes", of: 1) }
            try await close(store)
            let behind = try TestServer.shared.makeDatabase()
            let filled = try Tool.run(
                "replay", test.path, "--into", behind.url, "--progress", "none")
            #expect(filled.status == 0, "\(filled)")
            store = try test.open()
            posts = try store.table(Post.self)
            for id in 1...3 { try posts.add(2, to: "likes", of: id) }
            try await close(store)
            try damage(test)
            // The database that has all of it, and one that has what was lost.
            for url in [test.database.url, behind.url] {
                let rescued = try salvage(test, at: url)
                let rows = try await rescued.rows(Post.self, [1, 2, 3])
                #expect(rows.map(\.likes) == [17, 7, 12], "\(rescued.result)")
            }
        }

        // MARK: the judgement

        /// A copy of the store's directory from before the last writes: the server has more than its log.
        @Test func aServerThatIsAheadOfTheLogIsUsed() async throws {
            let test = try await ToolVerifyTests.played()
            let copy = test.path + "-copy"
            defer { try? FileManager.default.removeItem(atPath: copy) }
            try FileManager.default.copyItem(atPath: test.path, toPath: copy)
            let store = try test.open()
            try await store.table(Player.self).update(5) { $0.score = 500 }
            try store.table(Player.self).delete(6)
            try await close(store)
            let rescued = try salvage(test, path: copy)
            #expect(rescued.result.status == 3, "\(rescued.result)")
            let words = rescued.result.words
            #expect(
                words.contains("the database's rows at #15: 1 put right, 1 removed"), "\(words)")
            #expect(words.contains("#14 to #15, 2 records"), "\(words)")
            #expect(words.contains("the rows are right, by the database"), "\(words)")
            #expect(try await rescued.players() == test.players())
        }

        @Test(arguments: [
            ("UPDATE writebehind.watermark SET chain = 0", "another history than the log"),
            ("DELETE FROM writebehind.watermark", "row in writebehind.watermark is missing"),
            ("DROP SCHEMA writebehind CASCADE", "it has nothing of the store"),
        ])
        func aDatabaseThatDoesNotFitTheLogIsNotUsed(change: String, reason: String) async throws {
            let test = try await ToolVerifyTests.played()
            let players = try test.players()
            try test.database.run("UPDATE player SET score = 7; \(change)")
            let rescued = try salvage(test)
            #expect(rescued.result.status == 0, "\(rescued.result)")
            #expect(rescued.result.words.contains("the database is of no help"))
            #expect(rescued.result.words.contains(reason), "\(rescued.result)")
            #expect(try await rescued.players() == players)
        }

        @Test func anotherStoresDatabaseIsNotUsed() async throws {
            let (test, other) = (try await damaged(), try await ToolVerifyTests.played())
            let rescued = try salvage(test, at: other.database.url)
            #expect(rescued.result.words.contains("no help: it belongs to another store"))
            #expect(try await rescued.players() == [Player(id: 50)])
        }

        /// The server has them as they were before.
        @Test func rowsThatWaitInQuarantineAreTakenFromTheLog() async throws {
            let test = try await ToolVerifyTests.played()
            try test.database.run("ALTER TABLE player ADD CONSTRAINT few CHECK (score < 1000)")
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 5, score: 2000))
            try store.transaction {
                try $0.put(Player(id: 5, score: 3000), in: players)
                try $0.put(Player(id: 6, score: 1), in: players)
            }
            try await close(store)
            #expect(try test.players().first { $0.id == 6 }?.score == 6)
            try damage(test)
            let rescued = try salvage(test)
            let rows = try await rescued.players()
            #expect(rows.first { $0.id == 5 }?.score == 3000, "\(rescued.result)")
            #expect(rows.first { $0.id == 6 }?.score == 1)
            #expect(rows.count == 9)
        }

        @Test func aTableThatDoesNotFitIsLeftOutAndNamed() async throws {
            let test = try await damaged()
            try test.database.run("ALTER TABLE player DROP COLUMN team")
            let rescued = try salvage(test)
            #expect(rescued.result.status == 3, "\(rescued.result)")
            let words = rescued.result.words
            #expect(
                words.contains(
                    #"not the database's rows of table player: column "team" is missing"#),
                "\(words)")
            #expect(!words.contains("the rows are right"), "\(words)")
            #expect(try await rescued.players() == [Player(id: 50)])
        }

        /// Some rows may have been taken already, and the result would be neither the log's nor the server's.
        @Test func aServerThatFailsEndsIt() async throws {
            let test = try await damaged()
            let role = try test.database.makeReader("stranger_to", ofTables: false)
            let rescued = try salvage(
                test, at: test.database.server.url(test.database.name, user: role),
                isRefused: true)
            #expect(rescued.result.status == 1, "\(rescued.result)")
            #expect(
                rescued.result.errors.contains("the database: permission denied for table player"),
                "\(rescued.result)")
            #expect(!FileManager.default.fileExists(atPath: rescued.path))
            try? FileManager.default.removeItem(atPath: rescued.path + ".partial")
            try test.database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }

        @Test func aServerThatDoesNotAnswerEndsItBeforeAnythingIsMade() async throws {
            let test = try await damaged()
            let rescued = try salvage(
                test, at: "postgresql://postgres:secret@%2Fnowhere/t1", isRefused: true)
            #expect(rescued.result.status == 1, "\(rescued.result)")
            #expect(rescued.result.errors.contains("/nowhere"), "\(rescued.result)")
            #expect(!rescued.result.errors.contains("secret"))
            for name in [rescued.path, rescued.path + ".partial"] {
                #expect(!FileManager.default.fileExists(atPath: name))
            }
        }
    }
}
