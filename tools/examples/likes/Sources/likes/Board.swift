import Foundation
import WriteBehind

/// Posts, who likes them, and who is signed in.
struct Board: Sendable {
    let store: Store
    let posts: StoredTable<Post>
    let likes: StoredTable<Like>
    let sessions: StoredTable<Session>
    private let now: @Sendable () -> Date

    /// - Parameter now: the time for posts' dates and sessions' expiry. A test passes its own.
    init(_ store: Store, now: @escaping @Sendable () -> Date = { .now }) throws {
        self.store = store
        self.now = now
        posts = try store.table(Post.self)
        likes = try store.table(Like.self)
        sessions = try store.table(Session.self)
    }

    // MARK: sessions

    /// Signs a user in for a day.
    func signIn(_ user: String) throws -> Session {
        let tomorrow = now().addingTimeInterval(24 * 3600)
        let session = Session(id: UUID(), user: user, until: tomorrow)
        try sessions.put(session)
        return session
    }

    /// The user who is signed in with a token.
    func user(of token: UUID) async throws -> String? {
        // The store deletes an expired row within about a second.
        guard let session = try await sessions.get(token), session.until > now() else { return nil }
        return session.user
    }

    // MARK: posts

    /// Publishes a post. When this returns, the post survives power loss, because a user typed it.
    func publish(_ text: String, by author: String) async throws -> Post {
        let post = Post(id: UUID(), author: author, text: text, created: now())
        let receipt = try posts.put(post)
        try await store.wait(for: .durable, receipt, timeout: .seconds(5))
        return post
    }

    /// Counts a view, and returns the post.
    func view(_ id: UUID) async throws -> Post? {
        do {
            try await posts.increment(id, \.views)
        } catch StoreError.noSuchRow {
            return nil
        }
        return try await posts.get(id)
    }

    /// Stores that a user likes a post, and counts it: both in one commit, and only once for each user.
    ///
    /// - Returns: the post's likes; nil if there is no such post.
    func like(_ id: UUID, by user: String) async throws -> Int? {
        try await store.transaction { transaction -> Int? in
            guard let post = try await transaction.get(id, in: posts) else { return nil }
            let key = Like.Key(post: id, user: user)
            if try await transaction.get(key, in: likes) != nil { return post.likes }
            try transaction.put(Like(post: id, user: user, created: now()), in: likes)
            return try await transaction.increment(id, \.likes, in: posts)
        }.result
    }

    // MARK: orders, current to the last write

    /// The posts with the most likes.
    func leaders(_ count: Int) async throws -> [Post] {
        try await posts.top(count, by: \.likes)
    }

    /// The place of a post among all, by likes: 1 for the one with the most.
    func place(of id: UUID) async throws -> Int? {
        try await posts.rank(of: id, by: \.likes).map { $0 + 1 }
    }

    /// The newest posts, of all authors or of one, a page at a time.
    func feed(
        of author: String? = nil, after cursor: IndexCursor? = nil, limit: Int = 20
    ) async throws -> RowPage<Post> {
        if let author {
            return try await posts.range(
                in: \.byAuthor, of: author, order: .descending, limit: limit, after: cursor)
        }
        return try await posts.range(
            in: \.created, order: .descending, limit: limit, after: cursor)
    }
}
