import EventLog
import GRDBSQLite
import WriteBehindCore

// Binds parameters directly from the log's bytes. Besides SQLite itself, the apply loop spends its time here.
// The caller keeps the bytes in place until the statement has run, because text and blobs are bound without a copy.

extension PreparedStatement {
    /// Binds the components of a key to parameters 1, 2, ….
    @inline(__always)
    @unsafe func bind(
        key: UnsafeBufferPointer<UInt8>, _ columns: [ColumnType]
    ) throws(SinkError) {
        var offset = 0
        var index: Int32 = 1
        for column in 0..<columns.count {
            let isLast = column == columns.count - 1
            switch columns[column] {
            case .integer:
                let bits = unsafe try Self.word(key, &offset)
                try bind(Int64(bitPattern: bits ^ (1 << 63)), at: index)
            case .real:
                let bits = unsafe try Self.word(key, &offset)
                let isNegative = bits >> 63 == 0
                try bind(Double(bitPattern: isNegative ? ~bits : bits ^ (1 << 63)), at: index)
            case .text, .blob:
                let isText = columns[column] == .text
                if isLast {
                    let rest = unsafe UnsafeBufferPointer(rebasing: key[offset...])
                    unsafe try bind(rest, asText: isText, at: index)
                    offset = key.count
                } else {
                    unsafe try bind(escapedIn: key, &offset, asText: isText, at: index)
                }
            }
            index += 1
        }
        guard offset == key.count else { throw SinkError(.corrupt, "a key is too long") }
    }

    @inline(__always)
    private static func word(
        _ key: UnsafeBufferPointer<UInt8>, _ offset: inout Int
    ) throws(SinkError) -> UInt64 {
        guard key.count - offset >= 8 else { throw SinkError(.corrupt, "a key ends early") }
        defer { offset += 8 }
        return unsafe UInt64(
            bigEndian: UnsafeRawBufferPointer(key).loadUnaligned(
                fromByteOffset: offset, as: UInt64.self))
    }

    /// Binds a component with others behind it: 0x00 is written as 0x00 0xFF, and 0x00 0x00 ends it.
    private func bind(
        escapedIn key: UnsafeBufferPointer<UInt8>, _ offset: inout Int, asText: Bool,
        at index: Int32
    ) throws(SinkError) {
        let start = offset
        var unescaped: [UInt8]?
        while true {
            guard key.count - offset >= 2 else { throw SinkError(.corrupt, "a key ends early") }
            let byte = unsafe key[offset]
            guard byte == 0 else {
                unescaped?.append(byte)
                offset += 1
                continue
            }
            offset += 2
            switch unsafe key[offset - 1] {
            case 0:
                if let unescaped { return try bind(copying: unescaped, asText: asText, at: index) }
                let range = unsafe UnsafeBufferPointer(rebasing: key[start..<offset - 2])
                return unsafe try bind(range, asText: asText, at: index)
            case 0xFF:
                if unescaped == nil { unescaped = unsafe [UInt8](key[start..<offset - 2]) }
                unescaped?.append(0)
            default:
                throw SinkError(.corrupt, "a key holds an unknown escape")
            }
        }
    }

    @inline(__always)
    private func bind(
        _ bytes: UnsafeBufferPointer<UInt8>, asText: Bool, at index: Int32
    ) throws(SinkError) {
        if asText {
            unsafe try bind(text: bytes.baseAddress, count: bytes.count, at: index)
        } else {
            unsafe try bind(blob: bytes.baseAddress, count: bytes.count, at: index)
        }
    }

    /// Binds the value at the place of `reader` and steps over it. `base` is the address of `bytes`.
    @inline(__always)
    @unsafe func bindValue(
        _ reader: inout ByteReader, _ bytes: Span<UInt8>, at base: UnsafePointer<UInt8>?,
        to index: Int32
    ) throws(SinkError) {
        switch try reader.place(bytes) {
        case .null: try bindNull(at: index)
        case .integer(let value): try bind(value, at: index)
        case .real(let value): try bind(value, at: index)
        case .text(let range):
            let text = unsafe base.map { unsafe $0 + range.lowerBound }
            unsafe try bind(text: text, count: range.count, at: index)
        case .blob(let range):
            let blob = unsafe base.map { unsafe $0 + range.lowerBound }
            unsafe try bind(blob: blob, count: range.count, at: index)
        }
    }
}

extension PreparedStatement {
    /// The current row of a query, all its columns, as a row body.
    func rowBody(columnCount: Int) -> [UInt8] {
        var body: [UInt8] = []
        body.append(varint: UInt64(columnCount))
        for column in 0..<Int32(columnCount) { appendColumn(column, to: &body) }
        return body
    }

    /// The current row of a query for some columns and then the key.
    func scannedRow(
        _ schema: TableSchema, columnCount: Int
    ) throws(RowError) -> ScannedRows.Row {
        let keys = schema.keyColumns.indices.map { value(Int32(columnCount + $0)) }
        return ScannedRows.Row(
            key: try KeyCodec.encode(keys, schema), columns: rowBody(columnCount: columnCount))
    }

    private func appendColumn(_ column: Int32, to body: inout [UInt8]) {
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER:
            body.append(ValueTag.integer.rawValue)
            body.append(varint: zigzag(unsafe sqlite3_column_int64(handle, column)))
        case SQLITE_FLOAT:
            body.append(ValueTag.real.rawValue)
            body.append(integer: unsafe sqlite3_column_double(handle, column).bitPattern)
        case SQLITE_TEXT, SQLITE_BLOB:
            let isText = unsafe sqlite3_column_type(handle, column) == SQLITE_TEXT
            body.append(isText ? ValueTag.text.rawValue : ValueTag.blob.rawValue)
            unsafe withBytes(column) { bytes in
                body.append(varint: UInt64(bytes.count))
                unsafe body.append(contentsOf: bytes)
            }
        default:
            body.append(ValueTag.null.rawValue)
        }
    }

    /// The bytes of a text or blob column, before anything converts them.
    @unsafe func withBytes<Result>(
        _ column: Int32, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let start = unsafe sqlite3_column_blob(handle, column)
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// A column of the current row of a query.
    func value(_ column: Int32) -> StoredValue {
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer(unsafe sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: .real(unsafe sqlite3_column_double(handle, column))
        case SQLITE_TEXT:
            unsafe withBytes(column) { unsafe .text(String(decoding: $0, as: UTF8.self)) }
        case SQLITE_BLOB: unsafe withBytes(column) { unsafe .blob([UInt8]($0)) }
        default: .null
        }
    }
}
