import EventLog
import WriteBehindCore

/// Changes rows of the store's tables inside a transaction of the caller's.
///
/// Each change is put to others of its kind, table and columns, until there are enough for a statement. In a batch no
/// key comes twice, so their order among each other counts for nothing but constraints.
struct BatchWriter {
    private let connection: PostgreSQLConnection
    private let tables: [UInt32: PostgreSQLTable]
    private let options: PostgreSQLOptions
    private let store: [UInt8]
    /// See ``SharedRows``.
    private let makesDefaults: Bool
    private var gathered: [Kind: GatheredRows] = [:]
    /// Where the last row was put: the next one mostly belongs there, too.
    private var last: Statement?
    /// The statement that the server works on while the next rows are gathered.
    private var sent: Statement?
    /// Rows whose memory can be used again.
    private var spare: Statement?
    /// Amounts for rows that are still to be read, by table.
    private var adds: [UInt32: Adds] = [:]
    /// Amounts for rows of shared tables.
    private var sharedAdds: [UInt32: SharedRows.Adds] = [:]
    /// How many adds found no row.
    private(set) var addsWithoutRow = 0

    private struct Adds {
        var keys: [[UInt8]] = []
        var bodies: [[UInt8]] = []
        var byteCount = 0
    }

    /// What one statement does.
    fileprivate struct Kind: Hashable {
        var table: UInt32
        var kind: ChangeKind
        /// The places of the columns that a patch sets.
        var places: [Int] = []
        /// Whether a patch is an older program's put, which does not know all columns.
        var makesRows = false
    }

    private struct Statement {
        var kind: Kind
        var rows: GatheredRows
        var table: PostgreSQLTable
    }

    /// Which of a batch's changes are made: tables that refer to others need an order.
    struct Part {
        var tables: Set<UInt32>?
        var deletes: Bool
        var others: Bool

        static let everything = Part(tables: nil, deletes: true, others: true)

        func holds(_ table: UInt32, _ kind: ChangeKind) -> Bool {
            (kind == .delete ? deletes : others) && (tables?.contains(table) ?? true)
        }
    }

    init(
        _ connection: PostgreSQLConnection, _ tables: [UInt32: PostgreSQLTable],
        _ options: PostgreSQLOptions, store: [UInt8], makesDefaults: Bool = false
    ) {
        (self.connection, self.tables, self.options) = (connection, tables, options)
        (self.store, self.makesDefaults) = (store, makesDefaults)
    }

    /// - Parameter levels: the tables that refer to others behind these; empty if none does.
    mutating func apply(
        _ batch: some SortedChanges, levels: [Set<UInt32>]
    ) throws(SinkError) {
        addsWithoutRow += batch.addsWithoutRow
        for table in batch.cleared { try clear(table) }
        guard !levels.isEmpty else { return try apply(.everything, of: batch) }
        // A table that was just defined is in no level yet.
        let levels = [Set(tables.keys).subtracting(levels.joined())] + levels
        for level in levels {
            try apply(Part(tables: level, deletes: false, others: true), of: batch)
        }
        for level in levels.reversed() {
            try apply(Part(tables: level, deletes: true, others: false), of: batch)
        }
    }

    private mutating func apply(
        _ part: Part, of batch: some SortedChanges
    ) throws(SinkError) {
        // A closure of a protocol's method cannot change the one that it is called in.
        var writer = self
        defer { self = writer }
        func change(
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) {
            guard part.holds(table, kind) else { return }
            try writer.add(table, kind, key, body)
        }
        try batch.forEach(change)
        try writer.flush()
    }

    private func table(_ id: UInt32) throws(SinkError) -> PostgreSQLTable {
        guard let table = tables[id] else {
            throw SinkError(.schema, "table \(id) is not defined in the database")
        }
        return table
    }

    /// - Parameter isThere: whether the row of a patch is known to be there.
    private mutating func add(
        _ id: UInt32, _ change: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>,
        isThere: Bool = false
    ) throws(SinkError) {
        let table = try table(id)
        if change == .add, table.schema.isShared {
            sharedAdds[id, default: SharedRows.Adds(table: table)].keys.append(Array(copying: key))
            sharedAdds[id, default: SharedRows.Adds(table: table)].bodies.append(
                Array(copying: body))
            return
        }
        guard !table.schema.isShared else {
            throw SinkError(
                .constraint,
                "table \(table.name) is shared, and would lose what other stores count")
        }
        try addOwn(table, change, key, body, isThere: isThere)
    }

    private mutating func addOwn(
        _ table: PostgreSQLTable, _ change: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>,
        isThere: Bool
    ) throws(SinkError) {
        if change == .add { return try gather(key, body, table) }
        let rows = try rows(for: change, body, table, isThere: isThere)
        try rows.append(key: key, table)
        switch change {
        case .put: try rows.append(row: body, table)
        case .patch: try rows.append(patch: body, table)
        case .add, .delete: break
        }
        guard rows.count >= options.rowsAStatement || rows.byteCount >= options.bytesAStatement,
            let full = last
        else { return }
        gathered[full.kind] = nil
        last = nil
        try run(full)
    }

    /// The rows to which a change is put. It becomes the last.
    private mutating func rows(
        for change: ChangeKind, _ body: Span<UInt8>, _ table: PostgreSQLTable, isThere: Bool
    ) throws(SinkError) -> GatheredRows {
        var kind = Kind(table: table.definition.id, kind: change)
        if change == .patch { try kind.notePlaces(body, table) }
        // An insert would be checked with the defaults of all other columns.
        if isThere { kind.makesRows = false }
        if let last, last.kind == kind { return last.rows }
        let rows = gathered[kind] ?? makeRows(kind, table)
        gathered[kind] = rows
        last = Statement(kind: kind, rows: rows, table: table)
        return rows
    }

    private mutating func makeRows(_ kind: Kind, _ table: PostgreSQLTable) -> GatheredRows {
        if let spare, spare.kind == kind {
            self.spare = nil
            return spare.rows
        }
        return GatheredRows(table.keys + Self.columns(kind.kind, kind.places, of: table))
    }

    private static func columns(
        _ kind: ChangeKind, _ places: [Int], of table: PostgreSQLTable
    ) -> [PostgreSQLTable.Column] {
        switch kind {
        case .put: table.columns()
        case .patch: table.columns(places)
        case .add, .delete: []
        }
    }

    private mutating func gather(
        _ key: Span<UInt8>, _ body: Span<UInt8>, _ table: PostgreSQLTable
    ) throws(SinkError) {
        let id = table.definition.id
        adds[id, default: Adds()].keys.append(Array(copying: key))
        adds[id, default: Adds()].bodies.append(Array(copying: body))
        adds[id, default: Adds()].byteCount += key.count + body.count
        guard let all = adds[id] else { return }
        if all.keys.count >= options.rowsAStatement || all.byteCount >= options.bytesAStatement {
            try add(table)
        }
    }

    /// Makes values of amounts. The claim makes this session the only one that writes the rows, so they stay as they are
    /// read here.
    private mutating func add(_ table: PostgreSQLTable) throws(SinkError) {
        guard let all = adds.removeValue(forKey: table.definition.id) else { return }
        var parameters = PostgreSQLParameters()
        for column in try table.parameters(of: all.keys) { parameters.append(column) }
        let places = try table.places(ofAdds: all.bodies)
        try receive()
        let answer = try connection.run(table.select(places), parameters)
        guard answer.rowCount == all.keys.count else {
            throw SinkError(.schema, "\(answer.rowCount) rows instead of \(all.keys.count)")
        }
        for (row, (key, body)) in zip(all.keys, all.bodies).enumerated() {
            let old = answer.boolean(row, 0) ? try table.row(places, row, answer) : nil
            let added = try AddedRow(
                adding: body.span, to: old, table.schema, named: table.name)
            switch added {
            case .none: addsWithoutRow += 1
            case .patch(let patch):
                try add(table.definition.id, .patch, key.span, patch.span, isThere: true)
            case .put(let new): try add(table.definition.id, .put, key.span, new.span)
            }
        }
    }

    /// Runs what is left. Deletes go first: what they leave may be taken by others.
    private mutating func flush() throws(SinkError) {
        for id in adds.keys.sorted() { try add(try table(id)) }
        try flushShared()
        try flush(ofTables: Set(gathered.keys.map(\.table)))
        gathered = [:]
        try receive()
    }

    private mutating func flush(ofTables tables: Set<UInt32>) throws(SinkError) {
        let kinds = gathered.keys.filter { tables.contains($0.table) }.sorted {
            ($0.kind == .delete ? 0 : 1, $0.table, $0.kind.rawValue)
                < ($1.kind == .delete ? 0 : 1, $1.table, $1.kind.rawValue)
        }
        for kind in kinds {
            guard let rows = gathered.removeValue(forKey: kind), rows.count > 0 else { continue }
            try run(Statement(kind: kind, rows: rows, table: try table(kind.table)))
        }
        last = nil
    }

    private mutating func flushShared() throws(SinkError) {
        guard !sharedAdds.isEmpty else { return }
        try receive()
        let all = Array(sharedAdds.values)
        sharedAdds = [:]
        // A closure cannot change the writer that it is called in.
        var writer = self
        defer { self = writer }
        let shared = SharedRows(connection, options, store: store, makesDefaults: makesDefaults)
        try shared.apply(all) { (table, key, patch) throws(SinkError) in
            try writer.addOwn(table, .patch, key, patch, isThere: true)
            // It asks the server for other rows next.
            try writer.receive()
        }
        // At once: a trigger of what else is written must not change rows between their reading and this.
        try writer.flush(ofTables: Set(all.map(\.table.definition.id)))
    }

    /// Sends a statement. The answer of the one before it is received before, and its own is before the next.
    private mutating func run(_ statement: Statement) throws(SinkError) {
        try receive()
        let (kind, table) = (statement.kind, statement.table)
        let sql =
            switch kind.kind {
            case .put: table.put
            case .patch where kind.makesRows: table.patchMaking(kind.places)
            case .patch: table.patch(kind.places)
            case .delete: table.delete
            // Made values of before.
            case .add: preconditionFailure("amounts in a statement")
            }
        try connection.send(sql, statement.rows.parameters)
        sent = statement
    }

    /// Receives the answer to the statement that was sent last, and checks it.
    private mutating func receive() throws(SinkError) {
        guard let statement = sent else { return }
        sent = nil
        let (kind, rows, table) = (statement.kind, statement.rows, statement.table)
        let changed = try connection.receive().changed
        guard changed != rows.count else {
            rows.removeAll()
            spare = statement
            return
        }
        switch kind.kind {
        case .put: throw .ignored("put", table)
        case .patch:
            throw SinkError(
                .constraint,
                "table \(table.name): a row to change is missing, or a trigger or rule ignored a change"
            )
        case .add: break
        case .delete:
            // Rows that are not there need no deleting.
            if try connection.run(table.anyExists, rows.parameters).rowCount > 0 {
                throw .ignored("delete", table)
            }
        }
    }

    private func clear(_ id: UInt32) throws(SinkError) {
        let table = try table(id)
        _ = try connection.patiently { () throws(SinkError) in try connection.run(table.clear) }
        if try connection.run(table.hasRows).rowCount > 0 { throw .ignored("clear", table) }
    }
}

extension BatchWriter.Kind {
    /// Notes the places that a patch sets, without those of dropped columns.
    fileprivate mutating func notePlaces(
        _ body: Span<UInt8>, _ table: PostgreSQLTable
    ) throws(SinkError) {
        var reader = ByteReader(0..<body.count)
        let count = try reader.values(body, limit: table.values.count)
        var given: [Int] = []
        for _ in 0..<count {
            let place = try reader.column(body)
            guard place < UInt64(table.values.count), Int(place) > given.last ?? -1 else {
                throw SinkError(.corrupt, "table \(table.name): a patch of an unknown column")
            }
            given.append(Int(place))
            try reader.skip(body)
        }
        places = given.filter { table.values[$0] != nil }
        makesRows = RowCodec.makesRow(given, table.schema)
    }
}

extension SinkError {
    fileprivate static func ignored(_ what: String, _ table: PostgreSQLTable) -> SinkError {
        SinkError(
            .constraint,
            "table \(table.name): a \(what) changed fewer rows than it should: a trigger, a rule or row security "
                + "ignored it")
    }
}
