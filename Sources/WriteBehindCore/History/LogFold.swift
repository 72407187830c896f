package import EventLog

/// The changes of a part of the log, folded: at most one change for each row, by the rules of ``RowTable``.
///
/// Memory is bounded: when the changes take more than the limit, they are written, sorted, into a
/// temporary file (a run), and the fold goes on with none in memory. ``MergedRows`` merges runs and memory.
///
/// It holds one block of each run and has its file open, so the number of runs is bounded as well: whenever there are
/// ``Spilling/mergeCount`` runs of one level, ``mergeRuns(rows:)`` makes one run of the next level of them. So each change is written
/// once for each level, and a second level is enough for 64 GiB of changes, if a run has 64 MiB.
package final class LogFold {
    /// The position through which the log is folded in.
    package private(set) var position: LogPosition
    /// The schemas at ``position``.
    package private(set) var preamble: Preamble
    private(set) var clearedAt: [UInt32: UInt64] = [:]
    /// The runs that were spilled, oldest first.
    private(set) var runs: [RunFile] = []
    private var rows: RowTable
    private var times = CommitTimes()
    private let start: LogPosition
    private let tables: Set<UInt32>?
    private let spilling: Spilling?
    private var isPlaced = false
    /// The changes of the block that is being folded in.
    private var gathered = GatheredChanges()
    /// zstd's compression level for runs. It is a fast one, because they are read once and soon.
    private static let compressionLevel = -5
    private var merge: RunMerge?

    /// The directory into which changes are written, and the memory limit from which on.
    package struct Spilling: Sendable {
        var directory: String
        var memoryLimit: Int
        var environment: LogEnvironment
        /// As many runs of one level become one of the next.
        package var mergeCount = 32

        /// - Parameters:
        ///   - directory: for files with temporary names; it must exist.
        ///   - memoryLimit: bytes.
        package init(directory: String, memoryLimit: Int, environment: LogEnvironment) {
            self.directory = directory
            self.memoryLimit = memoryLimit
            self.environment = environment
        }
    }

    /// - Parameters:
    ///   - preamble: the schemas at `position`.
    ///   - tables: the tables that matter; nil for all.
    ///   - spilling: nil keeps everything in memory.
    ///   - memory: about how many bytes the changes may take, if nothing is spilled.
    init(
        after position: LogPosition, preamble: Preamble, tables: Set<UInt32>? = nil,
        spilling: Spilling? = nil, memory: Int = .max
    ) throws(HistoryError) {
        self.position = position
        self.preamble = preamble
        self.tables = tables
        self.spilling = spilling
        start = position
        do throws(OutOfMemory) {
            rows = try RowTable(memory: spilling?.memoryLimit ?? memory)
        } catch {
            throw .malformed(sequence: position.sequence, reason: "no address space: \(error)")
        }
        try setDefaults()
    }

    private func setDefaults() throws(HistoryError) {
        for table in try catalog().tables {
            rows.setDefaults(table: UInt16(table.id), RowCodec.defaults(table.schema))
        }
    }

    /// The tables at ``position``.
    package func catalog() throws(HistoryError) -> Catalog {
        do throws(SchemaError) {
            let records = preamble.records
            return try Catalog(defineRecords: records.span)
        } catch {
            throw .malformed(sequence: position.sequence, reason: "\(error)")
        }
    }

    /// Folds in those commits of a block that are within the limit and not folded in yet. Returns whether
    /// all of them were within the limit.
    func append(
        _ block: BlockHeader, payload: Span<UInt8>, chainBefore: UInt64, limit: FoldLimit
    ) throws(HistoryError) -> Bool {
        let isWhole = block.firstSequence > position.sequence && limit.admits(block)
        try place(block, chainBefore)
        var (isForeign, isCut) = (false, false)
        do throws(MalformedRecord) {
            var chain = Chain(chainBefore)
            var commits = try CommitCursor(block, payload)
            while let commit = try commits.next(payload) {
                isCut = !limit.admits(commit)
                if isCut { break }
                let records = payload.extracting(commit.records)
                if !isWhole { chain.append(time: commit.time, records: records) }
                guard commit.firstSequence > position.sequence else {
                    isForeign = isForeign || !agrees(commit, chain)
                    continue
                }
                if isForeign { break }
                try gather(commit, payload)
                position = LogPosition(
                    sequence: commit.lastSequence, chain: chain.value, time: commit.time)
            }
        } catch {
            throw .malformed(sequence: block.nextSequence - 1, reason: error.reason)
        }
        try applyGathered(block, payload)
        if isCut { return false }
        if isForeign { throw .otherHistory(snapshot: start.sequence) }
        if isWhole { position.chain = block.chain }
        try spillIfNeeded()
        return true
    }

    /// Folds the block's changes in, after all defaults that the block defines, because a change may follow the definition
    /// of its column in the same block. For a change before the definition this makes no difference: it has none of the new
    /// columns, and a column's default never changes.
    private func applyGathered(
        _ block: BlockHeader, _ payload: Span<UInt8>
    ) throws(HistoryError) {
        if block.flags.contains(.define) { try setDefaults() }
        do throws(MalformedRecord) {
            try gathered.apply(to: &rows, payload)
        } catch {
            throw .malformed(sequence: block.nextSequence - 1, reason: error.reason)
        }
    }

    /// Checks that the first block continues the history that the fold starts from.
    private func place(_ block: BlockHeader, _ chainBefore: UInt64) throws(HistoryError) {
        guard !isPlaced else { return }
        isPlaced = true
        let next = start.sequence + 1
        guard block.firstSequence <= next else {
            throw .gone(wanted: "sequence \(next)", oldest: block.firstSequence, refused: [])
        }
        if block.firstSequence == next, chainBefore != start.chain {
            throw .otherHistory(snapshot: start.sequence)
        }
    }

    /// Whether a commit that is already folded in is the same in this log.
    private func agrees(_ commit: Commit, _ chain: Chain) -> Bool {
        guard commit.lastSequence >= start.sequence, start == position else { return true }
        return commit.lastSequence == start.sequence && chain.value == start.chain
    }

    private func gather(_ commit: Commit, _ payload: Span<UInt8>) throws(MalformedRecord) {
        guard commit.time >= position.time else {
            throw MalformedRecord(offset: 0, reason: "a commit is older than the one before it")
        }
        times.append(commit.firstSequence, time: commit.time)
        if try gathered.append(commit, payload, tables, rows) {
            try preamble.note(payload.extracting(commit.records))
        }
    }

    // MARK: spilling

    private func spillIfNeeded() throws(HistoryError) {
        guard let spilling, rows.bytesInUse + times.byteCount > spilling.memoryLimit else { return }
        try spill(spilling)
    }

    private func spill(_ spilling: Spilling) throws(HistoryError) {
        noteClears()
        let run = newRun(spilling, level: 0)
        let writer = try writer(of: run, spilling)
        let changes = MemoryRows(self)
        while try changes.next() { try changes.write(to: writer) }
        try snapshotErrors { () throws(SnapshotError) in try writer.finish(isDurable: false) }
        runs.append(run)
        rows.removeAll()
        times.removeAll()
    }

    private func newRun(_ spilling: Spilling, level: Int) -> RunFile {
        let name = "run-" + String(spilling.environment.random(), radix: 16)
        let path = StoreLayout.temporary(spilling.directory + "/" + name)
        return RunFile(path, on: spilling.environment.disk, level: level)
    }

    private func writer(
        of run: RunFile, _ spilling: Spilling
    ) throws(HistoryError) -> SnapshotWriter {
        let head = SnapshotHead(
            sequence: position.sequence, chain: position.chain, time: position.time, created: 0,
            previous: 0)
        return try snapshotErrors { () throws(SnapshotError) in
            try SnapshotWriter(
                creating: run.path, head, preamble: Preamble(), blockSize: 64 << 10,
                compressionLevel: Self.compressionLevel, in: spilling.environment)
        }
    }

    /// Merges about so many rows of runs if there are too many runs. Returns false if there is nothing to merge; only then
    /// may the next block be folded in.
    func mergeRuns(rows limit: Int) throws(HistoryError) -> Bool {
        guard let spilling else { return false }
        if merge == nil {
            let group = runs.suffix(spilling.mergeCount)
            // Levels never ascend from older runs to newer ones.
            guard group.count == spilling.mergeCount, let level = group.last?.level,
                group.allSatisfy({ $0.level == level })
            else { return false }
            let run = newRun(spilling, level: level + 1)
            merge = try RunMerge(Array(group), of: self, into: run, writer(of: run, spilling))
        }
        if let merge, try merge.step(rows: limit) {
            runs.removeLast(spilling.mergeCount)
            runs.append(merge.run)
            self.merge = nil
        }
        return true
    }

    func row(_ reference: RowTable.Reference) -> SnapshotRow {
        let operation = rows.change(reference).operation
        let sequence = rows.sequence(reference)
        return SnapshotRow(
            operation: operation, table: UInt32(rows.table(reference)), sequence: sequence,
            time: times.time(of: sequence))
    }

    func noteClears() {
        for (table, sequence) in rows.clearedAt { clearedAt[UInt32(table)] = sequence }
    }

    /// The environment for reading runs.
    var spillingEnvironment: LogEnvironment? { spilling?.environment }

    // MARK: what is in memory

    func sortedReferences() -> [RowTable.Reference] { rows.sortedReferences() }

    func prefetch(_ reference: RowTable.Reference) { rows.prefetch(reference) }

    func withRow(
        _ reference: RowTable.Reference,
        _ body: (_ key: Span<UInt8>, _ body: Span<UInt8>) throws(HistoryError) -> Void
    ) throws(HistoryError) {
        try rows.withKey(reference) { (key) throws(HistoryError) in
            try rows.withBody(reference) { (content) throws(HistoryError) in
                try body(key, content)
            }
        }
    }
}
