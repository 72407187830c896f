import EventLog
import WriteBehindCore
import WriteBehindSQLite

// If the log is damaged, the store's database often still holds what the log has lost: it has every row as of its
// watermark. So when salvage passes the watermark, the rows that it has computed from the log are made
// equal to the database's, by puts and deletes of the rows that differ. Rows in quarantine stay as the log has them.

extension Salvage {
    /// Makes the rows equal to those of the database, if it is readable and belongs to the log's history.
    func putRightByDatabase() throws {
        do {
            guard let source = store.database.source else { return }
            if let fault = try fault(of: source) {
                result.database = .unusable(reason: fault)
            } else {
                // In one transaction, so that everything is of one watermark.
                try source.read(store.environment.storeID) { try makeEqual(to: $0) }
            }
        } catch let error as SinkError {
            result.database = .unusable(reason: "\(error)")
        }
    }

    private func fault(of source: any InspectedDatabase) throws -> String? {
        if let fault = try (source as? InspectedSQLite)?.fault() { return fault }
        guard let watermark = store.database.contents?.watermark else {
            return "it has no watermark"
        }
        // If the log no longer has the chain value there, there is no evidence against the database.
        let chain = try? LogReader.chain(at: watermark.sequence, store.environment)
        guard chain == nil || chain == watermark.chain else {
            return "it belongs to another history than the log"
        }
        return nil
    }

    private func makeEqual(to database: any InspectedTransaction) throws {
        guard let contents = store.database.contents else { return }
        let held = Set(contents.quarantine.held.keys)
        if !isComplete { unknown = held }
        var (restored, removed): (UInt64, UInt64) = (0, 0)
        for definition in contents.tables {
            guard !held.contains(.table(definition.id)), numbers[definition.id] != nil,
                case .rows(let source) = try database.rows(of: definition)
            else { continue }
            var present = try RowTable()
            let run = StoredRun(source)
            run.fill()
            while !run.isEmpty {
                if let failure = run.failure { throw failure }
                for row in run.rows {
                    let key = Array(run.bytes[row.key])
                    let hash = present.hash(table: 0, key: key.span)
                    _ = present.put(hash, 0, key.span, Span(), sequence: 1)
                    if try restore(key, run.bytes[row.body], row.fault, definition, held) {
                        restored += 1
                    }
                }
                run.fill()
            }
            removed += try removeOthers(than: present, definition, held)
        }
        result.database = .used(
            watermark: contents.watermark.sequence, restored: restored, removed: removed)
    }

    /// Puts a row of the database, if the log gives another value.
    private func restore(
        _ key: [UInt8], _ body: ArraySlice<UInt8>, _ fault: String?,
        _ definition: WriteBehindCore.TableDefinition, _ held: Set<QuarantinedKey>
    ) throws -> Bool {
        let id = definition.id
        guard fault == nil, !held.contains(.row(table: id, key: key)) else { return false }
        let body = Array(body)
        if let reference = rows.reference(table: UInt16(id), key: key.span) {
            let isEqual = try rows.withBody(reference) { found in
                let found = Array(copying: found)
                return try (RowCodec.completed(found.span, definition.schema) ?? found) == body
            }
            if isEqual { return false }
        }
        return try put(id, key, body, sequence: 1, time: lastTime)
    }

    private func removeOthers(
        than present: borrowing RowTable, _ definition: WriteBehindCore.TableDefinition,
        _ held: Set<QuarantinedKey>
    ) throws -> UInt64 {
        var extra: [[UInt8]] = []
        for reference in rows.references() where UInt32(rows.table(reference)) == definition.id {
            let key = rows.withKey(reference) { Array(copying: $0) }
            let isHeld = held.contains(.row(table: definition.id, key: key))
            if !isHeld, present.reference(table: 0, key: key.span) == nil { extra.append(key) }
        }
        for key in extra { try delete(definition.id, key, time: lastTime) }
        return UInt64(extra.count)
    }
}
