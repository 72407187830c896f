import EventLog

/// Commits that are applied in the order of the log, in one transaction.
struct OrderedStretch {
    private(set) var commits: [OrderedCommit] = []
    private(set) var recordCount = 0
    private var byteCount = 0
    /// The end of the last of them.
    var through: Watermark

    init(through: Watermark) {
        self.through = through
    }

    func has(room limits: Materializer.Limits) -> Bool {
        recordCount < limits.records && byteCount < limits.bytes
    }

    mutating func append(_ commit: OrderedCommit) {
        commits.append(commit)
        recordCount += commit.recordCount
        byteCount += commit.records.count
    }

    mutating func removeAll() {
        commits.removeAll()
        (recordCount, byteCount) = (0, 0)
    }
}
