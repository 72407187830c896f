#if Macros
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// A row whose sum does not fit into 64 bits, which no database takes: every command says so, and none fails by it.
    @Suite struct WideSumTests {
        private static let sum = "18446744073709551614"

        @Test func theSumIsShownWithAllItsDigits() async throws {
            let fixture = try await Fixture.overflown()
            let text = "likes=\(Self.sum) (exceeds 64 bits)"
            let history = try Tool.run("history", fixture.path, "post", "1")
            #expect(history.status == 0, "\(history.errors)")
            #expect(history.lines.last?.hasSuffix("add \(text) (was \(Int.max))") == true)
            let json = try Tool.run("history", fixture.path, "post", "1", "--json")
            #expect(json.lines.last?.contains(#""row":{"title":"A","likes":\#(Self.sum),"#) == true)
            let diff = try Tool.run("diff", fixture.path, "3", "end")
            #expect(diff.lines == ["~ post[1] likes=5→\(Self.sum) (exceeds 64 bits)"])
            let large = ["history", fixture.path, "post", "1", "--where", "likes>\(Int.max)"]
            #expect(try Tool.run(large).lines.count == 1)
            #expect(try Tool.run("log", fixture.path, "--reverse").status == 0)
        }

        @Test func aChangedColumnIsFollowedThroughIt() async throws {
            let fixture = try await Fixture.overflown()
            let store = try fixture.open()
            try store.table(Post.self).add(-.max, to: \.likes, of: 1)
            try store.table(Post.self).add(1, to: \.likes, of: 1)
            try await fixture.close()
            let log = try Tool.run("log", fixture.path, "--changed", "likes", "--from", "6")
            #expect(log.output.contains("likes-=\(Int.max) (was \(Self.sum) (exceeds 64 bits))"))
            #expect(log.output.contains("likes+=1 (was \(Int.max))"), "\(log.output)")
        }

        @Test func theRefusedCommitIsShown() async throws {
            let fixture = try await Fixture.overflown()
            let list = try Tool.run("quarantine", "list", fixture.path)
            #expect(list.status == 3 && list.output.contains("does not fit into 64 bits"))
            let show = try Tool.run("quarantine", "show", fixture.path, "5")
            #expect(show.output.contains("post[1] add likes+=\(Int.max)"))
            let status = try Tool.run("status", fixture.path)
            #expect(status.output.contains("commit #5 refused: a sum of what was added"))
            let verify = try Tool.run("verify", fixture.path, "--database")
            #expect(verify.status == 0, "\(verify.output)")
            #expect(verify.output.contains("all agree; 1 in quarantine left out"))
        }

        @Test func aDatabaseIsMadeWithoutTheRow() async throws {
            let fixture = try await Fixture.overflown()
            let target = fixture.path + "/copy.sqlite"
            let result = try Tool.run("replay", fixture.path, "--into", target)
            #expect(result.status == 3)
            #expect(result.errors.contains("1 row left out, with sums that do not fit"))
            #expect(result.errors.contains("post[1]"))
            #expect(try sqlite3("SELECT id FROM post;", target) == "2\n")
            let followed = try Tool.run(
                "replay", fixture.path, "--into", fixture.path + "/other.sqlite", "--follow")
            #expect(followed.status == 3)
            #expect(followed.errors.contains("cannot follow"))
            let json = try Tool.run(
                "replay", fixture.path, "--into", fixture.path + "/third.sqlite", "--json")
            #expect(json.output.contains(#""leftOut":["post[1]"]"#))
        }

        /// A log has no such value, so adds make it again.
        @Test(arguments: [["replay", "--into-store"], ["recover", "--salvage"]])
        func aStoreIsMadeWithTheSum(command: [String]) async throws {
            let fixture = try await Fixture.overflown()
            let target = Fixture()
            let result = try Tool.run([command[0], fixture.path, command[1], target.path])
            #expect(result.status == 0, "\(result.output)\(result.errors)")
            #expect(try Tool.run("verify", target.path, "--database").status == 0)
            let history = try Tool.run("history", target.path, "post", "1")
            #expect(history.lines.last?.contains("likes=\(Self.sum) ") == true, "\(history.output)")
            // What came after it brings it back.
            let store = try target.open()
            let posts = try store.table(Post.self)
            try posts.add(-.max, to: \.likes, of: 1)
            let likes = try await posts.get(1)?.likes
            #expect(likes == .max)
            try await target.close()
        }

        @Test func theScriptOfTheLogLeavesTheAddOut() async throws {
            let fixture = try await Fixture.overflown()
            let made = fixture.path + "/script.sqlite"
            let sql = "SELECT * FROM post ORDER BY id;"
            let script = try Tool.run("replay", fixture.path, "--sql")
            try sqlite3(script.output, made)
            let own = try sqlite3(sql, fixture.path + "/database.sqlite")
            #expect(try sqlite3(sql, made) == own)
        }

        @Test func noUndoWritesTheSum() async throws {
            let fixture = try await Fixture.overflown()
            let store = try fixture.open()
            try store.table(Post.self).put(Post(id: 1))
            try await fixture.close()
            let undo = try Tool.run("undo", fixture.path, "6", "--apply")
            #expect(undo.status == 1)
            #expect(
                undo.errors.contains(#"column "likes": the sum of what was added does not fit"#))
            #expect(try Tool.run("log", fixture.path, "--from", "7").lines.isEmpty)
            let back = try Tool.run("undo", fixture.path, "5")
            #expect(back.status == 3 && back.errors.contains("#6 changed post[1] since"))
        }
    }
#endif
