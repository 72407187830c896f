import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    @Suite struct RowTests {
        @Test func aWriteGoesFromPutToSQLAndBack() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            let ada = Player(id: 1, name: "Ada ☃ \"'\\", score: -5, team: "x")
            try players.put(ada)
            try players.put(Player(id: 2))
            try await players.update(2) { $0.score = 7 }
            try players.put(Player(id: 3))
            try players.delete(3)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == [ada, Player(id: 2, score: 7)])
            try players.evict(1)
            try players.evict(2)
            try players.evict(3)
            #expect(try await players.get(1) == ada)
            #expect(try await players.get(2) == Player(id: 2, score: 7))
            #expect(try await players.get(3) == nil)
            #expect(try await players.get(all: [3, 2, 1]).map { $0?.id } == [nil, 2, 1])
            try players.clear()
            try players.put(Player(id: 9))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == [Player(id: 9)])
            try await store.close(deadline: .hang)
        }

        @Test func columnsHaveTheTypesThatAreNaturalForThem() async throws {
            let test = try TestStore()
            let store = try test.open()
            let everything = try store.table(Everything.self)
            let rows = [Everything.plain, .extreme, .empty]
            for row in rows { try everything.put(row) }
            try await store.waitForAll(.materialized, timeout: .hang)
            let types = try test.database.run(
                """
                SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                WHERE attrelid = 'everything'::regclass AND attnum > 0 ORDER BY attnum
                """)
            #expect(
                types.map { $0[1] } == [
                    "uuid", "boolean", "text", "bigint", "double precision", "text", "bytea",
                    "timestamp with time zone", "timestamp with time zone", "jsonb", "numeric",
                ])
            #expect(
                try test.database.value(
                    "SELECT moment FROM everything WHERE number = 7")
                    == "2026-11-27 04:05:06.789+00")
            for row in rows {
                #expect(try everything.evict(row.key))
                #expect(try await everything.get(row.key) == row)
            }
            try await store.close(deadline: .hang)
        }

        @Test func aValueThatItsTypeCannotHoldGoesToQuarantine() async throws {
            let test = try TestStore()
            let store = try test.open()
            let everything = try store.table(Everything.self)
            var wrong: [Everything] = []
            for number in 0..<5 {
                var row = Everything.plain
                row.key.name = "wrong \(number)"
                wrong.append(row)
            }
            wrong[0].moment = "2026-11-27"
            wrong[1].json = "{"
            wrong[2].decimal = "NaN"
            wrong[3].text = "a\0b"
            wrong[4].seconds = .max
            for row in wrong { try everything.put(row) }
            try everything.put(.plain)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 5)
            #expect(try test.database.value("SELECT count(*) FROM everything") == "1")
            #expect(try await everything.get(wrong[0].key) == wrong[0])
            try await store.close(deadline: .hang)
        }

        /// The store merges pages of the database with what is in memory, by the bytes of keys.
        @Test func pagesComeInTheOrderOfKeys() async throws {
            let test = try TestStore()
            let store = try test.open()
            let words = try store.table(Word.self)
            var keys: [Word.Key] = []
            for text in ["", "a", "A", "ä", "z", "Z", "_", "10", "9", "a b", "ab", "😀", "\u{FFFD}"]
            {
                for number in [Int.min, -1, 0, 1, Int.max] {
                    keys.append(Word.Key(text: text, number: number))
                }
            }
            for key in keys.shuffled() { try words.put(Word(key: key)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            let id = try #require(store.engine.sink.tables.first { $0.schema.name == "word" }?.id)
            var found: [[UInt8]] = []
            while true {
                let page = try store.engine.sink.scan(id, columns: [0], after: found.last, limit: 7)
                found += page.rows.map(\.key)
                if page.rows.count < 7 { break }
            }
            #expect(found.count == keys.count)
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
            try await store.close(deadline: .hang)
        }

        @Test func rowsExpire() async throws {
            let test = try TestStore()
            let store = try test.open { _ in
            } _: {
                $0.expiryInterval = .milliseconds(20)
            }
            let sessions = try store.table(Visit.self)
            let now = Int(Date().timeIntervalSince1970)
            try sessions.put(Visit(id: 1, until: now - 10))
            try sessions.put(Visit(id: 2, until: now + 10_000))
            try sessions.put(Visit(id: 3, until: nil))
            try await store.waitForAll(.materialized, timeout: .hang)
            let isGone = try await eventually {
                try test.database.run("SELECT id FROM visit ORDER BY id").map { $0[0] }
                    == ["2", "3"]
            }
            #expect(isGone)
            try await store.close(deadline: .hang)
        }

        @Test(arguments: [1, 2, 3])
        func aRandomHistoryEndsAsTheSameRows(_ seed: UInt64) async throws {
            let test = try TestStore()
            var random = SeededRandom(seed: seed)
            var model: [Int: Player] = [:]
            for life in 0..<3 {
                let store = try test.open {
                    $0.rowsAStatement = 5
                } _: {
                    $0.batchRecords = 40
                    $0.blockSize = 512
                }
                let players = try store.table(Player.self)
                for step in 0..<150 {
                    let id = Int.random(in: 0..<30, using: &random)
                    switch Int.random(in: 0..<20, using: &random) {
                    case 0..<8:
                        let player = Player(id: id, name: "n\(step)", score: step, team: nil)
                        try players.put(player)
                        model[id] = player
                    case 8..<12:
                        try players.delete(id)
                        model[id] = nil
                    case 12..<19 where model[id] != nil:
                        try await players.update(id) { $0.team = "t\(life)\(step)" }
                        model[id]?.team = "t\(life)\(step)"
                    case 19 where step % 5 == 0:
                        try players.clear()
                        model = [:]
                    default: try players.evict(id)
                    }
                    if step % 40 == 0 { try await store.waitForAll(.materialized, timeout: .hang) }
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(try test.players() == model.values.sorted { $0.id < $1.id })
                if life == 1 { try await store.snapshot() }
                if life < 2 { try await store.close(deadline: .hang) } else { store.abandon() }
            }
        }

        @Test func keysAloneMakeARow() async throws {
            let test = try TestStore()
            let store = try test.open()
            let tags = try store.table(Tag.self)
            for name in ["a", "b", "a"] {
                try tags.put(Tag(name: name))
                try await store.waitForAll(.materialized, timeout: .hang)
            }
            try tags.delete("b")
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.database.run("SELECT name FROM tag").map { $0[0] } == ["a"])
            try tags.evict("a")
            #expect(try await tags.get("a") == Tag(name: "a"))
            #expect(store.health.quarantined == 0)
            try await store.close(deadline: .hang)
        }
    }
}
