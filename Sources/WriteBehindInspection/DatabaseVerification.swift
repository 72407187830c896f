import EventLog
package import WriteBehindCore

/// Compares every row of the database with the rows that result from snapshot and log at its watermark.
///
/// Of a shared table, not the rows are compared, but what the store has added to each column.
///
/// Rows that quarantined commits touch are left out, because the database has them as they were before. Values that the
/// database spells in its own way (JSON and decimals of a server) are compared by the database, all others exactly.
package struct DatabaseVerification: Sendable {
    package enum Difference: Equatable, Sendable {
        /// The log has the row, the database does not.
        case missing
        /// The database has a row that the log does not.
        case extra
        /// Both have it, and these columns differ.
        case columns([Column])
        /// The table cannot hold such a row.
        case malformed(String)
        /// The store has added this much to a column of a shared table.
        case added(log: Int128, database: Int128)

        package struct Column: Equatable, Sendable {
            package var name: String
            package var log: StoredValue
            package var database: StoredValue
        }
    }

    package private(set) var watermark: UInt64 = 0
    package private(set) var rowCount: UInt64 = 0
    package private(set) var tableCount = 0
    package private(set) var skipped: UInt64 = 0
    /// How many columns of shared tables were compared.
    package private(set) var sumCount = 0
    /// Why they could not be; nil if they were, or if there are none.
    package private(set) var sumObstacle: String?
    package private(set) var differenceCount: UInt64 = 0
    /// The fault of the database as a whole.
    package private(set) var fault: String?
    /// Whether the fault is that it reflects another history than the log.
    package private(set) var isOfOtherHistory = false

    private var held: Set<QuarantinedKey> = []
    /// The columns of the table that the database spells in its own way.
    private var respelled: Set<Int> = []
    /// The rows of one run that differ in such columns.
    private var doubtful: [RowDifference] = []

    /// - Parameters:
    ///   - verified: the snapshots that were just read to their ends, and are not read twice.
    ///   - progress: gets the number of rows that were compared.
    ///   - report: gets each row that differs, as `table[key]`.
    package init(
        _ store: StoreInspection, verified: Set<UInt64> = [],
        progress: (UInt64) -> Void = { _ in },
        report: (String, Difference) -> Void
    ) throws {
        guard let source = store.database.source else {
            fault = "it is elsewhere"
            return
        }
        try source.read(store.environment.storeID) { transaction in
            try compare(store, verified, transaction, progress, report)
        }
    }

    private mutating func compare(
        _ store: StoreInspection, _ verified: Set<UInt64>, _ database: any InspectedTransaction,
        _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        guard let mark = try database.watermark() else {
            fault = "it has no watermark"
            return
        }
        watermark = mark.sequence
        held = Set(try database.quarantine().held.keys)
        var store = store
        if case .live = store.state, watermark > store.readable {
            // The store was written since the log was read, and the database has followed.
            store = try store.again()
        }
        let rows = try store.history(verified: verified).fold(to: .sequence(watermark))
        guard rows.position.sequence == watermark, rows.position.chain == mark.chain else {
            isOfOtherHistory = true
            fault = "its watermark #\(watermark) belongs to another history than the log"
            return
        }
        try compare(rows, database, progress, report)
        if fault == nil { try compareSums(of: rows.catalog, store, database, report) }
    }

    private mutating func compareSums(
        of catalog: Catalog, _ store: StoreInspection, _ database: any InspectedTransaction,
        _ report: (String, Difference) -> Void
    ) throws {
        var found: [SharedSums.Column: Int128] = [:]
        var shared: Set<UInt32> = []
        for table in catalog.tables {
            guard let sums = try database.added(to: table) else { continue }
            shared.insert(table.id)
            for (place, sum) in sums { found[.init(table: table.id, place: place)] = sum }
        }
        guard !shared.isEmpty else { return }
        let logged = try SharedSums(
            store, of: shared, through: watermark, without: try database.quarantine())
        sumObstacle = logged.obstacle
        guard sumObstacle == nil else { return }
        let columns = Set(found.keys).union(logged.sums.keys)
        sumCount = columns.count
        for column in columns.sorted(by: { ($0.table, $0.place) < ($1.table, $1.place) }) {
            let (log, database) = (logged.sums[column] ?? 0, found[column] ?? 0)
            guard log != database, let schema = catalog[column.table]?.schema else { continue }
            let name =
                column.place < schema.valueColumns.count
                ? schema.valueColumns[column.place].name : "\(column.place)"
            differenceCount += 1
            report("\(schema.name).\(name)", .added(log: log, database: database))
        }
    }

    private mutating func compare(
        _ rows: MergedRows, _ database: any InspectedTransaction, _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        var isExpected = try rows.advance()
        for definition in rows.catalog.tables {
            tableCount += 1
            let table = try database.rows(of: definition)
            if case .rows = table, try database.added(to: definition) != nil {
                while isExpected, rows.row.table == definition.id {
                    isExpected = try rows.advance()
                }
                continue
            }
            switch table {
            case .rows(let source):
                try compare(source, rows, &isExpected, definition, progress, report)
            // The table's definition waits in quarantine, and all rows of the table with it.
            case _ where held.contains(.table(definition.id)): break
            case .missing:
                fault = "table \(StoredValue.text(definition.schema.name)) is missing"
                return
            case .unfit(let reason):
                fault = "table \(StoredValue.text(definition.schema.name)): \(reason)"
                return
            }
            while isExpected, rows.row.table == definition.id {
                try tellMissing(rows, definition, report)
                isExpected = try rows.advance()
            }
        }
    }

    private mutating func compare(
        _ source: any StoredRowSource, _ rows: MergedRows, _ isExpected: inout Bool,
        _ definition: TableDefinition, _ progress: (UInt64) -> Void,
        _ report: (String, Difference) -> Void
    ) throws {
        var (run, next) = (StoredRun(source), StoredRun(source))
        respelled = source.respelled
        run.fill()
        while !run.isEmpty {
            var outcome = Result<Void, any Error>.success(())
            // The other thread must not hold the last reference to a statement, because releasing it would finalize
            // the statement while the connection is in use.
            let ahead = { @Sendable [unowned next] in next.fill() }
            Worker.alongside(ahead) {
                outcome = Result {
                    try compare(run, rows, &isExpected, definition, report)
                }
            }
            try outcome.get()
            try settle(source, definition, report)
            progress(rowCount)
            swap(&run, &next)
        }
    }

    /// Has the database judge the rows that differ in a spelling, if in nothing else.
    private mutating func settle(
        _ source: any StoredRowSource, _ definition: TableDefinition,
        _ report: (String, Difference) -> Void
    ) throws {
        defer { doubtful = [] }
        for row in try source.withoutSpellings(doubtful) where !row.columns.isEmpty {
            tell(row, definition, report)
        }
    }

    /// Compares some of a table's rows, and those of the log that come before them.
    private mutating func compare(
        _ run: StoredRun, _ rows: MergedRows, _ isExpected: inout Bool,
        _ definition: TableDefinition, _ report: (String, Difference) -> Void
    ) throws {
        let bytes = run.bytes
        for found in run.rows {
            let key = bytes.span.extracting(found.key)
            var isLogged = false
            while !isLogged, isExpected, rows.row.table == definition.id {
                let order = rows.keyCompared(with: key)
                if order > 0 { break }
                if order < 0 {
                    try tellMissing(rows, definition, report)
                } else {
                    let body = bytes.span.extracting(found.body)
                    try check(rows, definition, body, found.fault, report)
                    isLogged = true
                }
                isExpected = try rows.advance()
            }
            if !isLogged { tell(Array(copying: key), definition, .extra, report) }
            rowCount += 1
        }
        if let failure = run.failure { throw failure }
    }

    private mutating func tellMissing(
        _ rows: MergedRows, _ definition: TableDefinition,
        _ report: (String, Difference) -> Void
    ) throws(HistoryError) {
        try rows.withRow { (key, _) throws(HistoryError) in
            tell(Array(copying: key), definition, .missing, report)
        }
        rowCount += 1
    }

    private mutating func tell(
        _ key: [UInt8], _ definition: TableDefinition, _ difference: Difference,
        _ report: (String, Difference) -> Void
    ) {
        guard !isHeld(key, definition.id) else {
            skipped += 1
            return
        }
        differenceCount += 1
        report(RowName.text(definition.schema, key), difference)
    }

    private mutating func tell(
        _ row: RowDifference, _ definition: TableDefinition,
        _ report: (String, Difference) -> Void
    ) {
        let columns = definition.schema.valueColumns
        let named = row.columns.map {
            Difference.Column(name: columns[$0.place].name, log: $0.log, database: $0.database)
        }
        tell(row.key, definition, .columns(named), report)
    }

    private func isHeld(_ key: [UInt8], _ table: UInt32) -> Bool {
        guard !held.isEmpty else { return false }
        return held.contains(.table(table)) || held.contains(.row(table: table, key: key))
    }

    private mutating func check(
        _ rows: MergedRows, _ definition: TableDefinition, _ found: Span<UInt8>,
        _ fault: String?, _ report: (String, Difference) -> Void
    ) throws(HistoryError) {
        try rows.withRow { (key, body) throws(HistoryError) in
            if fault == nil, body.compared(with: found) == 0 { return }
            explain(
                Array(copying: key), definition, Array(copying: body), Array(copying: found),
                fault, report)
        }
    }

    private mutating func explain(
        _ key: [UInt8], _ definition: TableDefinition, _ body: [UInt8],
        _ found: [UInt8],
        _ fault: String?, _ report: (String, Difference) -> Void
    ) {
        let schema = definition.schema
        do throws(RowError) {
            let whole = try RowCodec.completed(body.span, schema) ?? body
            if let fault {
                return tell(key, definition, .malformed(fault), report)
            }
            guard whole != found else { return }
            let difference = try RowDifference(
                key, log: whole.span, database: found.span, schema)
            if difference.isDoubtful(respelled) { return doubtful.append(difference) }
            tell(difference, definition, report)
        } catch {
            tell(key, definition, .malformed("\(error)"), report)
        }
    }
}
