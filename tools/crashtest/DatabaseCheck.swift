import EventLog
import GRDB
import WriteBehind

/// Is the database the fold of the log up to the watermark that it holds?
enum DatabaseCheck {
    static func run(_ directory: String) throws {
        let store = try OpenStore(
            path: directory, configuration: Tables.configuration,
            environment: .machine(readers: 1))
        if let damage = store.damage { throw Loss("the log is damaged: \(damage)") }
        let sink = store.engine.sink
        let watermark = try sink.watermark()
        guard watermark.sequence <= store.engine.log.durable else {
            throw Loss("the database is ahead of the log: \(watermark.sequence)")
        }
        try compare(try fold(store.engine.log, through: watermark.sequence), sink)
        try store.engine.log.close()
        try sink.close()
    }

    private static func fold(_ log: Log, through sequence: UInt64) throws -> [[UInt8]: Fold] {
        var rows: [[UInt8]: Fold] = [:]
        let reader = try log.reader(from: 1)
        while try reader.next(through: sequence) {
            let payload = reader.payload
            var commits = try reader.commits()
            while let commit = try commits.next(payload.span), commit.lastSequence <= sequence {
                var records = ByteReader(commit.records)
                while !records.isAtEnd {
                    let record = try records.record(payload.span)
                    try apply(record, payload, to: &rows)
                }
            }
        }
        return rows
    }

    struct Fold {
        var table: UInt32
        var key: [UInt8]
        var body: [UInt8]
    }

    private static func apply(
        _ record: EventLog.Record, _ payload: [UInt8], to rows: inout [[UInt8]: Fold]
    ) throws {
        let key = Array(payload[record.key])
        let body = Array(payload[record.body])
        let id = [UInt8(record.table)] + key
        switch record.operation {
        case .put: rows[id] = Fold(table: record.table, key: key, body: body)
        case .delete: rows[id] = nil
        case .patch:
            guard let old = rows[id] else { throw Loss("the log patches a row that is not there") }
            var merged: [UInt8] = []
            try RowMerge.row(old.body.span, patch: body.span, defaults: [], into: &merged)
            rows[id]?.body = merged
        case .clear, .define, .mark, .settle, .preamble: break
        }
    }

    private static func compare(_ rows: [[UInt8]: Fold], _ sink: any Sink) throws {
        for row in rows.values {
            let stored = try sink.read(row.table, key: row.key.span)
            guard stored.body == row.body else {
                throw Loss("a row of table \(row.table) is not in the database as the log has it")
            }
        }
        guard let reader = (sink as? SQLiteSink)?.reader else { return }
        var count = 0
        for table in sink.tables {
            count += try reader.read { db in
                try Int.fetchOne(db, sql: "SELECT count(*) FROM \"\(table.schema.name)\"") ?? 0
            }
        }
        guard count == rows.count else {
            throw Loss("the database has \(count) rows, the log \(rows.count)")
        }
    }
}
