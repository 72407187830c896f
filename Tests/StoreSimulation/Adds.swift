import EventLog
import TestSupport
import WriteBehindCore

// Adds, and what they make necessary.

extension SimulatedStore {
    func add(_ row: Row, _ column: Int, _ amount: Int64) throws {
        // The log of the first table has whole rows, which an add does not read.
        guard let engine, row.table > 1, let schema = engine.tables[row.table]?.schema,
            column < schema.valueColumns.count, schema.valueColumns[column].takesAmounts,
            column != schema.expiryIndex
        else { return }
        let makesRow = RowCodec.addsMakeRows(schema)
        let body = RowCodec.encodeAdd(
            [ColumnAmount(column: column, amount: amount)], makesRow: makesRow)
        let receipt = try engine.write(
            .add, table: UInt16(row.table), key: Tables.key(row.id).span, body: body.span)
        wrote(receipt, [.add(row, column: column, amount, makesRow: makesRow)])
    }

    /// The deletes that the log's followers can read already, and their sequences.
    func deletes(after sequence: UInt64) throws -> [Row: UInt64] {
        guard let log = engine?.log, log.readable > sequence else { return [:] }
        var found: [Row: UInt64] = [:]
        let reader = try log.reader(from: sequence + 1)
        while try reader.next(through: log.readable) {
            let payload = reader.payload
            var commits = try reader.commits()
            while let commit = try commits.next(payload.span) {
                var records = ByteReader(commit.records)
                var place = commit.firstSequence
                while !records.isAtEnd {
                    let record = try records.record(payload.span)
                    if record.operation == .delete, place > sequence {
                        let key = payload.span.extracting(record.key)
                        found[try Tables.row(record.table, key)] = place
                    }
                    place += 1
                }
            }
        }
        return found
    }
}
