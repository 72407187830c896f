package import GRDB
package import WriteBehindCore

/// The program's own code for a projection.
package struct ProjectionEffects: Sendable {
    /// Makes its tables.
    package var setUp: @Sendable (Database) throws -> Void
    package var apply: @Sendable (RowTransition, Database) throws -> Void

    package init(
        setUp: @escaping @Sendable (Database) throws -> Void,
        apply: @escaping @Sendable (RowTransition, Database) throws -> Void
    ) {
        self.setUp = setUp
        self.apply = apply
    }
}

/// Watches what the code of a projection does on the writing connection while it runs.
///
/// Unchecked, because nothing is locked: it is used only where the connection is.
final class ProjectionFence: TransactionObserver, @unchecked Sendable {
    private struct Forbidden: Error, CustomStringConvertible {
        var description: String { "it ended the transaction; only the store commits" }
    }

    private var isRunning = false
    private var stores: Set<[UInt8]> = []
    /// A table of the store that the code has written.
    private(set) var violation: String?

    func begin(protecting tables: Set<[UInt8]>) {
        (isRunning, stores, violation) = (true, tables, nil)
    }

    func end() { isRunning = false }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool {
        guard isRunning else { return false }
        let name = foldedName(eventKind.table)
        if stores.contains(name) || name.starts(with: "_writebehind_".utf8) {
            violation = "it writes table \(quoted(eventKind.table)), which is the store's"
        }
        return false
    }

    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseWillCommit() throws { if isRunning { throw Forbidden() } }
    func databaseDidCommit(_ db: Database) {}
    func databaseDidRollback(_ db: Database) {}
}

extension DatabaseEventKind {
    fileprivate var table: String {
        switch self {
        case .insert(let table), .delete(let table), .update(let table, _): table
        }
    }
}

extension Database {
    /// Whether SQLite's own check finds the store's database damaged.
    ///
    /// A projection's code may say so of something else: another database that it has opened, or an error that it makes
    /// itself. The whole database is read, which may take minutes; then either the projection stops, or the database is
    /// replaced.
    ///
    /// - Throws: where it cannot be read now.
    func isDamaged() throws(SinkError) -> Bool {
        do {
            // Pages in memory may be whole where those in the file are damaged.
            try execute(sql: "PRAGMA shrink_memory")
            return try String.fetchOne(self, sql: "PRAGMA main.quick_check(1)") != "ok"
        } catch {
            let error = SinkError(wrapping: error)
            guard error.kind == .corrupt else { throw error }
            return true
        }
    }
}

extension DatabaseError {
    /// Whether the machine or another program may be the cause, so that the same code may succeed later.
    ///
    /// If a file cannot be opened or is no database, it is one that a closure opens, because the store's own is already open.
    var isOfTheMachine: Bool {
        switch resultCode {
        case .SQLITE_BUSY, .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_NOMEM, .SQLITE_INTERRUPT,
            .SQLITE_READONLY, .SQLITE_PROTOCOL:
            true
        case .SQLITE_CORRUPT: extendedResultCode == .SQLITE_CORRUPT
        default: false
        }
    }
}
