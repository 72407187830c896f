import Foundation
import HummingbirdTesting
import Testing
import WriteBehind
import WriteBehindTesting

@testable import likes

/// The server over HTTP, on a store in memory.
@Suite(.timeLimit(.minutes(2))) struct RouteTests {
    private let store: Store
    private let board: Board

    init() throws {
        store = try Store.inMemory()
        board = try Board(store, now: { [clock = store.clock] in clock.date })
    }

    private func serve(_ test: @escaping @Sendable (Client) async throws -> Void) async throws {
        try await server(board, port: 0).test(.live) { live in
            try await test(Client(port: #require(live.port)))
        }
        // The server closed the store when it ended.
        #expect(store.health.verdict == .closed)
    }

    @Test func aPostIsWrittenLikedAndViewed() async throws {
        try await serve { client in
            let (ada, bo) = try await (client.token(of: "ada"), client.token(of: "bo"))
            let post: Post = try await client.call(
                .POST, "/posts", token: ada, NewPost(text: "hello"))
            let other: Post = try await client.call(
                .POST, "/posts", token: bo, NewPost(text: "hello to you"))
            for token in [ada, bo, bo] {
                let _: Liked = try await client.call(
                    .POST, "/posts/\(other.id)/likes", token: token)
            }
            let seen: ViewedPost = try await client.call(.GET, "/posts/\(post.id)")
            #expect(seen.post.author == "ada")
            #expect(seen.post.views == 1)
            #expect(seen.place == 2)
            let leaders: [Post] = try await client.call(.GET, "/leaderboard")
            #expect(leaders.map(\.likes) == [2, 0])
        }
    }

    @Test func theFeedIsReadPageByPage() async throws {
        try await serve { [board, store] client in
            for number in 0..<50 {
                _ = try await board.publish("post \(number)", by: "ada & bo")
                store.advance(by: .seconds(1))
            }
            var (texts, cursor): ([String], String?) = ([], nil)
            repeat {
                var query = "author=ada%20%26%20bo"
                if let cursor {
                    let safe = cursor.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
                    query += try "&after=" + #require(safe)
                }
                let page: FeedPage = try await client.call(.GET, "/feed?" + query)
                texts += page.posts.map(\.text)
                cursor = page.next
            } while cursor != nil
            #expect(texts == (0..<50).reversed().map { "post \($0)" })
            let all: FeedPage = try await client.call(.GET, "/feed")
            #expect(all.posts.count == 20)
        }
    }

    @Test func aRequestThatMakesNoSenseIsRefused() async throws {
        try await serve { client in
            let ada = try await client.token(of: "ada")
            func status(
                _ path: String, token: UUID? = nil, _ body: (any Encodable & Sendable)? = nil
            ) async throws -> Int {
                do {
                    let _: Liked = try await client.call(
                        body == nil && token == nil ? .GET : .POST, path, token: token, body)
                    return 200
                } catch let refused as Client.Refused {
                    return refused.status
                }
            }
            #expect(try await status("/sessions", SignIn(user: "")) == 400)
            #expect(try await status("/posts", NewPost(text: "hello")) == 401)
            #expect(try await status("/posts", token: UUID(), NewPost(text: "hello")) == 401)
            #expect(try await status("/posts", token: ada, NewPost(text: "")) == 400)
            #expect(try await status("/posts", token: ada, SignIn(user: "ada")) == 400)
            #expect(try await status("/posts/\(UUID())") == 404)
            #expect(try await status("/posts/1") == 400)
            #expect(try await status("/posts/\(UUID())/likes", token: ada) == 404)
            #expect(try await status("/feed?after=%21") == 400)
        }
    }

    @Test func theLivePageShowsALikeAndEndsWithTheServer() async throws {
        try await serve { [board, store] client in
            let post = try await board.publish("hello", by: "ada")
            let watching = Task {
                try await client.watch { $0.leaders.first?.likes == 3 }
            }
            for user in 0..<3 { _ = try await board.like(post.id, by: "user \(user)") }
            // Changes come only once they survive power loss.
            let showing = Task {
                while !Task.isCancelled {
                    store.advance(by: .seconds(1))
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            try await watching.value
            showing.cancel()
            // This client still watches while the server shuts down.
            Task { try await client.watch { _ in false } }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    @Test func whileTheDatabaseIsLockedLikesAreTakenAndTheProbeSaysSo() async throws {
        let post = try await board.publish("hello", by: "ada")
        store.advance(by: .seconds(1))
        store.fail(.database(.busy))
        try await serve { [store] client in
            let bo = try await client.token(of: "bo")
            let liked: Liked = try await client.call(.POST, "/posts/\(post.id)/likes", token: bo)
            #expect(liked.likes == 1)
            store.advance(by: .seconds(10))
            let probe: Probe = try await client.call(.GET, "/health")
            #expect(probe.verdict == "degraded")
            store.stopFailing()
        }
    }

    @Test func anErrorOfTheStoreIsAnAnswer() async throws {
        store.fail(.sync)
        try await serve { client in
            let bo = try await client.token(of: "bo")
            for _ in 0..<2 {
                await #expect(throws: Client.Refused(status: 500)) {
                    let _: Post = try await client.call(
                        .POST, "/posts", token: bo, NewPost(text: "hello"))
                }
            }
            await #expect(throws: Client.Refused(status: 503)) {
                let _: Probe = try await client.call(.GET, "/health")
            }
        }
    }
}
