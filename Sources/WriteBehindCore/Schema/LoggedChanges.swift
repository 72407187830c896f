/// What the log has of the updates of a table's rows, and so what change streams can say of them.
///
/// ```swift
/// @Table(changes: .wholeRows) struct Post {
///     let id: UUID
///     var title: String
///     var likes = 0
/// }
/// ```
///
/// It is a part of the table's definition in the log. The last declaration counts, and holds for what is written from then
/// on. Puts always have the whole row, and deletions only the key.
public enum LoggedChanges: String, Sendable, Hashable, CaseIterable {
    /// The columns that an update changed. This is the default.
    case columns
    /// The row before an update as well, so that ``RowChange/new`` and ``RowChange/old`` are known.
    ///
    /// The log grows by a whole row for each update, so an update of a row that takes more than half of what a commit may
    /// take is refused. Memory and database take no more than otherwise.
    case wholeRows
}
