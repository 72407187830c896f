import EventLog

/// The rows as the commits in quarantine left them. They are folded from the log, because the database does not hold them.
struct QuarantinedRows: ~Copyable {
    private let engine: Engine
    private var rows: RowTable

    init(of engine: Engine) throws(OutOfMemory) {
        self.engine = engine
        rows = try RowTable(hugePages: false)
        for table in engine.tables.tables {
            rows.setDefaults(table: UInt16(table.id), RowCodec.defaults(table.schema))
        }
    }

    /// Reads the log once, because a hot row may have any number of followers.
    mutating func read(
        _ quarantine: QuarantineIndex, through limit: UInt64 = .max
    ) throws(LogError) {
        let through = min(limit, quarantine.latest)
        let walk = try QuarantineWalk(quarantine, engine.log, through: through)
        while true {
            let commits = try walk.next(of: quarantine)
            for commit in commits {
                // The database has refused this commit. If it cannot be read here either, it is left out.
                try? fold(commit, quarantine)
            }
            if walk.isAtEnd { return }
        }
    }

    private mutating func fold(
        _ commit: OrderedCommit, _ quarantine: QuarantineIndex
    ) throws(MalformedRecord) {
        let records = commit.records.span
        var reader = ByteReader(0..<records.count)
        var sequence = commit.firstSequence
        while !reader.isAtEnd {
            let record = try reader.record(records)
            defer { sequence += 1 }
            // A row that was given up since has the values of a later commit.
            let key: QuarantinedKey =
                record.operation == .clear
                ? .table(record.table)
                : .row(table: record.table, key: Array(commit.records[record.key]))
            guard quarantine.contains(commit.firstSequence, key) else { continue }
            try rows.apply(record, in: records, sequence: sequence)
        }
    }

    /// A row as the commits in quarantine leave it, over what the database holds.
    func row(
        _ table: UInt16, _ key: [UInt8], over stored: [UInt8]?
    ) throws(MalformedRecord) -> [UInt8]? {
        guard let reference = rows.reference(table: table, key: key.span) else {
            return rows.clearedAt[table] == nil ? stored : nil
        }
        return try rows.withBody(reference) { (body) throws(MalformedRecord) in
            var row: [UInt8] = []
            switch rows.change(reference) {
            case .put: return Array(copying: body)
            case .delete: return nil
            case .patch:
                let before = stored ?? RowCodec.noValues
                try RowMerge.row(
                    before.span, patch: body, defaults: rows.defaults(of: table), into: &row)
            case .add:
                let parts = try RowMerge.parts(body)
                guard let patch = stored == nil ? parts.missing : parts.there else { return nil }
                let before = stored ?? RowCodec.noValues
                try RowMerge.row(
                    before.span, patch: body.extracting(patch),
                    defaults: rows.defaults(of: table), isStrict: true, into: &row)
            }
            return row
        }
    }

    /// Brings those rows into memory that are not there, so that all can be kept there (``Pins``).
    func restore() {
        let view = engine.view
        for (table, sequence) in rows.clearedAt {
            view.forEachShard { $0.restoreClear(table, sequence: sequence) }
        }
        for reference in rows.references() {
            let table = rows.table(reference)
            let (state, sequence) = (rows.state(reference), rows.sequence(reference))
            let isAdd = rows.change(reference) == .add
            rows.withKey(reference) { key in
                rows.withBody(reference) { body in
                    let hash = view.hash(table: table, key: key)
                    view.withShard(of: hash) { shard in
                        // As above: a body that cannot be read is left out.
                        try? shard.restore(
                            hash, table, key, state, body, isAdd: isAdd, sequence: sequence)
                    }
                }
            }
        }
    }
}
