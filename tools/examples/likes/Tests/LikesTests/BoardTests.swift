import Foundation
import Testing
import WriteBehind
import WriteBehindTesting

@testable import likes

/// The board on a store in memory: without files, without threads, and with a clock that the test moves.
@Suite struct BoardTests {
    private let store: Store
    private let board: Board

    init() throws {
        store = try Store.inMemory()
        board = try Board(store, now: { [clock = store.clock] in clock.date })
    }

    @Test func aUserLikesAPostOnce() async throws {
        let post = try await board.publish("hello", by: "ada")
        #expect(try await board.like(post.id, by: "bo") == 1)
        #expect(try await board.like(post.id, by: "bo") == 1)
        #expect(try await board.like(post.id, by: "cy") == 2)
        #expect(try await board.like(UUID(), by: "cy") == nil)
        #expect(try await board.view(post.id)?.views == 1)
        #expect(try await board.view(UUID()) == nil)
    }

    @Test func aSessionEndsAfterADay() async throws {
        let session = try board.signIn("ada")
        store.advance(by: .seconds(23 * 3600))
        #expect(try await board.user(of: session.id) == "ada")
        store.advance(by: .seconds(3600))
        #expect(try await board.user(of: session.id) == nil)
    }

    @Test func leadersAreCurrentToTheLastWrite() async throws {
        var posts: [Post] = []
        for number in 0..<5 {
            posts.append(try await board.publish("post \(number)", by: "ada"))
            for user in 0..<(number * 7 % 5) {
                _ = try await board.like(posts[number].id, by: "user \(user)")
            }
        }
        // Nothing is in the database yet.
        #expect(store.health.lag.records > 0)
        #expect(try await board.leaders(5).map(\.likes) == [4, 3, 2, 1, 0])
        #expect(try await board.place(of: posts[2].id) == 1)
        #expect(try await board.place(of: posts[0].id) == 5)
        #expect(try await board.place(of: UUID()) == nil)
    }

    @Test func aFeedGoesOnWhereItsPageEnded() async throws {
        var posts: [Post] = []
        for number in 0..<7 {
            posts.append(
                try await board.publish("post \(number)", by: number % 2 == 0 ? "ada" : "bo"))
            store.advance(by: .seconds(10))
        }
        let page = try await board.feed(limit: 3)
        #expect(page.rows.map(\.text) == ["post 6", "post 5", "post 4"])
        // Posts written meanwhile do not move the next page.
        _ = try await board.publish("post 7", by: "ada")
        let older = try await board.feed(after: page.next)
        #expect(older.rows.map(\.text) == ["post 3", "post 2", "post 1", "post 0"])
        #expect(older.next == nil)
        let ofBo = try await board.feed(of: "bo")
        #expect(ofBo.rows.map(\.text) == ["post 5", "post 3", "post 1"])
    }

    @Test func allSurvivesAKillAndAPublishedPostAlsoAPowerLoss() async throws {
        let post = try await board.publish("hello", by: "ada")
        for user in 0..<20 { _ = try await board.like(post.id, by: "user \(user)") }
        let killed = try store.crash()
        #expect(try await Board(killed).leaders(1).map(\.likes) == [20])
        let later = try await Board(killed).publish("again", by: "ada")
        let unplugged = try killed.crash(.powerLoss(seed: 1))
        #expect(try await Board(unplugged).posts.get(later.id)?.text == "again")
    }
}
