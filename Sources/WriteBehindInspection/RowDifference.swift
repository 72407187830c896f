import EventLog
import WriteBehindCore

/// A row that log and database have with different values, maybe only in how they are spelled.
struct RowDifference: Sendable {
    struct Column: Sendable {
        /// Among the columns outside the key.
        var place: Int
        var log: StoredValue
        var database: StoredValue
    }

    var key: [UInt8]
    var columns: [Column]

    /// - Parameters:
    ///   - log: a row with a value for each column.
    ///   - database: as the database has it.
    init(
        _ key: [UInt8], log: Span<UInt8>, database: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) {
        let (log, database) = (
            try RowCodec.decodeRow(log, schema), try RowCodec.decodeRow(database, schema)
        )
        self.key = key
        columns = schema.valueColumns.indices.filter { log[$0] != database[$0] }.map {
            Column(place: $0, log: log[$0], database: database[$0])
        }
    }

    /// Whether some of the values may be the same in a spelling of the database's own.
    func isDoubtful(_ respelled: Set<Int>) -> Bool {
        columns.contains { RespelledPair($0, respelled) != nil }
    }
}

extension StoredRowSource {
    /// The same differences without those that are a matter of spelling. The database judges that. Not while a run is filled.
    func withoutSpellings(_ rows: [RowDifference]) throws(SinkError) -> [RowDifference] {
        guard !rows.isEmpty else { return [] }
        let respelled = respelled
        let pairs = rows.flatMap { row in
            row.columns.compactMap { RespelledPair($0, respelled) }
        }
        var equal = try areEqual(pairs).makeIterator()
        return rows.map { row in
            var row = row
            row.columns = row.columns.filter { column in
                // There is an answer to each pair.
                RespelledPair(column, respelled) == nil || equal.next() != true
            }
            return row
        }
    }
}

extension RespelledPair {
    /// nil if the database does not spell the column in its own way, or one of the values is null.
    fileprivate init?(_ column: RowDifference.Column, _ respelled: Set<Int>) {
        guard respelled.contains(column.place), case .text(let log) = column.log,
            case .text(let database) = column.database
        else { return nil }
        self.init(column: column.place, log: log, database: database)
    }
}
