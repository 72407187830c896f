/// A row that a quarantined commit holds, or all rows of a table.
package enum QuarantinedKey: Sendable, Hashable {
    case row(table: UInt32, key: [UInt8])
    /// The commit clears the table, so it touches each of its rows.
    case table(UInt32)
}

/// A commit that a sink tried and refused, kept by reference into the log.
package struct QuarantinedCommit: Sendable, Equatable {
    package var firstSequence: UInt64
    package var recordCount: Int
    /// Why it was refused when it was last tried.
    package var error: SinkError
    /// When it was first refused, in microseconds since 1970.
    package var refusedAt: Int64
    /// How often it was tried: 1 when it is new.
    package var attempts: Int
    package var keys: [QuarantinedKey]
    /// Whether it defines a table.
    package var isDefinition: Bool

    package init(
        firstSequence: UInt64, recordCount: Int, error: SinkError, refusedAt: Int64,
        attempts: Int, keys: [QuarantinedKey], isDefinition: Bool
    ) {
        self.firstSequence = firstSequence
        self.recordCount = recordCount
        self.error = error
        self.refusedAt = refusedAt
        self.attempts = attempts
        self.keys = keys
        self.isDefinition = isDefinition
    }
}

extension QuarantinedCommit {
    /// A definition, as a commit that touches all rows of its table.
    package init(
        definition table: TableDefinition, at sequence: UInt64, refused error: SinkError,
        now: Int64
    ) {
        var error = error
        error.message =
            "table \(StoredValue.text(table.schema.name)) cannot be made as it was declared, and waits: "
            + "\(error.message); rename or drop what is in its way, then retry"
        self.init(
            firstSequence: sequence, recordCount: 1, error: error, refusedAt: now, attempts: 1,
            keys: [.table(table.id)], isDefinition: true)
    }
}
