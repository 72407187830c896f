import EventLog
public import Foundation

/// A snapshot of a store: all its rows as of one sequence.
public struct Snapshot: Sendable, Equatable {
    /// The snapshot reflects the log through this sequence.
    public let sequence: UInt64
    /// The time of the last write in it.
    public let date: Date
    /// How many rows it has, of all tables.
    public let rows: Int
    /// The length of its file in bytes.
    public let bytes: Int
    /// The path of its file.
    public let path: String

    init(_ reader: SnapshotReader) {
        sequence = reader.head.sequence
        date = Date(timeIntervalSince1970: Double(reader.head.time) / 1000)
        rows = Int(reader.rowCount)
        bytes = reader.byteCount
        path = reader.path
    }
}

/// A name for a moment in the log.
public struct Mark: Sendable, Equatable {
    /// Its name; several marks may have the same.
    public let name: String
    /// Its place among all writes.
    public let sequence: UInt64
    /// When it was set.
    public let date: Date

    init(_ mark: LogMark) {
        name = mark.name
        sequence = mark.sequence
        date = Date(timeIntervalSince1970: Double(mark.time) / 1000)
    }
}

extension Store {
    /// Makes a snapshot of everything written before this call, from the last snapshot and the log.
    ///
    /// Writers go on meanwhile. Returns once the snapshot is synced and was read back. A crash before that
    /// leaves the snapshots that there were.
    ///
    /// - Returns: nil for a store in which nothing was ever written.
    /// - Throws: ``StoreError/snapshotFailed(_:)``, or why the log cannot be written at present, as a write
    ///   would.
    @discardableResult
    public func snapshot() async throws(StoreError) -> Snapshot? {
        try open()
        if let damage = store.damage { throw .damaged("\(damage)") }
        let last = engine.log.lastSequence
        guard last > 0 else { return nil }
        // A full disk may stay full for any time, so a request for a snapshot fails at once then.
        try await Worker.waiting("packer") { [log = engine.log] in log.makeReadable(through: last) }
        if engine.log.readable < last, let refusal = engine.log.refusal {
            throw StoreError(refusal)
        }
        try await waitUntilReadable(last)
        if let driver {
            store.snapshotter.request(last)
            driver.runDue()
        }
        try await store.snapshotter.take(through: last)
        return try await snapshots().last
    }

    /// All snapshots, oldest first; those with a damaged head are left out.
    ///
    /// - Throws: ``StoreError/history(_:)`` when the directory cannot be read.
    public nonisolated(nonsending) func snapshots() async throws(StoreError) -> [Snapshot] {
        let environment = engine.log.environment
        return try await HistoryError.reading {
            let sequences = try snapshotErrors { () throws(SnapshotError) in
                try SnapshotReader.sequences(environment)
            }
            return sequences.compactMap { sequence in
                (try? SnapshotReader(of: sequence, in: environment)).map(Snapshot.init)
            }
        }
    }

    /// Names this moment in the log, so that you can ask for the past by this name (``Moment/mark(_:)``).
    ///
    /// A mark is a record like any other, and as safe as a write. It is gone when its part of the log is deleted.
    /// - Throws: the errors of any write.
    @discardableResult
    public func mark(_ name: String) throws(StoreError) -> Receipt {
        try open()
        var commit = CommitBuilder()
        commit.appendMark(name)
        return try engine.commit(commit)
    }

    /// The marks that the log still holds and that are durable, oldest first. A name may occur several times.
    ///
    /// - Throws: ``StoreError/history(_:)`` when the log cannot be read.
    public nonisolated(nonsending) func marks() async throws(StoreError) -> [Mark] {
        try await HistoryError.reading { [engine] in try engine.history.marks().map(Mark.init) }
    }
}

extension Engine {
    /// The store's past, as far as it is durable. Blocks its thread for the disk: see ``HistoryError/reading(_:)``.
    var history: StoreHistory {
        log.makeDurableReadable()
        return StoreHistory(log.environment, readable: log.readable)
    }
}
