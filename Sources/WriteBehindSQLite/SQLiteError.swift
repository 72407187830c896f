import GRDB
import GRDBSQLite
package import WriteBehindCore

extension SinkError {
    /// The meaning of an extended result code of SQLite for a sink.
    package init(code: Int32, _ message: String) {
        self.init(Self.kind(ofCode: code), code: code, message)
    }

    /// The last error of a connection. The message comes first and the statement last, because a statement is long.
    @unsafe init(_ code: Int32, on connection: OpaquePointer?, doing what: String) {
        let extended = unsafe sqlite3_extended_errcode(connection)
        let message = unsafe String(cString: sqlite3_errmsg(connection))
        self.init(code: extended & 0xFF == code & 0xFF ? extended : code, "\(message) (\(what))")
    }

    /// Any error that came out of GRDB's closures, ours among them.
    package init(wrapping error: any Error) {
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
        if let kind = extendedKinds[code] { return kind }
        return switch code & 0xFF {
        // An interrupt comes from a user's `reader.interrupt()`, which stops the writer too.
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL, SQLITE_INTERRUPT, SQLITE_ABORT: .busy
        case SQLITE_FULL: .diskFull
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .readOnly
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
        // A value that is too big for the database is the row's fault, as is one that a constraint forbids.
        case SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_MISMATCH: .constraint
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_RANGE: .schema
        case SQLITE_CANTOPEN, SQLITE_MISUSE: .gone
        default: .io
        }
    }

    /// The extended codes whose meaning differs from their primary code, which is their low byte.
    private static let extendedKinds: [Int32: Kind] = [
        // A user's full-text or R*Tree index contradicts itself, or the values that a trigger gives it. The database's
        // own pages are whole, and the index would refuse the same commit again.
        SQLITE_CORRUPT | 1 << 8: .constraint,  // …_VTAB
        // sqlite_sequence, which only a user's AUTOINCREMENT table has.
        SQLITE_CORRUPT | 2 << 8: .constraint,  // …_SEQUENCE
        // A trigger changes a virtual table that it is reading from.
        SQLITE_LOCKED | 2 << 8: .constraint,  // …_VTAB
        // The statement must be compiled again, or the snapshot must be taken again.
        SQLITE_ERROR | 2 << 8: .busy,  // …_RETRY
        SQLITE_ERROR | 3 << 8: .busy,  // …_SNAPSHOT
        SQLITE_READONLY | 4 << 8: .gone,  // …_DBMOVED
        // The database is where it was; what cannot be opened is a temporary file.
        SQLITE_CANTOPEN | 1 << 8: .io,  // …_NOTEMPDIR
    ]
}

/// Runs code that throws any error, such as GRDB's calls, and turns the error into a ``SinkError``.
package func throwingSinkError<Result>(_ body: () throws -> Result) throws(SinkError) -> Result {
    do {
        return try body()
    } catch {
        throw SinkError(wrapping: error)
    }
}
