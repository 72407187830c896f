import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The extent of a replay, estimated from headers only.
package struct ReplayPlan: Sendable {
    /// The sequence of the snapshot from which it would start; 0 for none.
    package private(set) var snapshot: UInt64 = 0
    /// The last sequence. Blocks are not unpacked, so with a time as the point it may be the end of a block.
    package private(set) var through: UInt64
    package private(set) var records: UInt64 = 0
    package private(set) var logBytes = 0
    package private(set) var statements: [String] = []

    /// The speed of folding and writing, measured on a small machine, in records a second.
    private static let speed = 400_000.0
    private static let snapshotSpeed = 600_000.0
    private var snapshotRows: UInt64 = 0

    /// The time that it may take, from measured speeds: an order of magnitude.
    package var seconds: Double {
        Double(records) / Self.speed + Double(snapshotRows) / Self.snapshotSpeed
    }

    package init(
        _ store: StoreInspection, to point: LogPoint, exclusive: Bool, needsStatements: Bool,
        tables: Set<UInt32>?
    ) throws {
        let history = store.history()
        try history.requireSpan(of: point)
        let limit = try history.limit(of: point)
        through = min(limit.sequence, store.readable)
        let environment = store.environment
        for sequence in try SnapshotReader.sequences(environment) where sequence <= through {
            guard let reader = try? SnapshotReader(of: sequence, in: environment),
                limit.admits(LogPosition(reader.head))
            else { continue }
            snapshot = sequence
            snapshotRows = reader.rowCount
        }
        try measure(environment, limit)
        if needsStatements {
            // The tables are those at the point, so the log must be folded up to it.
            statements = try Replay(store, to: point, exclusive: exclusive, tables: tables)
                .statements
        }
    }

    private mutating func measure(_ environment: LogEnvironment, _ limit: FoldLimit) throws {
        var last: UInt64 = snapshot
        for base in try LogReader.segmentBases(environment) where base <= through {
            guard
                case .opened(let segment) = try SegmentReader.open(
                    environment.layout.segment(base), on: environment.disk)
            else { break }
            for (header, _) in try segment.headers() {
                guard header.nextSequence > snapshot + 1, header.firstSequence <= through else {
                    continue
                }
                guard
                    (header.time / 1000) - min(header.time / 1000, UInt64(header.span))
                        <= limit.time
                else { break }
                records += UInt64(header.count)
                logBytes += BlockHeader.byteCount + Int(header.packedLength)
                last = header.nextSequence - 1
            }
        }
        through = min(through, last)
    }
}
