package import EventLog
import Foundation
package import WriteBehindCore
import WriteBehindSQLite

/// A store as another process sees it: read without the lock, while it is being written, after it was
/// closed, or after its writer died. Nothing is changed.
package struct StoreInspection: Sendable {
    package enum State: Equatable, Sendable {
        /// A process has it open for writing.
        case live(process: Int?)
        /// It was closed cleanly, or nothing was ever written.
        case closed
        /// Its last writer ended without closing it; the next open recovers it.
        case ended
    }

    package let layout: StoreLayout
    package let identity: StoreIdentity
    /// Whether its first writer ended before the store had an identity. The store is empty then.
    package let isUnmade: Bool
    package let environment: LogEnvironment
    /// Whether other evidence than the segments themselves counts: database, snapshots, `log-start` and `clean-end`.
    package let trustsWitnesses: Bool
    package let state: State
    /// The inspection of the log; nil while it is being written.
    package let log: LogInspection?
    /// The database by what its own tables say.
    package let database: DatabaseInspection
    /// The sequence that the last writer published as readable, if its staging file is there.
    package let published: UInt64?

    /// - Throws: ``StoreError/notAStore(path:reason:)``; ``LogError`` if files cannot be read.
    ///
    /// - Parameters:
    ///   - trustsWitnesses: whether database and snapshots prove what was durable.
    ///   - named: the store's database; nil for the one in its directory. If its writer has reported another place,
    ///     that is not looked at.
    package init(
        path: String, disk: any Disk = PosixDisk(), trustsWitnesses: Bool = true,
        database named: (any InspectedDatabase)? = nil
    ) throws {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        layout = StoreLayout(root: path)
        if StoredFile.kind(of: path) == .typeRegular {
            throw StoreError.notAStore(path: path, reason: "it is a file; a store is a directory")
        }
        let found = try StoreIdentity.read(layout, on: disk)
        isUnmade = try found == nil && Self.isUnmade(layout, disk)
        guard let identity = found ?? (isUnmade ? StoreIdentity(random: (0, 0), created: 0) : nil)
        else {
            throw StoreError.notAStore(path: path, reason: try Self.whyNot(layout, disk))
        }
        self.identity = identity
        environment = LogEnvironment(disk: disk, layout: layout, storeID: identity.storeID)
        published = try LogInspection.published(environment)
        let writer = WriterProbe.find(lock: layout.lock, on: disk)
        let known: State
        switch writer {
        case .process(let process) where published != nil: known = .live(process: process)
        case .unknown where published != nil: known = .live(process: nil)
        default: known = published == nil ? .closed : .ended
        }
        let isLive = if case .live = known { true } else { false }
        if named == nil, let place = DatabasePlace.read(layout, on: disk)?.place {
            database = DatabaseInspection(elsewhere: place)
        } else {
            database = DatabaseInspection(
                named ?? InspectedSQLite(layout.database, isLive: isLive), of: identity.storeID)
        }
        log =
            if case .live = known { nil } else {
                try LogInspection(
                    environment,
                    witnesses: trustsWitnesses
                        ? database.witnesses + (try StoreHistory.witnesses(environment)) : [],
                    believesSegments: !trustsWitnesses)
            }
        self.trustsWitnesses = trustsWitnesses
        // A missing staging file alone does not prove that it was closed.
        if case .closed = known, let left = log?.judgement.left, left == .open || left == .unknown {
            state = .ended
        } else {
            state = known
        }
    }

    /// Why a directory without a store.json is not a store.
    private static func whyNot(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(SystemError) -> String {
        if try LostIdentity.holdsLog(layout, on: disk) {
            return "it holds a log, but its store.json is missing; \(StoreIdentity.wayBack)"
        }
        guard try disk.exists(layout.root) else { return "there is no such directory" }
        if let target = StoredFile.target(ofLink: layout.root),
            StoredFile.kind(of: layout.root) == nil
        {
            return "it is a symbolic link to \(target), which does not exist"
        }
        return "it holds no store.json; a store is a directory with one"
    }

    /// Whether there is only the lock file, which opening makes first.
    private static func isUnmade(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(LogError) -> Bool {
        do throws(SystemError) {
            guard try disk.exists(layout.lock) else { return false }
            guard try disk.exists(layout.log) else { return true }
            return try disk.list(layout.log).isEmpty
        } catch {
            throw .system(error)
        }
    }

    /// The store as it is now, with the same database.
    package func again() throws -> StoreInspection {
        try StoreInspection(
            path: layout.root, disk: environment.disk, trustsWitnesses: trustsWitnesses,
            database: database.isFile ? nil : database.source)
    }

    /// The room of the database's tables; nil if it cannot be read.
    package func sizes() throws(SinkError) -> DatabaseSizes? {
        guard database.contents != nil else { return nil }
        return try database.source?.sizes(environment.storeID)
    }

    /// Whether a writer has it open.
    package var isLive: Bool {
        if case .live = state { true } else { false }
    }

    /// The damage that opening the store would find; nil while it is being written.
    package var damage: Corruption? { log?.plan.corruption }

    /// The last sequence that segments hold and that may be read.
    package var readable: UInt64 { log?.written ?? published ?? 0 }

    /// The last sequence that survives power loss. For a store without a writer, as far as the evidence shows.
    package var durable: UInt64 { log?.judgement.durable ?? readable }

    /// The sequence behind which the next open would go on; while a writer has it open, the last durable one.
    package var end: UInt64 { log?.plan.end ?? durable }

    /// Whether the end of the log was left half written, and recovery would cut it off.
    package var isTorn: Bool {
        log?.judgement.isTorn ?? false
    }

    /// The first sequence that the log still holds; 1 for an empty one.
    package var first: UInt64 {
        get throws { try LogReader.segmentBases(environment).first ?? 1 }
    }

    /// The segments that were merged into the one before them and are not removed yet; none while a writer has the
    /// store open, because it may be about to remove them.
    package func mergedSegments() throws -> [UInt64] {
        isLive ? [] : try SegmentList(environment).leftovers
    }
}
