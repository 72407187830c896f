import Foundation
import Hummingbird
import ServiceLifecycle
import WriteBehind

/// The web server's routes.
func routes(_ board: Board, _ live: Live) -> Router<BasicRequestContext> {
    let router = Router()
    router.add(middleware: StoreErrors())
    router.get("/") { _, _ in
        Response(
            status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.page_html)))
    }
    router.get("live") { request, _ in
        Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                // Ends when the client disconnects or the server shuts down.
                try await request.body.consumeWithCancellationOnInboundClose { _ in
                    for await event in live.events().cancelOnGracefulShutdown() {
                        try await writer.write(event)
                    }
                }
                try await writer.finish(nil)
            })
    }
    // For a probe: take the process out of service while this is 503.
    router.get("health") { _, _ in
        let health = board.store.health
        return Response(
            status: health.verdict < .failed ? .ok : .serviceUnavailable,
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(health))))
    }
    // Does nothing: `measure` compares the other routes with it.
    router.get("empty") { _, _ in HTTPResponse.Status.ok }

    router.post("sessions") { request, context in
        let user = try await request.decode(as: SignIn.self, context: context).user
        guard (1...40).contains(user.count) else {
            throw HTTPError(.badRequest, message: "a name has 1 to 40 characters")
        }
        return SignedIn(token: try board.signIn(user).id)
    }
    router.post("posts") { request, context in
        let author = try await board.user(of: request)
        let text = try await request.decode(as: NewPost.self, context: context).text
        guard (1...280).contains(text.count) else {
            throw HTTPError(.badRequest, message: "a post has 1 to 280 characters")
        }
        return try await board.publish(text, by: author)
    }
    router.get("posts/{id}") { _, context in
        let id = try context.parameters.require("id", as: UUID.self)
        guard let post = try await board.view(id), let place = try await board.place(of: id) else {
            throw HTTPError(.notFound)
        }
        return ViewedPost(post: post, place: place)
    }
    router.post("posts/{id}/likes") { request, context in
        let user = try await board.user(of: request)
        let id = try context.parameters.require("id", as: UUID.self)
        guard let likes = try await board.like(id, by: user) else { throw HTTPError(.notFound) }
        return Liked(likes: likes)
    }
    router.get("leaderboard") { _, _ in try await board.leaders(20) }
    router.get("feed") { request, _ in
        let query = request.uri.queryParameters
        let cursor = try query["after"].map { _ in
            try query.require("after", as: IndexCursor.self)
        }
        let page = try await board.feed(of: query.get("author"), after: cursor)
        return FeedPage(posts: page.rows, next: page.next?.description)
    }
    return router
}

extension Board {
    fileprivate func user(of request: Request) async throws -> String {
        let words = request.headers[.authorization]?.split(separator: " ") ?? []
        guard words.count == 2, words[0] == "Bearer",
            let token = UUID(uuidString: String(words[1])), let user = try await user(of: token)
        else { throw HTTPError(.unauthorized, message: "sign in first") }
        return user
    }
}

struct SignIn: Codable { var user: String }
struct SignedIn: ResponseCodable { var token: UUID }
struct NewPost: Codable { var text: String }
struct ViewedPost: ResponseCodable { var post: Post, place: Int }
struct Liked: ResponseCodable { var likes: Int }
struct FeedPage: ResponseCodable { var posts: [Post], next: String? }

extension Post: ResponseCodable {}
