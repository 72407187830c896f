package import EventLog
import Logging

/// Fills an empty database from the newest good snapshot; the materializer then goes on with the log behind it.
///
/// All rows and the watermark are one transaction: a crash in between leaves an empty database, and the next opening
/// starts over.
struct DatabaseRebuild {
    private let history: StoreHistory
    private let logger: Logger

    init(_ history: StoreHistory, _ logger: Logger) {
        self.history = history
        self.logger = logger
    }

    /// A snapshot to start from, which was read to its end and belongs to the log's history; nil if the log itself is whole.
    func base() throws(StoreError) -> SnapshotReader? {
        do throws(HistoryError) {
            return try history.goodBase { problem in
                logger.error("a snapshot cannot be used", metadata: ["cause": "\(problem)"])
            }
        } catch {
            throw .database("it cannot be rebuilt: \(error)")
        }
    }

    /// Fills an empty database. Does nothing if there is no snapshot.
    func fill(_ sink: any Sink) throws(StoreError) {
        guard let base = try base() else { return }
        let position = LogPosition(base.head)
        let origin = Watermark(startOf: history.environment.storeID)
        let tables = try tables(of: base)
        let changes = SnapshotChanges(
            environment: history.environment,
            through: Watermark(sequence: position.sequence, chain: position.chain))
        if let shared = tables.first(where: \.schema.isShared), sink.hasOtherStores {
            guard !history.isWhole else {
                logger.notice("a table is shared; the database is filled from the log")
                return
            }
            throw .database(
                "it is empty, and the log no longer has this store's first adds to the shared table "
                    + "\(StoredValue.text(shared.schema.name)), so they cannot be counted; give it the database that has them, or a backup of it"
            )
        }
        do throws(SinkError) {
            guard try makeTables(tables, in: sink, through: origin) else { return }
            do throws(SinkError) {
                try sink.apply(changes)
            } catch {
                guard error.kind == .constraint else { throw error }
                if history.isWhole {
                    // Only commits of the log can go to quarantine, and the log holds the one that is to blame.
                    logger.notice(
                        "a snapshot's rows are refused; the database is filled from the log",
                        metadata: ["cause": "\(error)"])
                    return
                }
                guard let sink = sink as? any ReplaceableSink else { throw error }
                try sink.dropCarriedOver(named: [])
                try sink.apply(changes)
            }
            try sink.makeIndices()
        } catch {
            throw StoreError(error)
        }
        logger.notice(
            "the database was filled from a snapshot",
            metadata: ["sequence": "\(position.sequence)", "rows": "\(base.rowCount)"])
    }
}

extension DatabaseRebuild {
    /// Makes the tables of a snapshot. Its definitions have no place in the log, so they could not wait in quarantine.
    ///
    /// - Returns: false if the database is to be filled from the log instead: a user's object has a name that a table
    ///   needs, and the log has the definition.
    private func makeTables(
        _ tables: [TableDefinition], in sink: any Sink, through origin: Watermark
    ) throws(SinkError) -> Bool {
        if let objection = tables.lazy.compactMap({ sink.objection(to: $0) }).first {
            guard !history.isWhole else {
                logger.notice(
                    "a snapshot's table cannot be made; the database is filled from the log",
                    metadata: ["cause": "\(objection)"])
                return false
            }
            try (sink as? any ReplaceableSink)?
                .dropCarriedOver(named: tables.map(\.schema.name))
        }
        for table in tables {
            if let refused = try sink.define(table, through: origin).added.first {
                throw refused.error
            }
        }
        return true
    }

    private func tables(of base: SnapshotReader) throws(StoreError) -> [TableDefinition] {
        do throws(SchemaError) {
            let records = base.preamble.records
            return try Catalog(defineRecords: records.span).tables
        } catch {
            throw .schema(error)
        }
    }
}

/// The rows of a snapshot as one batch.
private struct SnapshotChanges: SortedChanges {
    let environment: LogEnvironment
    let through: Watermark
    var cleared: [UInt32] { [] }

    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        let reader: SnapshotReader
        do throws(SnapshotError) {
            reader = try SnapshotReader(of: through.sequence, in: environment)
        } catch {
            throw SinkError(.io, "\(error)")
        }
        while try next(reader) {
            try reader.withKey { (key) throws(SinkError) in
                try reader.withBody { (row) throws(SinkError) in
                    try body(reader.row.table, .put, key, row)
                }
            }
        }
    }

    private func next(_ reader: SnapshotReader) throws(SinkError) -> Bool {
        do throws(SnapshotError) {
            return try reader.next()
        } catch {
            throw SinkError(.io, "\(error)")
        }
    }
}

extension StoreHistory {
    /// Whether the log reaches back to the first commit.
    fileprivate var isWhole: Bool {
        (try? LogReader.segmentBases(environment).first) == 1
    }

    /// The newest snapshot that is good to its last byte and that the log continues; nil if there is none
    /// and the log is whole.
    package func goodBase(_ refused: (HistoryError) -> Void) throws(HistoryError) -> SnapshotReader?
    {
        try withBase(FoldLimit(sequence: readable), .end, refused: refused) {
            (base) throws(HistoryError) in
            guard let base else { return nil }
            try verify(base)
            // The fold takes in only the one block behind the snapshot.
            let fold = try LogFold(
                after: LogPosition(base.head), preamble: base.preamble, memory: 1 << 20)
            try checkStart(of: fold)
            return base
        }
    }
}
