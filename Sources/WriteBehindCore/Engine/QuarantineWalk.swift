import EventLog

/// Finds the commits of quarantine in the log, in one pass.
final class QuarantineWalk {
    private let reader: LogReader
    /// The commits left of the block that was read last; nil behind its last commit.
    private var commits: CommitCursor?
    private var position: UInt64
    private var through: UInt64
    private(set) var isAtEnd = false

    /// After how many records, or blocks, one call returns.
    private static let recordLimit = 8192
    private static let blockLimit = 64

    /// - Parameter through: the last sequence that is read. It may be in the middle of a block.
    init(_ quarantine: QuarantineIndex, _ log: Log, through: UInt64) throws(LogError) {
        position = max(1, quarantine.lowest) - 1
        self.through = through
        reader = try log.reader(from: position + 1)
    }

    /// Moves the end of the walk to a later sequence.
    func extend(through sequence: UInt64) {
        through = max(through, sequence)
        isAtEnd = isAtEnd && position >= through
    }

    /// The next commits of quarantine, a bounded number of them.
    func next(of quarantine: QuarantineIndex) throws(LogError) -> [OrderedCommit] {
        var found: [OrderedCommit] = []
        var (blocks, records) = (0, 0)
        while !isAtEnd, records < Self.recordLimit, blocks < Self.blockLimit {
            if commits == nil {
                guard position < through, try reader.next(through: through) else {
                    isAtEnd = true
                    break
                }
                blocks += 1
                commits = try reader.commits()
            }
            guard let commit = nextCommit() else { continue }
            position = commit.lastSequence
            let ordered = OrderedCommit(
                firstSequence: commit.firstSequence, recordCount: Int(commit.count),
                time: commit.time, records: Array(reader.payload[commit.records]))
            guard let contents = try? ordered.contents(),
                quarantine.contains(commit.firstSequence, contents)
            else { continue }
            found.append(ordered)
            records += ordered.recordCount
        }
        isAtEnd = isAtEnd || position >= through
        return found
    }

    /// The block's next commit; nil behind its last, or if the next one is behind the end of the walk.
    private func nextCommit() -> Commit? {
        while var ahead = commits {
            // A block that was read passed its checks.
            guard let commit = try? ahead.next(reader.payload.span) else {
                commits = nil
                return nil
            }
            guard commit.lastSequence <= through else {
                isAtEnd = true
                return nil
            }
            commits = ahead
            if commit.firstSequence > position { return commit }
        }
        return nil
    }
}
