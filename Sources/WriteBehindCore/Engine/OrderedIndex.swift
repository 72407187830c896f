package import EventLog
import Synchronization

// An index follows the writes: a change is appended to the log, applied to the view and then to the index, all under the
// shard's lock. An index has a lock of its own, because rows of all shards are in one order. That lock is taken inside
// shards' locks, in the order of the indices' numbers, and no lock of rows or of the log is taken inside it. So
//
// - a write that has returned is in the index, and one that failed is not: nothing can fail after it was logged;
// - a commit takes the locks of all its indices before it releases the first, so no read sees a part of it;
// - a read takes the index's lock alone, and the locks of the rows' shards only after it has released that one.
//
// The index is a fold of records as the view is (RowTable.swift), and does not read the view: a patch changes the
// value that the index has for the row. So rows need not be in memory, and eviction does not matter.

/// One index of a table: its entries, and whether they are complete.
package final class OrderedIndex: Sendable {
    package enum Phase: Sendable, Equatable {
        /// Writes are followed; rows from before are still being added (IndexBuilder.swift).
        case building
        case ready
        /// It has no entries any more. The text says why.
        case stopped(String)
    }

    private struct Content: ~Copyable {
        var entries: OrderedEntries?
        var phase = Phase.building
        /// How many of its bytes ``IndexMemory`` has counted.
        var counted = 0
        var scratch: [UInt8] = []
        /// Rows that are left out, because a sum in them does not fit into 64 bits.
        var leftOut: Set<[UInt8]> = []
        /// How often it was given up, to be built again.
        var builds = 0
    }

    package let table: UInt16
    package let tableName: String
    package let definition: IndexDefinition
    package let columns: IndexColumns
    /// The place in the order of locks.
    package let number: Int
    private let memory: IndexMemory
    private let content = Lock(Content())
    private let readiness = WaitList(reached: 0)

    /// - Parameter columns: their places among those outside the key.
    init(
        _ definition: IndexDefinition, on columns: [Int], of table: TableDefinition, number: Int,
        memory: IndexMemory
    ) {
        self.table = UInt16(table.id)
        tableName = table.schema.name
        self.definition = definition
        self.number = number
        self.memory = memory
        self.columns = IndexColumns(columns, in: table.schema)
        content.withLock { empty(&$0) }
    }

    package var phase: Phase { content.withLock { $0.phase } }

    /// How many entries it has, and how many bytes of memory they take.
    package var size: (entries: Int, bytes: Int) {
        content.withLock { ($0.entries?.count ?? 0, $0.counted) }
    }

    /// The first rule of the structure that does not hold; nil if all do.
    package func fault() -> String? { content.withLock { $0.entries?.fault() } }
}

extension OrderedIndex {
    // MARK: Following writes

    /// Applies a change that was logged under its shard's lock, then runs `others` while this index's lock is still held.
    func apply(
        _ change: ChangeKind, _ hash: UInt64, _ key: Span<UInt8>, _ body: Span<UInt8>,
        then others: () -> Void
    ) {
        content.withLock { content in
            apply(change, hash, key, body, to: &content)
            others()
        }
    }

    /// Applies the changes of a commit to its table, then runs `others` while this index's lock is still held.
    func apply(_ commit: CommitBuilder, _ hashes: [UInt64], then others: () -> Void) {
        content.withLock { content in
            for (step, hash) in zip(commit.steps, hashes) {
                switch step {
                case .change(let change) where change.table == table:
                    let bytes = commit.bytes.span
                    apply(
                        change.kind, hash, bytes.extracting(change.key),
                        bytes.extracting(change.body), to: &content)
                case .clear(table): empty(&content)
                case .change, .clear, .other: break
                }
            }
            others()
        }
    }

    private func apply(
        _ change: ChangeKind, _ hash: UInt64, _ key: Span<UInt8>, _ body: Span<UInt8>,
        to content: inout Content
    ) {
        guard content.entries != nil else { return }
        if !content.leftOut.isEmpty, content.leftOut.remove(Array(copying: key)) != nil,
            change == .add || change == .patch
        {
            // The index does not have the row's value, and cannot tell what it is now.
            return buildAgain(&content)
        }
        switch change {
        case .put:
            put(hash, key, in: &content) { (value) throws(MalformedRecord) in
                try columns.append(row: body, to: &value)
                return true
            }
        case .patch: patch(hash, key, body, in: &content)
        case .add: add(hash, key, body, in: &content)
        case .delete:
            content.entries?.remove(hash, key)
            account(&content)
        }
    }

    /// If the index has no entry for the row, columns that the patch does not set get their defaults: either the patch makes
    /// the row, or the builder has yet to visit it.
    private func patch(
        _ hash: UInt64, _ key: Span<UInt8>, _ patch: Span<UInt8>, in content: inout Content
    ) {
        var old: [UInt8]?
        content.entries?.withValue(hash, key) { old = Array(copying: $0) }
        put(hash, key, in: &content) { (value) throws(MalformedRecord) in
            guard let old else { return try columns.append(patch: patch, over: nil, to: &value) }
            return try columns.append(patch: patch, over: old.span, to: &value)
        }
    }

    /// If the index has no entry for the row, either there is no row, or the builder has yet to visit it.
    private func add(
        _ hash: UInt64, _ key: Span<UInt8>, _ add: Span<UInt8>, in content: inout Content
    ) {
        var old: [UInt8]?
        content.entries?.withValue(hash, key) { old = Array(copying: $0) }
        put(hash, key, in: &content) { (value) throws(MalformedRecord) in
            let makesRow = try RowMerge.origin(add) == .making
            let amounts = add.extracting(1..<add.count)
            guard let old else {
                guard makesRow else { return false }
                return try columns.append(adding: amounts, over: nil, to: &value)
            }
            return try columns.append(adding: amounts, over: old.span, to: &value)
        }
    }

    /// Puts an entry with the value that `body` makes, unless that returns false.
    private func put(
        _ hash: UInt64, _ key: Span<UInt8>, in content: inout Content,
        _ body: (inout [UInt8]) throws(MalformedRecord) -> Bool
    ) {
        var value: [UInt8] = []
        swap(&value, &content.scratch)
        defer { swap(&value, &content.scratch) }
        value.removeAll(keepingCapacity: true)
        do throws(MalformedRecord) {
            guard try body(&value) else { return }
        } catch {
            if error.reason == IndexColumns.sumOutOfRange {
                content.leftOut.insert(Array(copying: key))
                content.entries?.remove(hash, key)
                return account(&content)
            }
            return stop(&content, "a row cannot be read: \(error.reason)")
        }
        guard content.entries?.makeRoom(keyLength: key.count, valueLength: value.count) == true
        else {
            return stop(
                &content,
                "the machine gives no more memory; see the limits of the process (ulimit -v) and "
                    + "vm.overcommit_memory, and open the store again")
        }
        content.entries?.put(hash, key, value.span)
        account(&content)
    }

    // MARK: Memory

    @inline(__always)
    private func account(_ content: inout Content) {
        let now = content.entries?.byteCount ?? 0
        guard now != content.counted else { return }
        memory.add(now - content.counted)
        content.counted = now
        guard memory.isOver else { return }
        stop(
            &content,
            "the indices would take more than \(memory.limit) bytes of memory; raise indexLimit in the store's "
                + "configuration and open the store again")
    }

    /// Removes all entries. Their memory is freed later, on another thread, because that takes long and all shards are
    /// locked.
    private func empty(_ content: inout Content) {
        if case .stopped = content.phase { return }
        retire(&content)
        content.leftOut = []
        do throws(OutOfMemory) {
            content.entries = try OrderedEntries(limit: memory.limit)
            account(&content)
        } catch {
            stop(&content, "\(error)")
        }
    }

    private func buildAgain(_ content: inout Content) {
        empty(&content)
        guard content.entries != nil else { return }
        content.phase = .building
        content.builds += 1
        readiness.startOver()
        memory.work.raise()
    }

    private func stop(_ content: inout Content, _ reason: String) {
        retire(&content)
        content.phase = .stopped(reason)
        readiness.fail(unavailable(reason))
    }

    private func retire(_ content: inout Content) {
        if let entries = content.entries.take() { memory.retire(entries) }
        memory.add(-content.counted)
        content.counted = 0
    }

    /// Gives the index up for good.
    func stop(_ reason: String) {
        content.withLock { content in
            if case .stopped = content.phase { return }
            stop(&content, reason)
        }
    }

    private func unavailable(_ reason: String) -> StoreError {
        .indexUnavailable(table: tableName, index: definition.name, reason: reason)
    }

    // MARK: Building

    /// Sets the entry of a row to what the row is now. The lock of its shard is held.
    ///
    /// - Parameter isProjected: whether `row` has only the columns of the index.
    func set(
        _ hash: UInt64, _ key: Span<UInt8>, to row: Span<UInt8>, isProjected: Bool = false
    ) {
        content.withLock { content in
            guard content.entries != nil else { return }
            put(hash, key, in: &content) { (value) throws(MalformedRecord) in
                try columns.append(row: row, isProjected: isProjected, to: &value)
                return true
            }
        }
    }

    /// How often it was given up, to be built again.
    var builds: Int { content.withLock { $0.builds } }

    func didBuild() {
        let isReady = content.withLock { content in
            if content.phase == .building { content.phase = .ready }
            return content.phase == .ready
        }
        if isReady { readiness.advance(to: 1) }
    }

    /// Drops all entries, because they may be out of date.
    func startOver() {
        content.withLock { if $0.phase == .building { empty(&$0) } }
    }

    // MARK: Reading

    /// Runs `body` on the entries as of one moment, once they are complete. `body` must be short, because writes wait for it.
    nonisolated(nonsending) func read<R: Sendable>(
        _ body: (borrowing OrderedEntries) -> R
    ) async throws(StoreError) -> R {
        while true {
            if let result = try readIfReady(body) { return result }
            try await readiness.wait(for: 1)
        }
    }

    /// nil while the index is being built.
    package func readIfReady<R: Sendable>(
        _ body: (borrowing OrderedEntries) -> R
    ) throws(StoreError) -> R? {
        let (result, phase) = content.withLock { content -> (R?, Phase) in
            guard content.phase == .ready else { return (nil, content.phase) }
            switch content.entries {
            case .some(let entries): return (body(entries), .ready)
            case nil: return (nil, .ready)
            }
        }
        if case .stopped(let reason) = phase { throw unavailable(reason) }
        return result
    }

    /// Ends all waiting: the store is closed.
    func fail(_ error: StoreError) { readiness.fail(error) }
}

/// The memory of all indices of a store.
package final class IndexMemory: Sendable {
    /// Entries that nothing uses any more.
    private final class Retired: Sendable {
        private let entries: OrderedEntries
        init(_ entries: consuming OrderedEntries) { self.entries = entries }
    }

    package let limit: Int
    private let used = Atomic<Int>(0)
    private let retired = Lock<[Retired]>([])
    /// Raised when there is something to free, and when there is an index to build.
    package let work = Signal()

    init(limit: Int) { self.limit = max(1 << 20, limit) }

    package var byteCount: Int { used.load(ordering: .relaxed) }

    var isOver: Bool { byteCount > limit }

    func add(_ byteCount: Int) { used.add(byteCount, ordering: .relaxed) }

    func retire(_ entries: consuming OrderedEntries) {
        let entries = Retired(entries)
        retired.withLock { $0.append(entries) }
        work.raise()
    }

    /// Frees the memory of retired entries.
    func free() {
        var all: [Retired] = []
        retired.withLock { swap(&all, &$0) }
    }
}
