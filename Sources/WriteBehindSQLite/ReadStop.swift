import GRDB
import GRDBSQLite
import Synchronization
import WriteBehindCore

/// Ends users' reads once the database is closed: statements that are running, and any that begin later.
///
/// It does not use `interrupt()`, which ends only the statements that run at that moment, and which GRDB does not guard
/// against closing.
@safe final class ReadStop: Sendable {
    private let isSet = Atomic<Bool>(false)
    /// After how many steps of SQLite's virtual machine the flag is checked again.
    private static let steps: Int32 = 10_000

    func set() { isSet.store(true, ordering: .relaxed) }

    /// The object must be kept as long as the connection is open.
    func install(on db: Database) {
        guard let connection = unsafe db.sqliteConnection else { return }
        unsafe sqlite3_progress_handler(
            connection, Self.steps,
            { context in
                guard let context = unsafe context else { return 0 }
                let stop = unsafe Unmanaged<ReadStop>.fromOpaque(context).takeUnretainedValue()
                return stop.isSet.load(ordering: .relaxed) ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }
}
