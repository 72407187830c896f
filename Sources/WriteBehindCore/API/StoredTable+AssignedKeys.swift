// Inserts of rows whose keys the store gives.

extension StoredTable where Row: AssignedKeyRow {
    /// Writes a new row under a new id.
    ///
    /// Ids begin at 1 and go up. The store gives no id twice, even if its row is deleted. A crash may leave a gap. An id is
    /// as safe as its row: if power loss takes a row for which no call waited for ``Stage/durable``, its id may be given
    /// again.
    ///
    /// A row with another id than 0 keeps it. Ids under which rows were put by other calls are skipped.
    ///
    /// - Returns: the row with its id.
    /// - Throws: ``StoreError/duplicateKey(table:key:)`` if the row has an id of its own that another row has;
    ///   ``StoreError/row(_:)`` if all ids up to `Int64.max` are used up; the errors of any write or read.
    @discardableResult
    public nonisolated(nonsending) func insert(_ row: Row) async throws(StoreError) -> Row {
        var row = row
        guard row.assignedKey == 0 else {
            let _: Receipt = try await insert(row)
            return row
        }
        var search = FreeKeySearch()
        while true {
            row.assignedKey = Int(try engine.nextKey(of: id, past: search.past))
            do throws(StoreError) {
                let _: Receipt = try await insert(row)
                return row
            } catch {
                guard case .duplicateKey = error else { throw error }
                search.pass(row.assignedKey)
            }
        }
    }
}

extension Transaction {
    /// Writes a new row under a new id, as ``StoredTable/insert(_:)->Row`` does. If the transaction runs again, the row
    /// gets another id.
    ///
    /// - Returns: the row with its id.
    /// - Throws: as that method.
    @discardableResult
    public nonisolated(nonsending) mutating func insert<Row: AssignedKeyRow>(
        _ row: Row, in table: StoredTable<Row>
    ) async throws(StoreError) -> Row {
        var row = row
        guard row.assignedKey == 0 else {
            let _: Void = try await insert(row, in: table)
            return row
        }
        var search = FreeKeySearch()
        while true {
            row.assignedKey = Int(try table.engine.nextKey(of: table.id, past: search.past))
            do throws(StoreError) {
                let _: Void = try await insert(row, in: table)
                return row
            } catch {
                guard case .duplicateKey = error else { throw error }
                search.pass(row.assignedKey)
            }
        }
    }
}

/// Looks for an id that no row has. Many ids in a row may be taken, so its steps grow.
package struct FreeKeySearch {
    /// The next id is above this.
    package private(set) var past: Int64 = 0
    private var step: Int64 = 1

    package init() {}

    package mutating func pass(_ taken: Int) {
        let (sum, isOver) = Int64(taken).addingReportingOverflow(step)
        past = isOver ? .max : sum
        step = step.multipliedReportingOverflow(by: 2).overflow ? .max : step * 2
    }
}
