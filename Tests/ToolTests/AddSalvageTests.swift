#if Macros
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// `recover --salvage` adds only to rows that it knows.
    @Suite struct AddSalvageTests {
        private func salvage(_ fixture: Fixture) throws -> (Fixture, Tool.Result) {
            let target = Fixture()
            let result = try Tool.run("recover", fixture.path, "--salvage", target.path)
            #expect(try Tool.run("verify", target.path, "--database").status == 0)
            return (target, result)
        }

        private func likes(_ fixture: Fixture) async throws -> [Int: Int] {
            let store = try fixture.open()
            let posts = try store.table(Post.self)
            var found: [Int: Int] = [:]
            for id in 1...5 { found[id] = try await posts.get(id)?.likes }
            try await fixture.close()
            return found
        }

        /// One segment for each call.
        private func segments(_ bodies: [(StoredTable<Post>) throws -> Void]) async throws
            -> Fixture
        {
            let fixture = Fixture()
            for body in bodies {
                let store = try fixture.open()
                try body(try store.table(Post.self))
                try await fixture.close()
            }
            return fixture
        }

        @Test func anAddThatFoundNoRowIsNoLoss() async throws {
            let fixture = try await Fixture.counted()
            try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
            let (target, result) = try salvage(fixture)
            #expect(result.status == 0, "\(result.output)")
            #expect(result.output.contains("lost\n  nothing"))
            let history = try Tool.run("history", target.path, "post", "1")
            #expect(history.lines.last?.hasSuffix("patch likes=100 (was 7)") == true)
            #expect(try Tool.run("log", target.path, "--operation", "add").lines.count == 5)
        }

        @Test func anAddWhoseRowIsLostIsListedAndMakesNoOther() async throws {
            let fixture = try await segments([
                { try $0.put(Post(id: 1, likes: 5)) },
                {
                    for id in 1...2 { try $0.add(2, to: \.likes, of: id) }
                    // From here on the rows are known: 3 is not there, and 4 is.
                    try $0.delete(3)
                    try $0.add(2, to: \.likes, of: 3)
                    try $0.put(Post(id: 4, likes: 1))
                    try $0.add(2, to: \.likes, of: 4)
                },
            ])
            try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
            try fixture.flip(byte: 250, of: fixture.segments[0])
            let (target, result) = try salvage(fixture)
            #expect(result.status == 3)
            #expect(
                result.output.contains(
                    "2 changes of 2 rows of post, whose earlier versions are lost"),
                "\(result.output)")
            #expect(try await likes(target) == [3: 12, 4: 3])
        }

        @Test func clearedTablesAreKnownToBeEmpty() async throws {
            let fixture = try await segments([
                { try $0.put(Post(id: 1, likes: 5)) },
                {
                    try $0.clear()
                    try $0.add(2, to: \.likes, of: 1)
                },
            ])
            try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
            try fixture.flip(byte: 250, of: fixture.segments[0])
            let (target, result) = try salvage(fixture)
            #expect(!result.output.contains("earlier versions"), "\(result.output)")
            #expect(try await likes(target) == [1: 12])
        }

        /// Its rows are all that there are at its watermark.
        @Test func addsGoOnFromTheRowsOfTheDatabase() async throws {
            let fixture = try await segments([{ try $0.put(Post(id: 1, likes: 5)) }])
            let (database, old) = (fixture.path + "/database.sqlite", fixture.path + "/old")
            try FileManager.default.copyItem(atPath: database, toPath: old)
            let store = try fixture.open()
            for id in 1...2 { try store.table(Post.self).add(2, to: \.likes, of: id) }
            try await fixture.close()
            try FileManager.default.removeItem(atPath: database)
            try FileManager.default.moveItem(atPath: old, toPath: database)
            try fixture.flip(byte: 250, of: fixture.segments[0])
            let (target, result) = try salvage(fixture)
            #expect(!result.output.contains("earlier versions"), "\(result.output)")
            #expect(try await likes(target) == [1: 7, 2: 12])
        }
    }
#endif
