import EventLog
import GRDBSQLite
import WriteBehindCore

/// Adds that found no row, in one transaction over all tables.
final class AddsWithoutRow {
    var count = 0
}

/// Applies changes to one table over one connection.
@safe final class TableWriter {
    private let sql: TableSQL
    private let connection: OpaquePointer
    private let missed: AddsWithoutRow
    private let keyTypes: [ColumnType]
    /// The defaults for values that a row body leaves out at its end.
    private let missing: [StoredValue]
    /// The type of each column outside the key, if SQLite does not check it.
    private let tags: [ValueTag]?
    /// Which columns outside the key are dropped, if any. Rows may hold values for them, which are not written.
    private let dropped: [Bool]?
    private let put, delete, exists, clear, hasRows: PreparedStatement
    /// Reads a row. Only adds and projections need it.
    private var select: PreparedStatement?
    private var patches: [[Int]: PreparedStatement] = [:]
    private var lastPatch: (columns: [Int], statement: PreparedStatement)?

    /// Each set of patched columns has its own statement. When there are more than this many, all are dropped.
    private static let patchLimit = 64

    @unsafe init(
        _ sql: TableSQL, on connection: OpaquePointer, _ missed: AddsWithoutRow
    ) throws(SinkError) {
        self.sql = sql
        self.missed = missed
        unsafe self.connection = unsafe connection
        keyTypes = sql.schema.keyColumns.map(\.type)
        missing = sql.schema.valueColumns.map(\.missingValue)
        tags = sql.isStrict ? nil : sql.schema.valueColumns.map(\.type.tag)
        let dropped = sql.schema.valueColumns.map(\.isDropped)
        self.dropped = dropped.contains(true) ? dropped : nil
        put = unsafe try PreparedStatement(sql.put, on: connection)
        delete = unsafe try PreparedStatement(sql.delete, on: connection)
        exists = unsafe try PreparedStatement(sql.exists, on: connection)
        clear = unsafe try PreparedStatement(sql.clear, on: connection)
        hasRows = unsafe try PreparedStatement(sql.hasRows, on: connection)
    }

    @inline(__always)
    func apply(
        _ kind: ChangeKind, key: Span<UInt8>, body: Span<UInt8>
    ) throws(SinkError) {
        // The bytes are bound without a copy, so everything happens while they are held in place.
        unsafe try key.withUnsafeBufferPointer { keyBytes throws(SinkError) in
            unsafe try body.withUnsafeBufferPointer { bodyBytes throws(SinkError) in
                switch kind {
                case .put: unsafe try put(keyBytes, body, at: bodyBytes.baseAddress)
                case .patch: unsafe try patch(keyBytes, body, at: bodyBytes.baseAddress)
                case .add: unsafe try add(keyBytes, body)
                case .delete: unsafe try delete(keyBytes)
                }
            }
        }
    }

    @inline(__always)
    private func put(
        _ key: UnsafeBufferPointer<UInt8>, _ body: Span<UInt8>, at base: UnsafePointer<UInt8>?
    ) throws(SinkError) {
        unsafe try put.bind(key: key, keyTypes)
        var reader = ByteReader(0..<body.count)
        let count = try reader.values(body, limit: missing.count)
        var index = Int32(keyTypes.count + 1)
        for column in 0..<count {
            if let dropped, dropped[column] {
                try reader.skip(body)
                continue
            }
            if let tags { try check(tags[column], reader, body) }
            unsafe try put.bindValue(&reader, body, at: base, to: index)
            index += 1
        }
        for column in count..<missing.count where dropped?[column] != true {
            try put.bind(missing[column], at: index)
            index += 1
        }
        try put.run()
        // Nothing changed: the row has only a key and already exists, or a trigger ignored it.
        if put.changes != 1 {
            guard !sql.hasValues, unsafe try exists(key) else { throw ignored("put") }
        }
    }

    private func patch(
        _ key: UnsafeBufferPointer<UInt8>, _ body: Span<UInt8>, at base: UnsafePointer<UInt8>?
    ) throws(SinkError) {
        let given = try patchedColumns(body)
        let columns = dropped.map { dropped in given.filter { !dropped[$0] } } ?? given
        guard !columns.isEmpty else {
            if unsafe try exists(key) { return }
            guard RowCodec.makesRow(given, sql.schema) else { throw rowMissing() }
            return unsafe try putRow(key, madeBy: body)
        }
        let statement = try patchStatement(columns)
        unsafe try statement.bind(key: key, keyTypes)
        var reader = ByteReader(0..<body.count)
        _ = try reader.values(body, limit: missing.count)
        var index = Int32(keyTypes.count + 1)
        for column in given {
            _ = try reader.column(body)
            if let dropped, dropped[column] {
                try reader.skip(body)
                continue
            }
            if let tags { try check(tags[column], reader, body) }
            unsafe try statement.bindValue(&reader, body, at: base, to: index)
            index += 1
        }
        try statement.run()
        guard statement.changes != 1 else { return }
        guard RowCodec.makesRow(given, sql.schema) else { throw rowMissing() }
        unsafe try putRow(key, madeBy: body)
    }

    /// Puts the row that a patch makes. It is the put of an older program that does not have all columns.
    private func putRow(
        _ key: UnsafeBufferPointer<UInt8>, madeBy patch: Span<UInt8>
    ) throws(SinkError) {
        var row: [UInt8] = []
        do throws(MalformedRecord) {
            try RowMerge.row(
                madeBy: patch, defaults: RowCodec.defaults(sql.schema),
                into: &row)
        } catch {
            throw SinkError(malformed: error)
        }
        unsafe try row.withUnsafeBufferPointer { (bytes) throws(SinkError) in
            unsafe try put(key, bytes.span, at: bytes.baseAddress)
        }
    }

    /// Adds to what the row holds now: nobody else writes it. SQLite's own sums would become reals where they exceed 64 bits.
    private func add(
        _ key: UnsafeBufferPointer<UInt8>, _ body: Span<UInt8>
    ) throws(SinkError) {
        let row = unsafe try self.row(key.span)
        switch try AddedRow(adding: body, to: row, sql.schema, named: sql.name) {
        case .none: missed.count += 1
        case .patch(let patch):
            unsafe try patch.withUnsafeBufferPointer { (bytes) throws(SinkError) in
                unsafe try self.patch(key, bytes.span, at: bytes.baseAddress)
            }
        case .put(let row):
            unsafe try row.withUnsafeBufferPointer { (bytes) throws(SinkError) in
                unsafe try put(key, bytes.span, at: bytes.baseAddress)
            }
        }
    }

    /// Refuses a value that a `STRICT` table would refuse.
    @inline(__always)
    private func check(
        _ tag: ValueTag, _ reader: ByteReader, _ body: Span<UInt8>
    ) throws(SinkError) {
        guard reader.offset < body.count else { return }  // reading the value throws
        let stored = body[reader.offset]
        if stored == tag.rawValue || stored == ValueTag.null.rawValue { return }
        // Binding it says what is wrong.
        if stored == ValueTag.wide.rawValue { return }
        // SQLite converts it to a real, as for a column that held integers before.
        if tag == .real, stored == ValueTag.integer.rawValue { return }
        throw SinkError(
            code: SQLITE_CONSTRAINT | 12 << 8,  // …_DATATYPE
            "table \(sql.name): a value is not of its column's type")
    }

    private func delete(_ key: UnsafeBufferPointer<UInt8>) throws(SinkError) {
        unsafe try delete.bind(key: key, keyTypes)
        try delete.run()
        if delete.changes == 0, unsafe try exists(key) { throw ignored("delete") }
    }

    /// The row as it is inside the transaction; nil if there is none.
    func row(_ key: Span<UInt8>) throws(SinkError) -> [UInt8]? {
        let select = try rowStatement()
        return unsafe try key.withUnsafeBufferPointer { (bytes) throws(SinkError) in
            unsafe try select.bind(key: bytes, keyTypes)
            defer { select.reset() }
            return try select.step() ? select.rowBody(columnCount: missing.count) : nil
        }
    }

    private func rowStatement() throws(SinkError) -> PreparedStatement {
        if let select { return select }
        let new = unsafe try PreparedStatement(sql.select, on: connection)
        select = new
        return new
    }

    func clearRows() throws(SinkError) {
        try clear.run()
        if try hasRows.hasRow() { throw ignored("clear") }
    }

    private func exists(_ key: UnsafeBufferPointer<UInt8>) throws(SinkError) -> Bool {
        unsafe try exists.bind(key: key, keyTypes)
        return try exists.hasRow()
    }

    private func patchedColumns(_ body: Span<UInt8>) throws(SinkError) -> [Int] {
        var reader = ByteReader(0..<body.count)
        let count = try reader.values(body, limit: missing.count)
        var columns: [Int] = []
        columns.reserveCapacity(count)
        for _ in 0..<count {
            let column = try reader.column(body)
            guard column < UInt64(missing.count), columns.last.map({ $0 < column }) ?? true
            else { throw SinkError(.corrupt, "table \(sql.name): a patch of an unknown column") }
            columns.append(Int(column))
            try reader.skip(body)
        }
        return columns
    }

    private func patchStatement(_ columns: [Int]) throws(SinkError) -> PreparedStatement {
        if let lastPatch, lastPatch.columns == columns { return lastPatch.statement }
        let statement: PreparedStatement
        if let known = patches[columns] {
            statement = known
        } else {
            statement = unsafe try PreparedStatement(sql.patch(columns), on: connection)
            if patches.count == Self.patchLimit { patches.removeAll(keepingCapacity: true) }
            patches[columns] = statement
        }
        lastPatch = (columns, statement)
        return statement
    }

    private func rowMissing() -> SinkError {
        SinkError(.constraint, "table \(sql.name): the row to change is missing")
    }

    private func ignored(_ what: String) -> SinkError {
        SinkError(.constraint, "table \(sql.name): a trigger ignored a \(what)")
    }
}
