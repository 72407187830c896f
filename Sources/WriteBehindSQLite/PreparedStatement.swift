import EventLog
import GRDB
import GRDBSQLite
import WriteBehindCore

/// One statement of one connection. Its parameters are bound directly from bytes of the log.
///
/// Bound text and blobs are not copied: the bytes must stay where they are until ``run()`` or
/// ``step()`` has returned. A statement may be used only where its connection may be used.
@safe final class PreparedStatement {
    let handle: OpaquePointer
    private let connection: OpaquePointer
    private let sql: String
    /// The cached statement of the connection, if the cache finalizes it.
    private let owner: Statement?

    @unsafe init(_ sql: String, on connection: OpaquePointer) throws(SinkError) {
        unsafe self.connection = unsafe connection
        self.sql = sql
        owner = nil
        unsafe handle = unsafe try Self.prepare(sql, on: connection)
    }

    /// Takes a statement from the cache of a reading connection. It has one user at a time.
    init(cached sql: String, in db: Database) throws {
        let statement = try db.cachedStatement(sql: sql)
        guard let connection = unsafe db.sqliteConnection else {
            throw SinkError(.gone, "the database is closed")
        }
        unsafe self.connection = unsafe connection
        self.sql = sql
        owner = statement
        unsafe handle = unsafe statement.sqliteStatement
    }

    deinit {
        if owner == nil {
            _ = unsafe sqlite3_finalize(handle)
        } else {
            _ = unsafe sqlite3_reset(handle)
            _ = unsafe sqlite3_clear_bindings(handle)
        }
    }

    private static func prepare(
        _ sql: String, on connection: OpaquePointer
    ) throws(SinkError) -> OpaquePointer {
        var handle: OpaquePointer?
        let code = unsafe sqlite3_prepare_v3(
            connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle = unsafe handle else {
            throw unsafe SinkError(code, on: connection, doing: "preparing \(sql)")
        }
        return unsafe handle
    }

    /// Runs the statement to its end and resets it, also after an error.
    func run() throws(SinkError) {
        defer { _ = unsafe sqlite3_reset(handle) }
        while try step() {}
    }

    /// Returns whether there is a row. The caller calls ``reset()`` when it is done.
    func step() throws(SinkError) -> Bool {
        let code = unsafe sqlite3_step(handle)
        if code == SQLITE_DONE { return false }
        if code == SQLITE_ROW { return true }
        throw stepError(code)
    }

    /// Returns whether a query has a row.
    func hasRow() throws(SinkError) -> Bool {
        defer { reset() }
        return try step()
    }

    func reset() { _ = unsafe sqlite3_reset(handle) }

    /// How many rows the last run has changed, without the changes of triggers.
    var changes: Int32 { unsafe sqlite3_changes(connection) }

    private func stepError(_ code: Int32) -> SinkError {
        var error = unsafe SinkError(code, on: connection, doing: sql)
        // A plain error while running comes from the values (such as an integer overflow in a trigger),
        // unless the statement does not compile any more: then it comes from the schema.
        if code == SQLITE_ERROR, unsafe (try? Self.finalizedCopy(sql, on: connection)) != nil {
            error.kind = .constraint
        }
        return error
    }

    private static func finalizedCopy(
        _ sql: String, on connection: OpaquePointer
    ) throws(SinkError) {
        _ = unsafe sqlite3_finalize(try prepare(sql, on: connection))
    }
}

extension PreparedStatement {
    @inline(__always)
    func bind(_ value: Int64, at index: Int32) throws(SinkError) {
        try check(unsafe sqlite3_bind_int64(handle, index, value))
    }

    @inline(__always)
    func bind(_ value: Double, at index: Int32) throws(SinkError) {
        try check(unsafe sqlite3_bind_double(handle, index, value))
    }

    func bindNull(at index: Int32) throws(SinkError) {
        try check(unsafe sqlite3_bind_null(handle, index))
    }

    /// Binds bytes that stay where they are until the statement ran.
    @inline(__always)
    @unsafe func bind(
        text: UnsafePointer<UInt8>?, count: Int, at index: Int32
    ) throws(SinkError) {
        guard count > 0, let text = unsafe text else {
            // A null pointer would bind NULL.
            return try check(unsafe sqlite3_bind_text(handle, index, "", 0, Self.transient))
        }
        let code = unsafe text.withMemoryRebound(to: CChar.self, capacity: count) {
            unsafe sqlite3_bind_text64(
                handle, index, $0, UInt64(count), nil, UInt8(SQLITE_UTF8))
        }
        try check(code)
    }

    /// Binds bytes that stay where they are until the statement ran.
    @inline(__always)
    @unsafe func bind(
        blob: UnsafePointer<UInt8>?, count: Int, at index: Int32
    ) throws(SinkError) {
        guard count > 0, let blob = unsafe blob else {
            return try check(unsafe sqlite3_bind_zeroblob(handle, index, 0))
        }
        try check(unsafe sqlite3_bind_blob64(handle, index, blob, UInt64(count), nil))
    }

    /// Binds a copy.
    func bind(_ value: StoredValue, at index: Int32) throws(SinkError) {
        switch value {
        case .null: try bindNull(at: index)
        case .integer(let value): try bind(value, at: index)
        case .real(let value): try bind(value, at: index)
        case .text(let value): try bind(copying: [UInt8](value.utf8), asText: true, at: index)
        case .blob(let value): try bind(copying: value, asText: false, at: index)
        }
    }

    /// Binds a copy.
    func bind(copying bytes: [UInt8], asText: Bool, at index: Int32) throws(SinkError) {
        if bytes.isEmpty {
            if asText { return unsafe try bind(text: nil, count: 0, at: index) }
            return unsafe try bind(blob: nil, count: 0, at: index)
        }
        let code = unsafe bytes.withUnsafeBytes { bytes in
            asText
                ? unsafe sqlite3_bind_text64(
                    handle, index, bytes.bindMemory(to: CChar.self).baseAddress,
                    UInt64(bytes.count), Self.transient, UInt8(SQLITE_UTF8))
                : unsafe sqlite3_bind_blob64(
                    handle, index, bytes.baseAddress, UInt64(bytes.count), Self.transient)
        }
        try check(code)
    }

    /// Makes SQLite copy the bytes at once.
    private static var transient: sqlite3_destructor_type {
        unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    }

    @inline(__always)
    private func check(_ code: Int32) throws(SinkError) {
        guard code == SQLITE_OK else { throw SinkError(code: code, "binding a value") }
    }
}
