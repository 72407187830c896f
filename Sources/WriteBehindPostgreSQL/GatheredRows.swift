import EventLog
import WriteBehindCore

/// Rows for one statement, as a parameter of each column.
final class GatheredRows {
    private var columns: [ArrayColumn]
    private(set) var count = 0

    init(_ columns: [PostgreSQLTable.Column]) {
        self.columns = columns.map { ArrayColumn($0.type.parameter.element) }
    }

    var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }

    var parameters: PostgreSQLParameters {
        var parameters = PostgreSQLParameters()
        for column in columns { parameters.append(column) }
        return parameters
    }

    func removeAll() {
        count = 0
        for place in columns.indices { columns[place].removeAll() }
    }

    func append(key: Span<UInt8>, _ table: PostgreSQLTable) throws(SinkError) {
        count += 1
        try table.append(key: key) { (place, value) throws(SinkError) in
            try value.append(to: &columns[place], table.keys[place])
        }
    }

    func append(row: Span<UInt8>, _ table: PostgreSQLTable) throws(SinkError) {
        var reader = ByteReader(0..<row.count)
        let given = try reader.values(row, limit: table.values.count)
        var next = table.keys.count
        for place in table.values.indices {
            guard let column = table.values[place] else {
                if place < given { try reader.skip(row) }
                continue
            }
            if place < given {
                try column.type.append(&reader, row, to: &columns[next], column.name)
            } else {
                // It was written before the column was added.
                let missing = table.missing[place]
                var value = ByteReader(0..<missing.count)
                try column.type.append(&value, missing.span, to: &columns[next], column.name)
            }
            next += 1
        }
    }

    func append(patch: Span<UInt8>, _ table: PostgreSQLTable) throws(SinkError) {
        var reader = ByteReader(0..<patch.count)
        let given = try reader.values(patch, limit: table.values.count)
        var next = table.keys.count
        for _ in 0..<given {
            // Checked when the places were looked for.
            let place = Int(try reader.column(patch))
            guard let column = table.values[place] else {
                try reader.skip(patch)
                continue
            }
            try column.type.append(&reader, patch, to: &columns[next], column.name)
            next += 1
        }
    }
}
