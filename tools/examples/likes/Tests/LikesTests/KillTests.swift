import Foundation
import GRDB
import Testing
import WriteBehind

@testable import likes

/// The clients' requests, and the answers.
private actor Load {
    private(set) var sessions: [UUID: String] = [:]
    private(set) var tried: Set<Like.Key> = []
    private(set) var answered: Set<Like.Key> = []

    /// Signs users in and likes all posts as each of them, until it is cancelled. A failed request is not tried again: its
    /// change may have been written or not.
    nonisolated func run(_ client: Client, number: Int, posts: [UUID]) async {
        var user = 0
        while !Task.isCancelled {
            user += 1
            let name = "user \(number)-\(user)"
            guard let token = try? await client.token(of: name) else { continue }
            await add(token, of: name)
            for post in posts {
                let like = Like.Key(post: post, user: name)
                await add(tried: like)
                let liked: Liked? = try? await client.call(
                    .POST, "/posts/\(post)/likes", token: token)
                if liked != nil { await add(answered: like) }
            }
        }
    }

    private func add(_ token: UUID, of user: String) { sessions[token] = user }
    private func add(tried like: Like.Key) { tried.insert(like) }
    private func add(answered like: Like.Key) { answered.insert(like) }
}

/// The server as a process, killed with `kill -9` again and again under load.
@Suite(.timeLimit(.minutes(5))) struct KillTests {
    @Test func nothingThatWasAnsweredIsLostAndSumsAreExact() async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/likes-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let server = Server(directory)
        try await server.start()
        let client = server.client
        let ada = try await client.token(of: "ada")
        var posts: [UUID] = []
        for number in 0..<5 {
            let post: Post = try await client.call(
                .POST, "/posts", token: ada, NewPost(text: "post \(number)"))
            posts.append(post.id)
        }
        let load = Load()
        try await withThrowingTaskGroup { group in
            for number in 0..<8 {
                group.addTask { [posts] in await load.run(client, number: number, posts: posts) }
            }
            for kill in 1...4 {
                let before = await load.answered.count
                while await load.answered.count < before + 200 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await server.kill()
                // No more answers come: the next server must have all that were answered.
                let answered = await load.answered
                try await server.start()
                for post in posts {
                    let seen: ViewedPost = try await client.call(.GET, "/posts/\(post)")
                    let likes = answered.filter { $0.post == post }.count
                    #expect(seen.post.likes >= likes, "after kill \(kill)")
                }
            }
            group.cancelAll()
        }
        #expect(try await server.shutDown())
        try await check(directory, load, posts)
    }

    /// Checks the store that the server has closed.
    private func check(_ directory: String, _ load: Load, _ posts: [UUID]) async throws {
        let (sessions, tried, answered) = await (load.sessions, load.tried, load.answered)
        let store = try await Store(at: directory)
        #expect(store.health.lag.records == 0)
        let board = try Board(store)
        for (token, user) in sessions { #expect(try await board.user(of: token) == user) }
        let keys = Array(answered)
        for (key, like) in zip(keys, try await board.likes.get(all: keys)) {
            #expect(like != nil, "the like of \(key.user) was answered, and is lost")
        }
        for post in posts {
            let users = try await store.database.read { db in
                try String.fetchSet(
                    db, sql: "SELECT user FROM likes WHERE post = ?", arguments: [post])
            }
            #expect(try await board.posts.get(post)?.likes == users.count)
            #expect(users.allSatisfy { tried.contains(Like.Key(post: post, user: $0)) })
        }
        let leaders = try await board.leaders(posts.count)
        #expect(leaders.map(\.likes) == leaders.map(\.likes).sorted(by: >))
        #expect(Set(leaders.map(\.id)) == Set(posts))
        try await store.close()
    }
}
