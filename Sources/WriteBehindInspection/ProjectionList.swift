import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// The projections of a store: as its writer says, or as the database has them if it is not open.
package struct ProjectionList: Sendable {
    package struct Projection: Sendable, Equatable {
        package var name: String
        package var version: Int
        /// nil if the store does not have the table any more.
        package var table: String?
        /// `current`, `building`, `stopped` or `undeclared`, as in ``Health``.
        package var state: String
        /// While it is being built: how many rows it has read, if the writer says so.
        package var rows: Int?
        /// How many records of the log it has not seen yet; nil if it has to be built before it goes on.
        package var records: UInt64?
        /// Why it has stopped, or what keeps it from being built.
        package var cause: String?
        /// Since when, milliseconds since 1970.
        package var since: UInt64?
    }

    package private(set) var projections: [Projection] = []

    package init(_ store: StoreInspection) throws {
        let contents = store.database.contents
        let records = contents.map { store.end - min($0.watermark.sequence, store.end) }
        let stored = contents?.projections ?? []
        let report =
            store.isLive
            ? ProjectionsReport.read(store.layout, on: store.environment.disk) : nil
        if let report {
            projections = report.projections.map { projection in
                let isStored = stored.contains {
                    $0.name == projection.name && $0.watermark == contents?.watermark
                }
                let isCurrent = projection.state == Health.Projection.State.current.rawValue
                return Projection(
                    name: projection.name, version: projection.version, table: projection.table,
                    state: projection.state, rows: projection.rows,
                    records: isCurrent || isStored ? records : nil, cause: projection.cause,
                    since: projection.since)
            }
            return
        }
        if stored.isEmpty { return }
        let catalog = try store.fullCatalog()
        projections = stored.map { projection in
            let isCurrent = projection.watermark == contents?.watermark
            let state: Health.Projection.State =
                projection.failure != nil ? .stopped : isCurrent ? .current : .building
            return Projection(
                name: projection.name, version: projection.version,
                table: catalog[projection.table]?.schema.name, state: state.rawValue,
                records: state == .current ? records : nil,
                cause: projection.failure?.placed,
                since: projection.failure.map { UInt64(max(0, $0.since)) / 1000 })
        }
    }
}
