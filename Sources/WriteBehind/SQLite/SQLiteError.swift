import GRDB
import GRDBSQLite

extension SinkError {
    /// What an extended result code of SQLite means for a sink.
    package init(code: Int32, _ message: String) {
        self.init(Self.kind(ofCode: code), code: code, message)
    }

    /// The last error of a connection: first what is wrong, then what was done, since a statement is long.
    @unsafe init(_ code: Int32, on connection: OpaquePointer?, doing what: String) {
        let extended = unsafe sqlite3_extended_errcode(connection)
        let message = unsafe String(cString: sqlite3_errmsg(connection))
        self.init(code: extended & 0xFF == code & 0xFF ? extended : code, "\(message) (\(what))")
    }

    /// Any error that came out of GRDB's closures, ours among them.
    init(wrapping error: any Error) {
        if let error = error as? SinkError {
            self = error
        } else if let error = error as? DatabaseError {
            self.init(code: error.extendedResultCode.rawValue, "\(error)")
        } else if let error = error as? SchemaError {
            self.init(.schema, "\(error)")
        } else if let error = error as? RowError {
            self.init(.corrupt, "\(error)")
        } else {
            self.init(.io, "\(error)")
        }
    }

    private static func kind(ofCode code: Int32) -> Kind {
        let moved = SQLITE_READONLY | 4 << 8  // SQLITE_READONLY_DBMOVED
        if code == moved { return .gone }
        return switch code & 0xFF {
        // An interrupt comes from a user's `reader.interrupt()`, which stops the writer too.
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL, SQLITE_INTERRUPT, SQLITE_ABORT: .busy
        case SQLITE_FULL: .diskFull
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .readOnly
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
        // A value too big for the database is the row's fault as much as one it forbids.
        case SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_MISMATCH: .constraint
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_RANGE: .schema
        case SQLITE_CANTOPEN, SQLITE_MISUSE: .gone
        default: .io
        }
    }
}

/// Runs what throws anything (GRDB's calls) where only a ``SinkError`` may come out.
func throwingSinkError<Result>(_ body: () throws -> Result) throws(SinkError) -> Result {
    do {
        return try body()
    } catch {
        throw SinkError(wrapping: error)
    }
}
