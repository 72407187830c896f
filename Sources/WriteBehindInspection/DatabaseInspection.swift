package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// A store's database by what its own tables say. It is read and never written.
package struct DatabaseInspection: Sendable {
    /// nil if it is elsewhere, and its address was not given.
    package let source: (any InspectedDatabase)?
    package let state: DatabaseState

    /// Looks at a database.
    package init(_ source: any InspectedDatabase, of store: StoreID) {
        self.source = source
        state = source.state(of: store)
    }

    /// A database whose writer has reported its place.
    package init(elsewhere place: String) {
        source = nil
        state = .elsewhere(place)
    }

    package var contents: DatabaseContents? {
        if case .readable(let contents) = state { contents } else { nil }
    }

    /// Whether it is a file of this machine, with files of SQLite's beside it.
    package var isFile: Bool { source is InspectedSQLite }

    /// A database or snapshot that holds a state of the log proves that it had been durable.
    package var witnesses: [Witness] {
        contents.map { [Witness(name: "the database", sequence: $0.watermark.sequence)] } ?? []
    }
}
