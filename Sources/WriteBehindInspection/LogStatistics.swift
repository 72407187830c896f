import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// The composition of the log. It is gathered record by record, in bounded memory.
package struct LogStatistics {
    package struct Pile: Sendable, Equatable {
        package var records: UInt64 = 0
        package var bytes: UInt64 = 0

        package init() {}

        package mutating func add(_ other: Pile) {
            records += other.records
            bytes += other.bytes
        }
    }

    package struct Line: Sendable {
        package var table: String
        package var operation: String
        package var pile: Pile
    }

    package struct Window: Sendable {
        package var name: String
        package var records: UInt64
        /// How many changes are left when the records of each window are merged by row.
        package var changes: UInt64
    }

    package struct HotRow: Sendable {
        package var row: String
        package var records: UInt64
    }

    /// Records by the time they were written, in equal steps.
    package struct Rate: Sendable {
        /// Milliseconds since 1970.
        package var start: UInt64
        package var stepMilliseconds: UInt64
        package var counts: [UInt64]
    }

    private struct Group: Hashable {
        var table: UInt32
        var operation: UInt8
    }

    package private(set) var total = Pile()
    package private(set) var commits: UInt64 = 0
    package private(set) var catalog = Catalog()
    package private(set) var firstTime: UInt64?
    package private(set) var lastTime: UInt64 = 0
    private var groups: [Group: Pile] = [:]
    private var heavy = HeavyHitters(capacity: 100_000)
    private var freshness = CoalescingWindow()
    private var backlog = CoalescingWindow()
    private var timeline = Timeline()

    /// The batch that the database takes when there is a backlog, in records.
    private static let backlogBatch: UInt64 = 200_000
    /// The pause between batches when the database keeps up, milliseconds.
    private static let freshInterval: UInt64 = 100

    package init() {}

    package mutating func note(_ record: LoggedRecord, _ catalog: Catalog) {
        total.records += 1
        total.bytes += UInt64(record.byteCount)
        if record.sequence == record.commit { commits += 1 }
        firstTime = firstTime ?? record.time
        lastTime = max(lastTime, record.time)
        let group = Group(table: record.table, operation: record.operation.rawValue)
        groups[group, default: Pile()].records += 1
        groups[group, default: Pile()].bytes += UInt64(record.byteCount)
        timeline.note(record.time)
        if catalog.tables.count > self.catalog.tables.count { self.catalog = catalog }
        guard !record.key.isEmpty else { return }
        let key = QuarantinedKey.row(table: record.table, key: record.key)
        heavy.note(key)
        freshness.note(key, window: record.time / Self.freshInterval)
        backlog.note(key, window: total.records / Self.backlogBatch)
    }

    /// By table, then operation, biggest first.
    package var lines: [Line] {
        groups.sorted { $0.value.bytes > $1.value.bytes }.map { group, pile in
            Line(
                table: group.table == 0
                    ? "" : catalog[group.table]?.schema.name ?? "\(group.table)",
                operation: Operation(rawValue: group.operation)?.word ?? "?", pile: pile)
        }
    }

    /// The rows with the most records, as far as they could be counted in bounded memory.
    package func hottest(_ count: Int) -> [HotRow] {
        heavy.top(count).map { key, records in
            guard case .row(let table, let bytes) = key, let schema = catalog[table]?.schema else {
                return HotRow(row: "?", records: records)
            }
            return HotRow(row: RowName.text(schema, bytes), records: records)
        }
    }

    package var windows: [Window] {
        [
            Window(
                name: "every 100 ms (keeping up)", records: freshness.records,
                changes: freshness.changes),
            Window(
                name: "every 200,000 records (catching up)", records: backlog.records,
                changes: backlog.changes),
        ]
    }

    /// - Parameter steps: how many steps at most.
    package func rate(steps: Int) -> Rate { timeline.rate(steps: max(1, steps)) }
}

/// Counts the changes that are left when the records of a window are merged by row.
private struct CoalescingWindow {
    private(set) var records: UInt64 = 0
    private(set) var changes: UInt64 = 0
    private var window: UInt64 = 0
    private var keys: Set<QuarantinedKey> = []

    mutating func note(_ key: QuarantinedKey, window: UInt64) {
        if window != self.window {
            self.window = window
            keys.removeAll(keepingCapacity: true)
        }
        records += 1
        if keys.insert(key).inserted { changes += 1 }
    }
}

/// Finds the most frequent keys in bounded memory: when there are too many counters, the lower half is
/// dropped, and later keys may have been in it (lossy counting; Manku and Motwani, 2002). The counts shown
/// are those that are certain.
private struct HeavyHitters {
    private struct Count {
        var seen: UInt64
        /// How often the key may have occurred before its counter was dropped.
        var missed: UInt64
    }

    private let capacity: Int
    private var counts: [QuarantinedKey: Count] = [:]
    private var floor: UInt64 = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    mutating func note(_ key: QuarantinedKey) {
        if let count = counts[key] {
            counts[key] = Count(seen: count.seen + 1, missed: count.missed)
            return
        }
        if counts.count == capacity { prune() }
        counts[key] = Count(seen: 1, missed: floor)
    }

    private mutating func prune() {
        let sorted = counts.values.map { $0.seen + $0.missed }.sorted()
        floor = sorted[sorted.count / 2]
        counts = counts.filter { $0.value.seen + $0.value.missed > floor }
    }

    func top(_ count: Int) -> [(QuarantinedKey, UInt64)] {
        counts.sorted { left, right in
            left.value.seen == right.value.seen
                ? left.key.isBefore(right.key) : left.value.seen > right.value.seen
        }.prefix(count).map { ($0.key, $0.value.seen) }
    }
}

extension QuarantinedKey {
    /// A fixed order of keys, so that the same log always gives the same result.
    fileprivate func isBefore(_ other: QuarantinedKey) -> Bool {
        guard case .row(let table, let key) = self, case .row(let otherTable, let otherKey) = other
        else { return table < other.table }
        return table == otherTable ? key.span.precedes(otherKey.span) : table < otherTable
    }
}

/// Counts by time, in steps that double when there are too many of them.
private struct Timeline {
    private static let limit = 4096
    private var start: UInt64 = 0
    private var step: UInt64 = 1
    private var counts: [UInt64] = []

    mutating func note(_ time: UInt64) {
        if counts.isEmpty { start = time }
        var index = time >= start ? (time - start) / step : 0
        while index >= UInt64(Self.limit) {
            double()
            index = (time - start) / step
        }
        while counts.count <= Int(index) { counts.append(0) }
        counts[Int(index)] += 1
    }

    private mutating func double() {
        counts = Self.merged(counts, by: 2)
        step *= 2
    }

    private static func merged(_ counts: [UInt64], by factor: Int) -> [UInt64] {
        stride(from: 0, to: counts.count, by: factor).map { start in
            counts[start..<min(start + factor, counts.count)].reduce(0, +)
        }
    }

    func rate(steps: Int) -> LogStatistics.Rate {
        let factor = max(1, (counts.count + steps - 1) / steps)
        return LogStatistics.Rate(
            start: start, stepMilliseconds: step * UInt64(factor),
            counts: Self.merged(counts, by: factor))
    }
}
