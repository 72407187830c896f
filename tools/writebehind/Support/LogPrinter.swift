import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// Prints the records that a filter admits, in either direction, as they are found.
struct LogPrinter {
    private let store: StoreInspection
    private let filter: RecordFilter
    private var text: RecordText
    private var output = Output()
    private var rest: Int
    private var isPast = false
    /// How many records were printed.
    private(set) var count = 0
    /// The last sequence that was looked at: one read from staging comes again, from a segment,
    /// when a writer has taken it.
    private var seen: UInt64 = 0
    private var durable: UInt64
    /// The filter in the terms of the tables that are known where it reads.
    private var matcher: RecordMatcher
    /// The old values of the column whose changes are wanted.
    private var follower: ColumnFollower?

    init(
        _ store: StoreInspection, filter: RecordFilter, form: RecordText.Form, clock: Clock,
        limit: Int?
    ) throws {
        self.store = store
        self.filter = filter
        text = RecordText(form, clock: clock, last: store.end)
        rest = limit ?? .max
        durable = store.durable
        matcher = RecordMatcher(filter, Catalog())
        if form == .csv { output.line(RecordText.csvHeader(filter)) }
    }

    /// Whether as much was printed as was wanted.
    var isFull: Bool { rest == 0 || isPast }

    mutating func finish() { output.flush() }

    /// Prints a record that is wanted. Returns whether to go on.
    private mutating func show(
        _ record: LoggedRecord, _ catalog: Catalog, _ change: ColumnFollower.Change? = nil
    ) -> Bool {
        guard rest > 0 else { return false }
        let decoded = DecodedRecord(record, catalog)
        output.line(text.line(decoded, isDurable: record.sequence <= durable, change))
        rest -= 1
        count += 1
        return rest > 0
    }

    private mutating func takeForward(
        _ record: LoggedRecord, _ catalog: Catalog
    ) throws -> Bool {
        guard record.sequence > seen else { return true }
        if filter.isPast(record) {
            isPast = true
            return false
        }
        seen = record.sequence
        guard let change = try follower?.note(record, catalog) else {
            return follower != nil || !matcher.admits(record) || show(record, catalog)
        }
        return !matcher.admits(record) || show(record, catalog, change)
    }

    mutating func printForward(from start: UInt64, follow: Bool) throws {
        guard rest > 0 else { return }
        follower = try ColumnFollower(
            filter, store.environment, first: store.first, wanted: start)
        let start = min(start, follower?.start ?? start)
        seen = start - 1
        let walk = try LogWalk(store.environment, from: start)
        guard try read(walk, through: store.readable) else { return }
        let known = try store.catalog()
        matcher = RecordMatcher(filter, try store.fullCatalog())
        guard try store.forEachStagedRecord(known, { try takeForward($0, $1) }) else { return }
        guard follow else { return }
        while true {
            output.flush()
            Thread.sleep(forTimeInterval: 0.1)
            durable = try Self.durable(store.environment)
            guard try read(walk, through: durable) else { return }
        }
    }

    private mutating func read(_ walk: LogWalk, through: UInt64) throws -> Bool {
        matcher = RecordMatcher(filter, walk.catalog)
        var looked = follower?.matcher(walk.catalog) ?? matcher
        let (filter, readsAll) = (filter, follower != nil)
        while try walk.next(through: through, where: { readsAll || filter.admits($0) }) {
            let catalog = walk.catalog
            if let block = walk.block, !block.flags.isDisjoint(with: [.preamble, .define]) {
                matcher = RecordMatcher(filter, catalog)
                looked = follower?.matcher(catalog) ?? matcher
            }
            guard try walk.records(looked, { try takeForward($0, catalog) }) else { return false }
            output.flush()
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
        matcher = RecordMatcher(filter, try store.fullCatalog())
        for (record, catalog) in staged.reversed() where matcher.admits(record) {
            guard show(record, catalog) else { return }
        }
        let walk = ReverseWalk(store.environment, through: store.readable)
        try walk.read(filter, looking: { output.flush() }, { show($0, $1) })
    }
}
