#if Macros
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// `writebehind undo` of commits that add.
    @Suite struct AddUndoTests {
        /// Post 1 has 5 likes.
        private func store(
            _ body: (Store, StoredTable<Post>) async throws -> Void
        ) async throws -> Fixture {
            let fixture = Fixture()
            let store = try fixture.open()
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, title: "A", likes: 5))
            try await body(store, posts)
            try await fixture.close()
            return fixture
        }

        private func likes(_ fixture: Fixture, _ id: Int) async throws -> Int? {
            let store = try fixture.open()
            let post = try await store.table(Post.self).get(id)
            try await fixture.close()
            return post?.likes
        }

        @Test func theNegativeAmountIsAdded() async throws {
            let fixture = try await store { _, posts in try posts.add(3, to: \.likes, of: 1) }
            let result = try Tool.run("undo", fixture.path, "3", "--apply", "--json")
            #expect(result.status == 0, "\(result.errors)")
            #expect(
                result.lines == [
                    #"{"v":1,"operation":"add","table":"post","key":{"id":1},"amounts":{"likes":-3}}"#
                ])
            #expect(try await likes(fixture, 1) == 5)
            #expect(try Tool.run("undo", fixture.path, "4").lines == ["post[1] add likes+=3"])
            #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        }

        @Test func laterAddsOfOthersSurviveAndAreNoObstacle() async throws {
            let fixture = try await store { _, posts in
                try posts.add(3, to: \.likes, of: 1)
                try posts.add(10, to: \.likes, of: 1)
            }
            let result = try Tool.run("undo", fixture.path, "3", "--apply")
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.lines == ["post[1] add likes-=3"])
            #expect(try await likes(fixture, 1) == 15)
        }

        @Test func aRowThatTheAddMadeIsDeletedUnlessOthersAddedToIt() async throws {
            let fixture = try await store { _, posts in
                try posts.add(3, to: \.likes, of: 2)
                try posts.add(3, to: \.likes, of: 3)
                try posts.add(10, to: \.likes, of: 3)
            }
            #expect(try Tool.run("undo", fixture.path, "3", "--apply").lines == ["post[2] delete"])
            let kept = try Tool.run("undo", fixture.path, "4", "--apply")
            #expect(kept.lines == ["post[3] add likes-=3"] && kept.status == 0)
            #expect(try await likes(fixture, 2) == nil)
            // As if only the other add had made it, of the default.
            #expect(try await likes(fixture, 3) == 20)
        }

        @Test func severalAddsOfACommitAreTakenBackAsOne() async throws {
            let fixture = try await store { store, posts in
                try store.transaction {
                    try $0.add(3, to: \.likes, of: 1, in: posts)
                    try $0.add(4, to: \.likes, of: 1, in: posts)
                    try $0.add(-1, to: \.likes, of: 2, in: posts)
                }
            }
            let result = try Tool.run("undo", fixture.path, "4", "--apply")
            #expect(result.lines == ["post[2] delete", "post[1] add likes-=7"])
            #expect(try await likes(fixture, 1) == 5)
            #expect(try await likes(fixture, 2) == nil)
        }

        /// A null that got an amount would be 0.
        @Test func aColumnThatWasNullIsNullAgain() async throws {
            let fixture = try await store { _, posts in try posts.add(3, to: \.shares, of: 1) }
            let result = try Tool.run("undo", fixture.path, "3")
            #expect(result.lines == ["post[1] patch shares=NULL"])
            let store = try fixture.open()
            try store.table(Post.self).add(4, to: \.shares, of: 1)
            try await fixture.close()
            #expect(try Tool.run("undo", fixture.path, "3").lines == ["post[1] add shares-=3"])
        }

        @Test func aRowThatIsGoneSinceComesBackWhole() async throws {
            let fixture = try await store { _, posts in
                try posts.add(3, to: \.likes, of: 1)
                try posts.delete(1)
            }
            let result = try Tool.run("undo", fixture.path, "3", "--apply", "--overwrite-later")
            #expect(result.lines == [#"post[1] put title="A" likes=5 shares=NULL"#])
            #expect(try await likes(fixture, 1) == 5)
        }

        /// The amount is in no sum any more.
        @Test func aColumnThatWasSetSinceGetsTheValueBefore() async throws {
            let fixture = try await store { _, posts in
                try posts.add(3, to: \.likes, of: 1)
                try await posts.update(1) { $0.likes = 50 }
            }
            let refused = try Tool.run("undo", fixture.path, "3", "--apply")
            #expect(refused.status == 1 && refused.errors.contains("#4 changed post[1] since"))
            let result = try Tool.run("undo", fixture.path, "3", "--apply", "--overwrite-later")
            #expect(result.lines == ["post[1] patch likes=5"])
        }

        @Test func laterChangesOfOtherColumnsLeaveTheSumAlone() async throws {
            let fixture = try await store { _, posts in
                try posts.add(3, to: \.likes, of: 1)
                try await posts.update(1) { $0.title = "B" }
                try posts.add(10, to: \.likes, of: 1)
            }
            let plan = try Tool.run("undo", fixture.path, "3")
            #expect(plan.status == 3 && plan.lines == ["post[1] add likes-=3"])
        }

        /// Its log takes no adds any more, because they do not read the row.
        @Test func aTableWhoseLogHasWholeRowsGetsAPatch() async throws {
            let fixture = try await store { _, posts in try posts.add(3, to: \.likes, of: 1) }
            let store = try fixture.open()
            _ = try store.table(WholePost.self)
            try await fixture.close()
            let result = try Tool.run("undo", fixture.path, "3", "--apply")
            #expect(result.lines == ["post[1] patch likes=5"])
            #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        }

        @Table("post", changes: .wholeRows) struct WholePost {
            var id: Int
            var title = "-"
            var likes = 10
            var shares: Int?
        }
    }
#endif
