package import EventLog

/// Why a sink could not do what it was asked; nothing of it was done.
package struct SinkError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// Somebody else holds a lock on the database.
        case busy
        /// No space for the database or its journal.
        case diskFull
        /// Reading or writing the database's files failed.
        case io
        /// The database may not be written to.
        case readOnly
        /// The database file is damaged or no database.
        case corrupt
        /// A row, or the commit as a whole, breaks a constraint of the database.
        case constraint
        /// The database's tables are not what the store defined, or hold something (a trigger, a
        /// foreign-key action) that would change rows behind the log's back.
        case schema
        /// The database belongs to another store.
        case foreignDatabase
        /// The database cannot be reached: it was closed, its file was moved, deleted or cannot be
        /// opened, or another process changed its watermark. Only opening it again can help.
        case gone
    }

    package var kind: Kind
    /// The database's own extended result code; 0 if the error is the sink's.
    package var code: Int32
    package var message: String

    package init(_ kind: Kind, code: Int32 = 0, _ message: String) {
        self.kind = kind
        self.code = code
        self.message = message
    }

    /// Whether the same call (after `.gone`, on a sink that was opened again) may succeed later by itself.
    package var isTransient: Bool {
        switch kind {
        case .busy, .diskFull, .io, .readOnly, .gone: true
        case .corrupt, .constraint, .schema, .foreignDatabase: false
        }
    }

    /// Whether this sink is of no use any more, but one opened or built in its place would be. A damage that
    /// is not the database's own word is in what it was given, and would only come again.
    package var callsForReplacement: Bool { kind == .gone || kind == .corrupt && code != 0 }

    package var description: String {
        code == 0 ? "\(kind.rawValue): \(message)" : "\(kind.rawValue) (code \(code)): \(message)"
    }
}

extension SinkError {
    /// Bytes that passed their checksums and yet are no record of the table.
    package init(malformed error: MalformedRecord) {
        self.init(.corrupt, "a record is malformed at byte \(error.offset): \(error.reason)")
    }
}
