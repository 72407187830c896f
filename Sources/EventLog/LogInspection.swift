/// The state of a log, and what recovery would do. It takes no lock and changes nothing.
///
/// For a log that no process writes. If a process writes it, ``published(_:)`` says how far it can be
/// read; this would take blocks that are half written for torn ones.
package struct LogInspection: Sendable {
    /// A commit that staging holds and segments do not: the next open would take it.
    package struct StagedCommit: Sendable, Equatable {
        package var firstSequence: UInt64
        package var count: UInt32
        /// Milliseconds since 1970.
        package var time: UInt64
        package var records: [UInt8]

        /// The commit, as a range of ``records``.
        package var commit: Commit {
            Commit(
                firstSequence: firstSequence, count: count, time: time,
                records: 0..<records.count)
        }
    }

    /// The judgement that opening follows.
    package let judgement: Judgement
    package let staged: [StagedCommit]
    /// Segments that were merged into another one, which has all their records.
    package let leftovers: [UInt64]
    /// The last segment, where its good blocks end, and how long it is.
    package let tail: Tail?

    package struct Tail: Sendable, Equatable {
        package var path: String
        package var base: UInt64
        /// The end of its last good block.
        package var blocksEnd: Int
        /// The same, or behind footer and seek table.
        package var goodEnd: Int
        package var byteCount: Int
        package var isSealed: Bool
    }

    /// The last sequence that segments hold, before any damage.
    package var written: UInt64 { judgement.written }

    /// The report that opening would make. ``RecoveryReport/cutOff`` is empty, because nothing was cut.
    package var plan: RecoveryReport { RecoveryReport(judgement) }

    /// - Parameters:
    ///   - witnesses: databases and snapshots that hold a state of the log, as evidence of what had been durable.
    ///   - readFrom: segments that reach this sequence are read to their end. The last segment always is.
    ///   - believesSegments: whether only the segments themselves say where the log begins and ends.
    package init(
        _ environment: LogEnvironment, witnesses: [Witness], readFrom: UInt64 = .max,
        believesSegments: Bool = false
    ) throws(LogError) {
        let judge = try Judge(
            environment, witnesses: witnesses, readFrom: readFrom,
            believesSegments: believesSegments)
        judgement = judge.judgement
        leftovers = judge.leftovers
        staged = judge.staged.map { found in
            let commit = found.commit
            return StagedCommit(
                firstSequence: commit.firstSequence, count: commit.count, time: commit.time,
                records: unsafe Array(commit.records))
        }
        tail = judge.last.map {
            Tail(
                path: $0.segment.path, base: $0.segment.header.base, blocksEnd: $0.blocksEnd,
                goodEnd: $0.end, byteCount: $0.fileByteCount, isSealed: $0.isSealed)
        }
    }

    /// Records that the log begins and ends where its segments do, so that opening believes them. The caller holds
    /// the store's lock.
    package static func believeSegments(_ environment: LogEnvironment) throws(LogError) {
        let judge = try Judge(environment, witnesses: [], believesSegments: true)
        if let damage = judge.judgement.damage { throw .corrupt(damage) }
        try judge.recordEdges()
    }

    /// The sequence that a writer, running or not, last published as readable; nil if there is no
    /// staging file (the log was closed cleanly), or none that can be read.
    package static func published(_ environment: LogEnvironment) throws(LogError) -> UInt64? {
        let path = environment.layout.staging
        return try onDisk { () throws(SystemError) in
            guard try environment.disk.exists(path) else { return nil }
            let head: [UInt8]
            do throws(SystemError) {
                head = try environment.disk.open(path, .read).bytes(StagingHeader.byteCount)
            } catch {
                // A writer that closes removes it between the two calls.
                if error.isMissingFile { return nil }
                throw error
            }
            guard let header = try? StagingHeader(decoding: head.span),
                header.storeID == environment.storeID
            else { return nil }
            // The checksum behind it may come a moment later.
            let readable = head.span.integer(UInt64.self, at: StagingHeader.publishedOffset)
            return readable <= Frame.sequenceLimit ? readable : nil
        }
    }
}
