import EventLog
public import Foundation

/// One change of a row, as a projection gets it: with the row before and after it.
public struct ProjectedChange<Row: TableRow>: Sendable {
    /// Its place among all changes of the store: a later change has a higher number. If ``isInitial`` is set, it is the place
    /// of the last change that the database held when the row was read.
    public let sequence: UInt64
    /// When it was written, as ``RowVersion/date`` says. If ``isInitial`` is set, it is when the row was read.
    public let date: Date
    /// What was done.
    public let operation: ChangeOperation
    /// The row's key; nil for ``ChangeOperation/clear``, which concerns all rows.
    public let key: Row.Key?
    /// The row before the change; nil if there was none, and for ``ChangeOperation/clear``.
    public let old: Row?
    /// The row after the change; nil if there is none.
    public let new: Row?
    /// Whether the row was there before the projection: it comes as a `put` when the projection is built.
    public let isInitial: Bool

    init(_ change: RowTransition, _ layout: ChangeLayout) throws(StoreError) {
        sequence = change.sequence
        date = Date(timeIntervalSince1970: Double(change.time) / 1000)
        operation = ChangeOperation(change.operation)
        isInitial = change.isInitial
        func row(_ body: [UInt8]?) throws(RowError) -> Row? {
            guard let body else { return nil }
            return try layout.row(Row.self, key: change.key.span, body: body.span)
        }
        (key, old, new) = try rowErrors { () throws(RowError) in
            (
                change.operation == .clear
                    ? nil : try layout.key(Row.Key.self, change.key.span),
                try row(change.old), try row(change.new)
            )
        }
    }
}
