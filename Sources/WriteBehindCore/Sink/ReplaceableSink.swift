/// A ``Sink`` that the store owns, such as a file beside the log, so that it may be put aside and made again.
///
/// Its opener's ``SinkOpener/putAside(for:reason:)`` puts it aside while it is closed. Users may have made tables,
/// indices, views and triggers of their own in it. The sink that replaces it makes them again.
package protocol ReplaceableSink: Sink {
    /// The database that this one replaces; nil once everything that its users had made is made again here.
    ///
    /// Their tables, indices, views and triggers are made as soon as the tables that they refer to are defined.
    func aside() throws(SinkError) -> AsideDatabase?

    /// Makes the rest of the users' objects. To be called once all rows are there.
    /// - Returns: what could not be made.
    func carryOver() throws(SinkError) -> [CarryFailure]

    /// Drops objects of users that were made again: all indices and triggers, and every object with one of these names.
    /// Drops the declared unique constraints, too. All of them are made again once all rows are there.
    func dropCarriedOver(named names: [String]) throws(SinkError)
}

/// A database that was put aside, and what its users had made in it.
///
/// It is kept as JSON in `database.sqlite.carry-over`, from before the database is moved until everything is
/// made again in the new one, so that a crash in between loses nothing.
package struct AsideDatabase: Codable, Sendable, Equatable {
    /// Where it is now, whole and readable.
    package var path: String
    /// The users' CREATE TABLE, INDEX, VIEW and TRIGGER statements, in the order they were made.
    package var statements: [String]
    /// The users' tables. Their rows are in that database and not in the log.
    package var tables: [String] = []
    /// Why `statements` may be incomplete, if the database could not be read.
    package var problem: String?

    package init(path: String, statements: [String], problem: String? = nil) {
        (self.path, self.statements, self.problem) = (path, statements, problem)
    }
}

/// Something that a user had made and that could not be carried over.
package struct CarryFailure: Sendable, Equatable {
    package var statement: String
    package var reason: String

    package init(statement: String, reason: String) {
        (self.statement, self.reason) = (statement, reason)
    }
}
