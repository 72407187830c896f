import EventLog
import WriteBehindCore
import WriteBehindSQLite

// If the log is damaged, the store's database often still holds what the log has lost: it has every row as of its
// watermark. So when salvage passes the watermark, the rows that it has computed from the log are made
// equal to the database's, by puts and deletes of the rows that differ. Rows in quarantine stay as the log has them.
//
// The database is a file or on a server. It is read in one transaction and in pages, and never written.

extension Salvage {
    /// Makes the rows equal to those of the database, if it belongs to the log's history.
    func putRightByDatabase() throws {
        guard let source = store.database.source, let contents = store.database.contents else {
            return
        }
        do {
            let damage = try (source as? InspectedSQLite)?.fault()
            if let fault = damage ?? fault(of: contents.watermark) {
                result.database = .unusable(reason: fault)
            } else {
                // In one transaction, so that everything is of one watermark.
                try source.read(store.environment.storeID) { try makeEqual(to: $0, contents) }
            }
        } catch let error as SinkError {
            // A server that cannot be read proves nothing about its rows, some of which are taken already.
            guard store.database.isFile else { throw error }
            result.database = .unusable(reason: "\(error)")
        }
    }

    private func fault(of watermark: Watermark) -> String? {
        // If the log no longer has the chain value there, there is no evidence against the database.
        let chain = try? LogReader.chain(at: watermark.sequence, store.environment)
        return chain == nil || chain == watermark.chain
            ? nil : "it belongs to another history than the log"
    }

    private func makeEqual(
        to database: any InspectedTransaction, _ contents: DatabaseContents
    ) throws {
        guard try database.watermark() == contents.watermark else {
            throw SinkError(
                .busy,
                "something writes to it: its watermark is not #\(contents.watermark.sequence) any more"
            )
        }
        let held = Set(try database.quarantine().held.keys)
        if !isComplete { unknown = held }
        var (restored, removed): (UInt64, UInt64) = (0, 0)
        for definition in contents.tables {
            guard !held.contains(.table(definition.id)), numbers[definition.id] != nil else {
                continue
            }
            guard try database.added(to: definition) == nil else {
                leaveOut(definition, "other stores count into it as well")
                continue
            }
            switch try database.rows(of: definition) {
            case .rows(let source):
                var table = TableOfDatabase(definition, held)
                restored += try restore(&table, from: source)
                removed += try removeOthers(than: table)
            case .missing: leaveOut(definition, "it is missing")
            case .unfit(let reason): leaveOut(definition, reason)
            }
        }
        result.database = .used(
            watermark: contents.watermark.sequence, restored: restored, removed: removed)
    }

    private func leaveOut(_ definition: WriteBehindCore.TableDefinition, _ reason: String) {
        result.leftOut.append((definition.schema.name, reason))
        if !isComplete { unknown.insert(.table(definition.id)) }
    }

    /// Puts the rows of a table in the database that the log gives another value. Returns how many these are.
    private func restore(
        _ table: inout TableOfDatabase, from source: any StoredRowSource
    ) throws -> UInt64 {
        var restored: UInt64 = 0
        let respelled = source.respelled
        let run = StoredRun(source)
        run.fill()
        while !run.isEmpty {
            if let failure = run.failure { throw failure }
            var doubtful: [(difference: RowDifference, body: [UInt8])] = []
            for row in run.rows {
                let (key, body) = (Array(run.bytes[row.key]), Array(run.bytes[row.body]))
                switch try judge(key, body, row.fault, table, respelled) {
                case .stays: table.present(rows.reference(table: table.id, key: key.span))
                case .differs:
                    if try restore(key, body, &table) { restored += 1 }
                case .isDoubtful(let difference): doubtful.append((difference, body))
                }
            }
            let judged = try source.withoutSpellings(doubtful.map(\.difference))
            for (row, body) in zip(judged, doubtful.map(\.body)) {
                if row.columns.isEmpty {
                    table.present(rows.reference(table: table.id, key: row.key.span))
                } else if try restore(row.key, body, &table) {
                    restored += 1
                }
            }
            run.fill()
        }
        return restored
    }

    private enum Judgement {
        /// As the log has it.
        case stays
        case differs
        case isDoubtful(RowDifference)
    }

    private func judge(
        _ key: [UInt8], _ body: [UInt8], _ fault: String?, _ table: TableOfDatabase,
        _ respelled: Set<Int>
    ) throws -> Judgement {
        let name = QuarantinedKey.row(table: UInt32(table.id), key: key)
        guard fault == nil, !table.held.contains(name) else {
            if !isComplete { unknown.insert(name) }
            return .stays
        }
        guard let reference = rows.reference(table: table.id, key: key.span) else {
            return .differs
        }
        return try rows.withBody(reference) { found in
            let found = Array(copying: found)
            let whole = try RowCodec.completed(found.span, table.schema) ?? found
            if whole == body { return .stays }
            guard !respelled.isEmpty,
                let difference = try? RowDifference(
                    key, log: whole.span, database: body.span, table.schema),
                difference.isDoubtful(respelled)
            else { return .differs }
            return .isDoubtful(difference)
        }
    }

    private func restore(
        _ key: [UInt8], _ body: [UInt8], _ table: inout TableOfDatabase
    ) throws -> Bool {
        let isPut = try put(UInt32(table.id), key, body, sequence: 1, time: lastTime)
        table.present(rows.reference(table: table.id, key: key.span))
        return isPut
    }

    private func removeOthers(than table: TableOfDatabase) throws -> UInt64 {
        var extra: [[UInt8]] = []
        for reference in rows.references()
        where rows.table(reference) == table.id && !table.references.contains(reference) {
            let key = rows.withKey(reference) { Array(copying: $0) }
            if !table.held.contains(.row(table: UInt32(table.id), key: key)) { extra.append(key) }
        }
        for key in extra { try delete(UInt32(table.id), key, time: lastTime) }
        return UInt64(extra.count)
    }
}

/// A table of the database, while its rows are read.
private struct TableOfDatabase {
    let id: UInt16
    let schema: WriteBehindCore.TableSchema
    /// What is in quarantine, of all tables.
    let held: Set<QuarantinedKey>
    /// The rows of the salvaged log that the database has, too.
    private(set) var references: Set<RowTable.Reference> = []

    init(_ definition: WriteBehindCore.TableDefinition, _ held: Set<QuarantinedKey>) {
        (id, schema, self.held) = (UInt16(definition.id), definition.schema, held)
    }

    mutating func present(_ reference: RowTable.Reference?) {
        if let reference { references.insert(reference) }
    }
}
