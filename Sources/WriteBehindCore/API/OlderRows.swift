import EventLog
import Synchronization

// Rows that were encoded before their table got columns. The put of such a row is logged as a patch of the columns that it
// has, so that the others keep their values.

extension Transaction {
    /// Logs the changes of a transaction that has read nothing; nil if there are none.
    func commitWithoutReads() throws(StoreError) -> Receipt? {
        if commit.isEmpty { return nil }
        var (commit, generation) = (self.commit, self.generation)
        while true {
            let receipt = try engine.commit(commit, reads: [], generation: generation)
            if let receipt { return receipt }
            generation = engine.generation.load(ordering: .relaxed)
            commit = try commit.keepingColumns(of: engine.tables)
        }
    }
}

extension CommitBuilder {
    /// The same changes, but with patches instead of puts of rows that lack columns of their tables.
    fileprivate func keepingColumns(of tables: Catalog) throws(StoreError) -> CommitBuilder {
        var kept = CommitBuilder()
        for step in steps {
            switch step {
            case .change(let change):
                let key = bytes.span.extracting(change.key)
                let body = bytes.span.extracting(change.body)
                let patch =
                    try change.kind == .put
                    ? rowErrors { () throws(RowError) in
                        try tables.patch(for: body, of: change.table)
                    } : nil
                if change.kind == .add { try tables.checkAdd(body, to: change.table) }
                if let patch {
                    kept.append(.patch, table: change.table, key: key, body: patch.span)
                } else {
                    kept.append(
                        change.kind, table: change.table, key: key, body: body,
                        deadline: change.deadline)
                }
            case .clear(let table): kept.appendClear(table: table)
            // Only the store itself logs other records, and never in a transaction.
            case .other: preconditionFailure("a transaction holds a record that is no change")
            }
        }
        return kept
    }
}

extension Catalog {
    /// Throws if a table has changed so that its columns do not take the amounts any more.
    fileprivate func checkAdd(_ add: Span<UInt8>, to table: UInt16) throws(StoreError) {
        guard let schema = self[UInt32(table)]?.schema else { return }
        let added = try rowErrors { () throws(RowError) in try RowCodec.decodeAdd(add, schema) }
        for amount in added.amounts {
            guard let reason = schema.reasonAgainstAdding(to: amount.column) else { continue }
            throw .cannotAdd(
                table: schema.name, column: schema.valueColumns[amount.column].name,
                reason: reason)
        }
    }

    /// The patch that replaces a put of a row; nil if the row has all columns of its table.
    fileprivate func patch(
        for row: Span<UInt8>, of table: UInt16
    ) throws(RowError) -> [UInt8]? {
        guard let schema = self[UInt32(table)]?.schema, try RowCodec.lacksColumns(row, schema)
        else { return nil }
        return try RowCodec.patch(settingAllOf: row, schema)
    }
}

extension Quarantine.Correction {
    /// The row that is put. Columns that the correction lacks keep the values of the refused row.
    func row(over refused: [UInt8]?, _ tables: Catalog) throws(StoreError) -> [UInt8] {
        let patch = try rowErrors { () throws(RowError) in
            try tables.patch(for: body.span, of: table)
        }
        guard let refused, let patch, let schema = tables[UInt32(table)]?.schema else {
            return body
        }
        var row: [UInt8] = []
        do throws(MalformedRecord) {
            try RowMerge.row(
                refused.span, patch: patch.span, defaults: RowCodec.defaults(schema), into: &row)
        } catch {
            throw .row(RowError(table: schema.name, .malformed(error.reason)))
        }
        return row
    }
}
