package import EventLog

/// Why a call of a sink failed. The call has changed nothing.
package struct SinkError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// Another connection holds a lock on the database.
        case busy
        /// No space for the database or its journal.
        case diskFull
        /// Reading or writing the database's files failed.
        case io
        /// The database may not be written to.
        case readOnly
        /// The database file is damaged, or is not a database.
        case corrupt
        /// A row, or the commit as a whole, breaks a constraint of the database.
        case constraint
        /// The database's tables are not as the store defined them, or have something (a trigger, a
        /// foreign-key action) that would change rows without the log.
        case schema
        /// The database belongs to another store.
        case foreignDatabase
        /// The database cannot be reached: it was closed, its file was moved, deleted or cannot be
        /// opened, or another process changed its watermark. Only opening it again can help.
        case gone
    }

    package var kind: Kind
    /// The database's own extended result code; 0 if the sink itself found the error.
    package var code: Int32
    package var message: String

    package init(_ kind: Kind, code: Int32 = 0, _ message: String) {
        self.kind = kind
        self.code = code
        self.message = message
    }

    /// Whether the same call may succeed later by itself; after `.gone`, on a sink that was opened again.
    package var isTransient: Bool {
        switch kind {
        case .busy, .diskFull, .io, .readOnly, .gone: true
        case .corrupt, .constraint, .schema, .foreignDatabase: false
        }
    }

    /// Whether this sink cannot be used any more, but one that is opened or built to replace it could. Damage that
    /// the database itself did not report is in the records that it was given, and would come again.
    package var callsForReplacement: Bool { kind == .gone || kind == .corrupt && code != 0 }

    package var description: String {
        code == 0 ? "\(kind.rawValue): \(message)" : "\(kind.rawValue) (code \(code)): \(message)"
    }
}

extension SinkError {
    /// The error for a column whose sum no database can hold.
    package static let sumOutOfRange = SinkError(
        .constraint, "a sum of what was added does not fit into 64 bits")

    /// The error for bytes that passed their checksums but are not a record of the table.
    package init(malformed error: MalformedRecord) {
        self.init(.corrupt, "a record is malformed at byte \(error.offset): \(error.reason)")
    }
}
