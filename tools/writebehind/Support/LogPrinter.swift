import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// Prints the records that a filter admits, in either direction, as they are found.
struct LogPrinter {
    private let filter: RecordFilter
    private var text: RecordText
    private var output = Output()
    private var rest: Int
    private var isPast = false
    /// How many records were printed.
    private(set) var count = 0
    /// Damage that was found while reading.
    private(set) var damage: Corruption?
    /// The last sequence that was read. A record that was read from staging comes again from a segment,
    /// once a writer has taken it.
    private var seen: UInt64 = 0
    private var durable: UInt64
    /// The filter, resolved for the tables that are known at the place where it reads.
    private var matcher: RecordMatcher
    /// The old values of the column of --changed.
    private var follower: ColumnFollower?

    /// - Parameters:
    ///   - last: the last sequence that may be printed, for the width of its column.
    ///   - durable: the last sequence that survives power loss.
    init(
        _ filter: RecordFilter, form: RecordText.Form, clock: Clock, limit: Int?, last: UInt64,
        durable: UInt64
    ) {
        self.filter = filter
        text = RecordText(form, clock: clock, last: last)
        rest = limit ?? .max
        self.durable = durable
        matcher = RecordMatcher(filter, Catalog())
        if form == .csv { output.line(RecordText.csvHeader(filter)) }
    }

    /// Whether everything was printed that was wanted.
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

    mutating func printForward(
        _ store: StoreInspection, from start: UInt64, follow: Bool
    ) throws {
        guard rest > 0 else { return }
        follower = try ColumnFollower(
            filter, store.environment, first: store.first, wanted: start)
        let start = min(start, follower?.start ?? start)
        seen = start - 1
        let walk = try LogWalk(store.environment, from: start)
        damage = store.damage
        do {
            guard try read(walk, through: store.readable) else { return }
        } catch LogError.corrupt(let found) where !store.isLive {
            damage = found
        }
        if let damage {
            return try printBehindDamage(of: store, after: max(start, damage.firstLost) - 1)
        }
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

    // MARK: damage

    private mutating func printBehindDamage(
        of store: StoreInspection, after sequence: UInt64
    ) throws {
        let (log, catalog, names) = try salvaged(store)
        try log.forEachCommit(after: sequence) { commit, payload in
            try forEachRecord(of: commit, in: payload.span) { try takeForward($0, catalog) }
        } lost: { range in
            follower?.forget()
            for finding in log.findings(of: range) { show(finding, names) }
            return true
        }
    }

    /// Prints backward the records before `limit`.
    private mutating func printBehindDamage(
        of store: StoreInspection, before limit: UInt64
    ) throws {
        let (log, catalog, names) = try salvaged(store)
        try log.forEachCommit(after: 0, isBackward: true) { commit, payload in
            guard commit.firstSequence < limit else { return true }
            if let from = filter.from, commit.lastSequence < from { return false }
            if let since = filter.since, commit.time < since { return false }
            var records: [LoggedRecord] = []
            try forEachRecord(of: commit, in: payload.span) {
                records.append($0)
                return true
            }
            for record in records.reversed() where matcher.admits(record) {
                guard show(record, catalog) else { return false }
            }
            return true
        } lost: { range in
            guard range.lowerBound < limit else { return true }
            for finding in log.findings(of: range).reversed() { show(finding, names) }
            return true
        }
    }

    /// The readable commits of a damaged log.
    private mutating func salvaged(
        _ store: StoreInspection
    ) throws -> (SalvagedLog, Catalog, TableNames) {
        let log = try SalvagedLog(store)
        let catalog = try log.catalog(store)
        matcher = RecordMatcher(filter, catalog)
        // Blocks behind the damage had been synced.
        durable = max(durable, log.segments.map { $0.nextSequence - 1 }.max() ?? 0)
        return (log, catalog, try TableNames(store))
    }

    /// A line where records are missing.
    private mutating func show(_ finding: Finding, _ names: TableNames) {
        guard rest > 0 else { return }
        if let lost = finding.lost {
            if let through = filter.through, lost.lowerBound > through { return }
            if let from = filter.from, lost.upperBound < from { return }
        }
        if let line = text.line(finding, names) {
            output.line(line)
        } else {
            note("error: \(VerifyReport.text(finding, names))")
        }
    }

    /// Prints the records of one file.
    mutating func print(_ file: StoredFile) throws {
        guard rest > 0 else { return }
        var known = -1
        let names = file.findings.isEmpty ? TableNames() : try file.tableNames()
        try file.read { record, catalog in
            // Tables and columns are only added, so the size shows whether something changed.
            let size = catalog.tables.reduce(0) { $0 + 1 + $1.schema.columns.count }
            if size != known { (matcher, known) = (RecordMatcher(filter, catalog), size) }
            return !matcher.admits(record) || show(record, catalog)
        } damage: { finding in
            show(finding, names)
            return rest > 0
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

    /// The last durable sequence, by what a writer has published, or by the segments of a closed log.
    private static func durable(_ environment: LogEnvironment) throws -> UInt64 {
        try LogInspection.published(environment) ?? LogSeek(environment).lastSequence()
    }

    mutating func printBackward(_ store: StoreInspection) throws {
        guard rest > 0 else { return }
        damage = store.damage
        guard damage == nil else { return try printBehindDamage(of: store, before: .max) }
        var staged: [(LoggedRecord, Catalog)] = []
        try store.forEachStagedRecord(try store.catalog()) {
            staged.append(($0, $1))
            return true
        }
        matcher = RecordMatcher(filter, try store.fullCatalog())
        for (record, catalog) in staged.reversed() where matcher.admits(record) {
            guard show(record, catalog) else { return }
        }
        var walk = ReverseWalk(store.environment, through: store.readable)
        do {
            try walk.read(filter, looking: { output.flush() }, { show($0, $1) })
        } catch LogError.corrupt(let found) where !store.isLive {
            damage = found
            try printBehindDamage(of: store, before: walk.reached)
        }
    }
}
