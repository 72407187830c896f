import EventLog
package import WriteBehindCore
import WriteBehindSQLite

extension StoreInspection {
    /// Calls `body` for the records that only staging holds, until it returns false. The
    /// next open takes them; they may not have survived a power loss before that.
    ///
    /// - Parameter catalog: the tables at the end of the segments.
    /// - Returns: false if `body` did.
    @discardableResult
    package func forEachStagedRecord(
        _ catalog: Catalog, _ body: (LoggedRecord, Catalog) throws -> Bool
    ) throws -> Bool {
        var catalog = catalog
        for staged in log?.staged ?? [] {
            let goesOn = try forEachRecord(of: staged.commit, in: staged.records.span) { record in
                if record.operation == .define {
                    try catalog.apply(define: record.table, body: record.body.span)
                }
                return try body(record, catalog)
            }
            guard goesOn else { return false }
        }
        return true
    }

    /// The tables at the end of the segments.
    package func catalog() throws -> Catalog {
        try CatalogLookup(environment).catalog(through: readable)
    }

    /// The tables at the end of the log, staging included. If the log is damaged, only those that are known.
    package func fullCatalog() throws -> Catalog {
        if damage != nil { return try SalvagedLog(self).catalog(self) }
        var known = try catalog()
        try forEachStagedRecord(known) { _, catalog in
            known = catalog
            return true
        }
        return known
    }
}
