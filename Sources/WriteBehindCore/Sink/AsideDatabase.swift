/// A database that was put aside, and what its users had made of it.
///
/// It stands in `database.sqlite.carry-over`, as JSON, from before the database is moved until all of that is
/// made again in the one in its place, so that no crash in between forgets it.
package struct AsideDatabase: Codable, Sendable, Equatable {
    /// Where it is now, whole and readable.
    package var path: String
    /// The users' CREATE TABLE, INDEX, VIEW and TRIGGER statements, in the order they were made.
    package var statements: [String]
    /// The users' tables, whose rows are in that database and not in the log.
    package var tables: [String] = []
    /// Why `statements` may not be all, where the database could not be read.
    package var problem: String?

    package init(path: String, statements: [String], problem: String? = nil) {
        (self.path, self.statements, self.problem) = (path, statements, problem)
    }
}

/// Something of a user's that could not be carried over.
package struct CarryFailure: Sendable, Equatable {
    package var statement: String
    package var reason: String

    package init(statement: String, reason: String) {
        (self.statement, self.reason) = (statement, reason)
    }
}
