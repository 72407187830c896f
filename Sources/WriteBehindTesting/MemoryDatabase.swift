import DiskSimulation
import EventLog
import Foundation
import GRDB
import WriteBehind
import WriteBehindCore
import WriteBehindSQLite

/// The SQLite database of a store in memory. It exists longer than the store that uses it, as a file does.
final class MemoryDatabase: SinkOpener {
    /// A database in memory exists as long as there is a connection to it.
    private struct Named: Sendable {
        let name = UUID().uuidString
        let keeper: DatabaseQueue

        init() throws(SinkError) {
            let name = name
            keeper = try throwingSinkError { try DatabaseQueue(named: name) }
        }
    }

    private let current: Lock<Named>
    private let failure = Locked<Store.Failure.Database?>(nil)

    init() throws(SinkError) {
        current = Lock(try Named())
    }

    /// Makes each commit fail from now on; nil ends that.
    func fail(_ kind: Store.Failure.Database?) { failure.withLock { $0 = kind } }

    func name(for owner: SinkOwner) -> String { owner.layout.database }

    func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        let name = current.withLock(\.name)
        let queue = try throwingSinkError { try DatabaseQueue(named: name) }
        queue.add(
            transactionObserver: FailingCommits { [failure] in failure.withLock { $0 } },
            extent: .databaseLifetime)
        return try SQLiteSink(
            inMemory: queue, path: owner.layout.database, storeID: owner.storeID.bytes,
            origin: owner.origin, disk: owner.disk, projections: owner.projections)
    }

    func putAside(for owner: SinkOwner, reason: String) throws(SinkError) {
        let new = try Named()
        current.withLock { $0 = new }
    }
}

/// Refuses each commit as SQLite would, as long as a test asks for it.
private final class FailingCommits: TransactionObserver {
    private let failure: @Sendable () -> Store.Failure.Database?

    init(_ failure: @escaping @Sendable () -> Store.Failure.Database?) { self.failure = failure }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { false }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseDidCommit(_ db: Database) {}
    func databaseDidRollback(_ db: Database) {}

    func databaseWillCommit() throws {
        switch failure() {
        case nil: break
        case .busy?: throw DatabaseError(resultCode: .SQLITE_BUSY, message: "database is locked")
        case .full?:
            throw DatabaseError(resultCode: .SQLITE_FULL, message: "database or disk is full")
        case .ioError?: throw DatabaseError(resultCode: .SQLITE_IOERR, message: "disk I/O error")
        case .readOnly?:
            throw DatabaseError(
                resultCode: .SQLITE_READONLY, message: "attempt to write a readonly database")
        }
    }
}
