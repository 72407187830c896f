import EventLog

/// Reads several sources as one: row by row in their order, each row with all the sources that have it.
///
/// It is a separate value, so that a step costs its owner one exclusive access instead of one for each comparison.
struct SourceMerge {
    /// Oldest first.
    private let sources: [any RowSource]
    /// The row at which each source is.
    private var heads: [Head]
    /// The sources that have a row after the current one; the next to take is on top.
    private var heap: [Int] = []
    /// The sources that have the current row, oldest first.
    private(set) var taken: [Int] = []

    /// The row at which a source is.
    private struct Head {
        var row = SnapshotRow(operation: .put, table: 0, sequence: 0, time: 0)
        /// The key's first eight bytes as a number that orders as the bytes do. It decides most comparisons.
        var prefix: UInt64 = 0
        var key: [UInt8] = []

        mutating func move(to row: SnapshotRow, _ key: Span<UInt8>) {
            self.row = row
            prefix = key.bigEndianPrefix
            self.key.removeAll(keepingCapacity: true)
            unsafe key.withUnsafeBufferPointer { unsafe self.key.append(contentsOf: $0) }
        }

        /// Less than zero if this row comes before the other, zero if it is the same.
        func compared(with other: Head) -> Int {
            if row.table != other.row.table { return row.table < other.row.table ? -1 : 1 }
            if prefix != other.prefix { return prefix < other.prefix ? -1 : 1 }
            return key.span.compared(with: other.key.span)
        }
    }

    init(_ sources: [any RowSource]) {
        self.sources = sources
        heads = Array(repeating: Head(), count: sources.count)
        taken = Array(sources.indices)
    }

    func source(_ index: Int) -> any RowSource { sources[index] }

    /// A source's facts about the current row, except key and body.
    func row(_ index: Int) -> SnapshotRow { heads[index].row }

    /// Less than zero if the current row's key comes before another, zero if it is the same.
    func keyCompared(with other: Span<UInt8>) -> Int {
        let key = heads[taken[0]].key
        return key.span.compared(with: other)
    }

    /// Goes to the next row; false behind the last.
    mutating func next() throws(HistoryError) -> Bool {
        for index in taken { try goOn(index) }
        taken.removeAll(keepingCapacity: true)
        guard let first = pop() else { return false }
        taken.append(first)
        while let top = heap.first, heads[top].compared(with: heads[first]) == 0 {
            _ = pop()
            taken.append(top)
        }
        return true
    }

    private mutating func goOn(_ index: Int) throws(HistoryError) {
        let source = sources[index]
        guard try source.next() else { return }
        let row = source.row
        try source.withRow { (key, _) throws(HistoryError) in heads[index].move(to: row, key) }
        push(index)
    }

    // MARK: the heap

    private mutating func pop() -> Int? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink(0)
        }
        return top
    }

    private func comesFirst(_ one: Int, _ other: Int) -> Bool {
        let order = heads[one].compared(with: heads[other])
        return order != 0 ? order < 0 : one < other
    }

    private mutating func push(_ source: Int) {
        heap.append(source)
        var child = heap.count - 1
        while child > 0, comesFirst(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var first = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && comesFirst(heap[child], heap[first]) { first = child }
            if first == parent { return }
            heap.swapAt(first, parent)
            parent = first
        }
    }
}

extension Span<UInt8> {
    /// Eight bytes as a number that orders as the bytes do. Bytes behind the end count as zero, so two keys with equal
    /// numbers may still differ.
    var bigEndianPrefix: UInt64 {
        if count >= 8 { return integer(UInt64.self, at: 0).byteSwapped }
        var prefix: UInt64 = 0
        for index in 0..<8 { prefix = prefix << 8 | (index < count ? UInt64(self[index]) : 0) }
        return prefix
    }
}
