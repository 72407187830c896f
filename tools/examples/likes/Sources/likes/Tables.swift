import Foundation
import WriteBehind

@Table("posts") @Index("byAuthor", on: "author", "created") struct Post: Codable {
    let id: UUID
    var author: String
    var text: String
    @Index var created: Date
    @Index var likes = 0
    var views = 0
}

/// A user likes a post once: both are the key.
@Table("likes") struct Like {
    @Key var post: UUID
    @Key var user: String
    var created: Date
}

/// Requests that show the token `id` are this user's, until the session expires.
@Table("sessions") struct Session {
    let id: UUID
    var user: String
    @Expires var until: Date
}
