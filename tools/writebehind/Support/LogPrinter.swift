import EventLog
import Foundation
import WriteBehind

/// Prints the records that a filter admits, in either direction.
struct LogPrinter {
    private let store: StoreInspection
    private let filter: RecordFilter
    private var text: RecordText
    private var output = Output()
    private var rest: Int
    /// The last sequence that was looked at: one read from staging comes again, from a segment,
    /// when a writer has taken it.
    private var seen: UInt64 = 0
    private var durable: UInt64

    init(
        _ store: StoreInspection, filter: RecordFilter, form: RecordText.Form, clock: Clock,
        limit: Int?
    ) throws {
        self.store = store
        self.filter = filter
        text = RecordText(form, clock: clock, last: store.end)
        rest = limit ?? .max
        durable = store.durable
        if form == .csv { output.line(RecordText.csvHeader) }
    }

    /// Whether as much was printed as was wanted.
    var isFull: Bool { rest == 0 }

    mutating func finish() { output.flush() }

    /// Prints one record if it is wanted. Returns whether to go on.
    private mutating func take(_ record: LoggedRecord, _ catalog: Catalog) -> Bool {
        guard rest > 0 else { return false }
        guard filter.admits(record) else { return true }
        let decoded = DecodedRecord(record, catalog)
        guard filter.admits(decoded) else { return true }
        output.line(text.line(decoded, isDurable: record.sequence <= durable))
        rest -= 1
        return rest > 0
    }

    private mutating func takeForward(_ record: LoggedRecord, _ catalog: Catalog) -> Bool {
        guard record.sequence > seen else { return true }
        if filter.isPast(record) {
            rest = 0
            return false
        }
        seen = record.sequence
        return take(record, catalog)
    }

    mutating func printForward(from start: UInt64, follow: Bool) throws {
        seen = start - 1
        guard rest > 0 else { return }
        let walk = try LogWalk(store.environment, from: start)
        guard try read(walk, through: store.readable) else { return }
        let known = try store.catalog()
        guard try store.forEachStagedRecord(known, { takeForward($0, $1) }) else { return }
        guard follow else { return }
        while true {
            output.flush()
            Thread.sleep(forTimeInterval: 0.1)
            durable = try Self.durable(store.environment)
            guard try read(walk, through: durable) else { return }
        }
    }

    private mutating func read(_ walk: LogWalk, through: UInt64) throws -> Bool {
        while try walk.next(through: through) {
            let catalog = walk.catalog
            guard try walk.records({ takeForward($0, catalog) }) else { return false }
        }
        return true
    }

    /// What a writer, or its clean end, says is durable now.
    private static func durable(_ environment: LogEnvironment) throws -> UInt64 {
        try LogInspection.published(environment) ?? LogSeek(environment).lastSequence()
    }

    mutating func printBackward() throws {
        guard rest > 0 else { return }
        var staged: [(LoggedRecord, Catalog)] = []
        try store.forEachStagedRecord(try store.catalog()) {
            staged.append(($0, $1))
            return true
        }
        for (record, catalog) in staged.reversed() {
            guard takeBackward(record, catalog) else { return }
        }
        let walk = ReverseWalk(store.environment, through: store.readable)
        try walk.read { takeBackward($0, $1) }
    }

    private mutating func takeBackward(_ record: LoggedRecord, _ catalog: Catalog) -> Bool {
        guard !filter.isBefore(record) else { return false }
        return take(record, catalog)
    }
}
