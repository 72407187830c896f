import EventLog

/// What an add comes down to in a database: amounts become values, because the row cannot change meanwhile.
package enum AddedRow {
    /// There is no row, and the amounts make none.
    case none
    /// Values for columns of the row that is there.
    case patch([UInt8])
    /// A whole row, which is not there yet.
    case put([UInt8])

    /// - Parameters:
    ///   - add: the body of an add.
    ///   - row: what the database holds; nil if it has no such row.
    package init(
        adding add: Span<UInt8>, to row: [UInt8]?, _ schema: TableSchema, named name: String
    ) throws(SinkError) {
        do throws(MalformedRecord) {
            let parts = try RowMerge.parts(add)
            var bytes: [UInt8] = []
            if let row {
                try RowMerge.patch(
                    adding: add.extracting(parts.there), to: row.span,
                    defaults: RowCodec.defaults(schema), into: &bytes)
                self = .patch(bytes)
                return
            }
            guard let missing = parts.missing else {
                self = .none
                return
            }
            // An older program's put may have come first: it is a patch.
            let columns = try RowMerge.columns(of: add.extracting(missing))
            guard parts.origin != .known || RowCodec.makesRow(columns, schema) else {
                throw MalformedRecord(offset: 0, reason: "the row to change is missing")
            }
            try RowMerge.row(
                madeBy: add.extracting(missing), defaults: RowCodec.defaults(schema), into: &bytes)
            self = .put(bytes)
        } catch {
            throw SinkError(.constraint, "table \(name): \(error.reason)")
        }
    }
}
