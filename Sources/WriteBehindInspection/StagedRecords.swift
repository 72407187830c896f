import EventLog
package import WriteBehindCore
import WriteBehindSQLite

extension StoreInspection {
    /// Calls back for the records that only staging holds, until the callback says to stop. The
    /// next open takes them; power loss before it would not have left them.
    ///
    /// - Parameter catalog: the tables known at the segments' end.
    /// - Returns: false if the callback did.
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

    /// The tables known at the end of the segments.
    package func catalog() throws -> Catalog {
        try CatalogLookup(environment).catalog(through: readable)
    }

    /// The tables known at the end of all, staging included. If the log is damaged, as far as they are known.
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
