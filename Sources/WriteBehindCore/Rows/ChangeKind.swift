/// The change of a row in a batch, after merging.
package enum ChangeKind: UInt8, Sendable {
    /// The body is a whole row.
    case put
    /// The body is a patch of a row that exists.
    case patch
    /// The body is that of an add (Record.swift). Whether the row has to exist is in its origin.
    case add
    /// The body is empty.
    case delete
}
