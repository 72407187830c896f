/// A row whose key is an id that the store gives it when it is inserted. `@Key(assigned: true)` makes it one.
///
/// ```swift
/// @Table struct Post {
///     @Key(assigned: true) var id = 0
///     var title: String
/// }
///
/// let post = try await posts.insert(Post(title: "Hello"))     // with its id
/// ```
public protocol AssignedKeyRow: TableRow where Key == Int {
    /// The id; 0 as long as the row has none.
    var assignedKey: Int { get set }
}
